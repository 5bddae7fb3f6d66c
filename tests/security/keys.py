"""Settings with key-encryption keys, and a certificate with text in every place that may hold any."""

from __future__ import annotations

import base64

from pydantic import SecretStr

from stream.certificate import Certificate, Line, Neonatal, Surgery
from stream.settings import Sealing


def secret(letter: str) -> SecretStr:
    """32 bytes of one letter in base64."""
    return SecretStr(base64.b64encode(letter.encode() * 32).decode())


def sealing(*ids: str, active: str = "", static: str = "") -> Sealing:
    """Key-encryption keys by id, and static keys; each is its id's first letter."""
    return Sealing(
        keks={one: secret(one[0]) for one in ids}, kek=active, keys={one: secret(one[0]) for one in static.split()}
    )


SECRETS = ("infarctus", "3 jours", "sepsis", "hypertension", "chantier", "occlusion", "rupture", "fièvre")


def full(certificate_id: str = "c", version: int = 1) -> Certificate:
    """A certificate with text in every field of text."""
    return Certificate(
        certificate_id,
        version=version,
        part1=(Line("infarctus", "3 jours"), Line("sepsis")),
        part2=(Line("hypertension"),),
        accident_place="chantier",
        surgery=Surgery(True, "occlusion"),
        neonatal=Neonatal(mother=("rupture", "fièvre")),
    )
