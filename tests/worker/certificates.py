"""Certificates for the worker's tests: the samples, records that nobody can code, and the words that must not leak."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream.certificate import Certificate, Line, Sealed, certificate_record, read_certificate
from stream.settings import REPOSITORY
from stream.wire import Wire

MARK = "zzmarqueur"
"""A word that stands in every spoiled record, and in no text of ours."""


def samples(turn: str = "") -> list[Certificate]:
    """The shipped certificates, under ids of their own for each turn."""
    rows = (REPOSITORY / "samples" / "certificates.jsonl").read_text(encoding="utf-8").splitlines()
    read = (read_certificate({k: v for k, v in json.loads(row).items() if k != "gold"}) for row in rows)
    return [replace(c, certificate_id=f"{c.certificate_id}{turn}") for c in read]


def texts(certificate: Certificate) -> list[str]:
    """Everything that the physician wrote."""
    lines = [*certificate.part1, *certificate.part2]
    mother = certificate.neonatal.mother if certificate.neonatal else ()
    return [
        t for t in (*(line.text for line in lines), *(line.interval for line in lines), *mother) if isinstance(t, str)
    ]


def words(certificates: Iterable[Certificate]) -> set[str]:
    """Words of the certificates that no log line, name or number of ours could hold by itself."""
    found = {w for c in certificates for t in texts(c) for w in re.findall(r"[^\W\d_]{6,}", t.casefold())}
    return (found | {MARK}) - {"partition", "version", "message", "position", "connection", "session"}


@dataclass(frozen=True)
class Spoiled:
    """A record that must become a dead letter."""

    name: str
    value: bytes | None
    code: str
    key: bytes | None = None


def spoiled(wire: Wire) -> list[Spoiled]:
    """One of every kind."""
    good = Certificate("spoiled", part1=(Line(f"insuffisance cardiaque {MARK}", "3 jours"),))

    def of(certificate: Certificate) -> bytes:
        return wire.encode("certificates", certificate_record(certificate))

    whole = of(good)
    deep = of(replace(good, part1=(Line(f"{MARK} XXXXXXXX"),)))
    sealed = Sealed("a-key", b"0" * 12, b"1" * 32)
    return [
        Spoiled("truncated", whole[:40], "BAD_AVRO", b"t"),
        Spoiled("one byte short", whole[:-1], "BAD_AVRO", b"t"),
        Spoiled("one byte more", whole + b"\x00", "BAD_AVRO", b"m"),
        Spoiled("magic", b"\x01" + whole[1:], "BAD_FRAME", b"m"),
        Spoiled("plain text", MARK.encode(), "BAD_FRAME"),
        Spoiled("unknown schema", whole[:1] + b"\x00\x00\x27\x0f" + whole[5:], "UNKNOWN_SCHEMA", b"u"),
        Spoiled("huge schema id", whole[:1] + b"\xff\xff\xff\xff" + whole[5:], "UNKNOWN_SCHEMA", b"u"),
        Spoiled("schema of another topic", whole[:1] + b"\x00\x00\x00\x02" + whole[5:], "BAD_AVRO", b"o"),
        Spoiled("null", None, "BAD_FRAME", b"n"),
        Spoiled("nothing", b"", "BAD_FRAME"),
        Spoiled("frame alone", whole[:5], "BAD_FRAME"),
        Spoiled("no id", of(replace(good, certificate_id="")), "INVALID_CERTIFICATE", b""),
        Spoiled("id with a blank", of(replace(good, certificate_id="a b")), "INVALID_CERTIFICATE", b"a b"),
        Spoiled("version 0", of(replace(good, version=0)), "INVALID_CERTIFICATE", b"v"),
        Spoiled("empty", of(replace(good, part1=())), "EMPTY_CERTIFICATE", b"e"),
        Spoiled("blank", of(replace(good, part1=(Line(" \t\n"),))), "EMPTY_CERTIFICATE", b"e"),
        Spoiled("long line", of(replace(good, part1=(Line(MARK * 201),))), "OVERSIZED_TEXT", b"l"),
        Spoiled("many lines", of(replace(good, part1=(Line(MARK),) * 31)), "OVERSIZED_TEXT", b"l"),
        Spoiled("nine megabytes", of(replace(good, part1=(Line(MARK * 900_000),))), "OVERSIZED_TEXT", b"l"),
        Spoiled("no UTF-8", deep.replace(b"XXXXXXXX", b"\xff\xfe\x80XXXXX"), "BAD_AVRO", b"8"),
        Spoiled("sealed", of(replace(good, part1=(Line(sealed),))), "SEALED_UNREADABLE", b"s"),
    ]
