from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from values import PRINTABLE, WORDS, certificates

from stream.certificate import Certificate, Line, Neonatal, Sealed, Surgery, certificate_record
from stream.errors import InvalidSettings, SealedUnreadable
from stream.sealing import Keyring
from stream.settings import Sealing


def keyring(*ids: str, active: str = "", shift: int = 0) -> Keyring:
    keys = {name: SecretStr(base64.b64encode(bytes([ord(name[0]) + shift] * 32)).decode()) for name in ids}
    return Keyring(Sealing(keys=keys, active=active))


RING = keyring("a")
FULL = Certificate(
    "c",
    part1=(Line("infarctus", "3 jours"), Line("sepsis")),
    part2=(Line("hypertension"),),
    accident_place="chantier",
    surgery=Surgery(True, "occlusion"),
    neonatal=Neonatal(mother=("rupture", "fièvre")),
)
SECRETS = ("infarctus", "3 jours", "sepsis", "hypertension", "chantier", "occlusion", "rupture", "fièvre")


@given(certificates())
def test_round_trip(certificate: Certificate) -> None:
    sealed = RING.seal(certificate)
    assert RING.open(sealed) == certificate
    assert RING.seal(sealed) == sealed, "what is sealed is not sealed twice"
    assert RING.open(certificate) == certificate, "plain text passes"


def test_nothing_stays_plain() -> None:
    shown = str(certificate_record(RING.seal(FULL)))
    assert not [word for word in SECRETS if word in shown]
    assert str(certificate_record(FULL)).count("infarctus") == 1


def test_two_seals_of_one_text_differ() -> None:
    first, second = (RING.seal_bytes(b"x", "c", "f") for _ in range(2))
    assert first.nonce != second.nonce
    assert first.ciphertext != second.ciphertext


def test_without_a_key_text_stays_plain() -> None:
    ring = keyring()
    assert not ring.seals
    assert ring.seal(FULL) is FULL
    with pytest.raises(SealedUnreadable, match="key is not configured"):
        ring.open(RING.seal(FULL))


def moved(certificate: Certificate) -> list[Certificate]:
    """The same ciphertexts in other places."""
    first, second = certificate.part1
    assert certificate.neonatal is not None
    return [
        replace(certificate, certificate_id="d"),
        replace(certificate, part1=(second, first)),
        replace(certificate, part1=(first,), part2=(second,)),
        replace(certificate, part1=(Line(first.interval or "", first.text), second)),
        replace(certificate, accident_place=first.text),
        replace(certificate, neonatal=Neonatal(mother=certificate.neonatal.mother[::-1])),
    ]


@pytest.mark.parametrize("place", range(6))
def test_a_moved_ciphertext_does_not_open(place: int) -> None:
    with pytest.raises(SealedUnreadable) as failure:
        RING.open(moved(RING.seal(FULL))[place])
    assert not [word for word in SECRETS if word in failure.value.message]


@given(st.data())
def test_no_flipped_bit_passes(data: st.DataObject) -> None:
    sealed = RING.seal_bytes(b"sepsis", "c", "f")
    whole = sealed.nonce + sealed.ciphertext
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    spoilt = bytearray(whole)
    spoilt[at // 8] ^= 1 << at % 8
    with pytest.raises(SealedUnreadable):
        RING.open_bytes(Sealed("a", bytes(spoilt[:12]), bytes(spoilt[12:])), "c", "f")


@given(st.binary(max_size=20), st.binary(max_size=40))
def test_hostile_ciphertexts_are_unreadable_and_nothing_else(nonce: bytes, cipher: bytes) -> None:
    with pytest.raises(SealedUnreadable):
        RING.open_bytes(Sealed("a", nonce, cipher), "c", "f")


def test_the_wrong_key_does_not_open() -> None:
    with pytest.raises(SealedUnreadable, match="does not open"):
        keyring("a", shift=1).open(RING.seal(FULL))


def test_sealed_bytes_that_are_no_text() -> None:
    line = Line(RING.seal_bytes(b"\xff", "c", "part1.0.text"))
    with pytest.raises(SealedUnreadable, match="UTF-8"):
        RING.open(Certificate("c", part1=(line,)))


def test_the_active_key_seals_and_all_open() -> None:
    old, new = keyring("a", "b"), keyring("a", "b", active="b")
    before, after = old.seal(FULL), new.seal(FULL)
    assert isinstance(before.part1[0].text, Sealed)
    assert isinstance(after.part1[0].text, Sealed)
    assert (before.part1[0].text.key_id, after.part1[0].text.key_id) == ("a", "b")
    assert new.open(before) == old.open(after) == FULL


@given(st.binary(max_size=200), PRINTABLE, WORDS)
def test_bytes_round_trip(value: bytes, identifier: str, field: str) -> None:
    assert RING.open_bytes(RING.seal_bytes(value, identifier, field), identifier, field) == value


@pytest.mark.parametrize("secret", ["", "short", "é" * 44, base64.b64encode(b"x" * 31).decode(), "A" * 43])
def test_a_key_must_be_32_bytes(secret: str) -> None:
    with pytest.raises(InvalidSettings) as failure:
        Keyring(Sealing(keys={"k1": SecretStr(secret)}))
    assert failure.value.message == "sealing key k1 is not 32 bytes in base64"
