"""Certificates with the codes that careful coders gave them.

Files as `stream.offline.files` reads them, JSON lines for one: the certificate with ``"gold": {"part1": [["J18.9"],
["C34.9", "C78.7"]], "part2": [["I10"]], "underlying": "C34.9"}``, one list of codes for each line, in text order; lists
that are not there stand for lines without a code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.certificate import Certificate, Status
from stream.errors import InputError, InvalidData
from stream.nomenclature import icd10
from stream.offline import files
from stream.offline.rows import Row, build
from stream.settings import Limits

_FIELDS = frozenset({"part1", "part2", "underlying"})


@dataclass(frozen=True, slots=True)
class Gold:
    """A certificate and its codes.

    Attributes:
        id: the certificate's id; the row's number where the certificate cannot be read.
        certificate: None where it cannot be read: all that it should have given counts as missed.
        lines: codes of each line, Part I then Part II.
        underlying: the underlying cause.
        error: why it cannot be read.
    """

    id: str
    certificate: Certificate | None
    lines: tuple[tuple[str, ...], ...]
    underlying: str
    error: InputError | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Text of each line, Part I then Part II; empty where it is sealed."""
        if self.certificate is None:
            return ("",) * len(self.lines)
        rows = (*self.certificate.part1, *self.certificate.part2)
        return tuple(row.text if isinstance(row.text, str) else "" for row in rows)

    def readable(self) -> Certificate:
        """The certificate.

        Raises:
            InputError: it cannot be read.
        """
        if self.certificate is None:
            raise self.error or InvalidData("no certificate")
        return self.certificate


def read(path: Path, limits: Limits | None = None) -> Iterator[Gold]:
    """Gold certificates of a file.

    Raises:
        InvalidData: the file is not there, or a row's gold is at fault: it is missing, has more lists than the certificate
            has lines, or names what is no code. The message tells the row and quotes nothing.
    """
    for row in files.read(path, limits=limits):
        yield _gold(row, f"{path.name}:{row.number}")


def of(record: Mapping[str, Any]) -> Gold:
    """Gold of one mapping.

    Raises:
        InvalidData: see `read`.
    """
    return _gold(build(0, dict(record), Limits()), "gold")


def _gold(row: Row, where: str) -> Gold:
    said = files.gold(row)
    if row.error is not None and said is None:
        raise InvalidData(f"{where}: {row.error.message}")
    if not isinstance(said, Mapping):
        raise InvalidData(f"{where}: no gold beside the certificate")
    if set(said) - _FIELDS:
        raise InvalidData(f"{where}: gold has part1, part2 and underlying, and nothing else")
    certificate = row.certificate
    if certificate is not None and certificate.status is Status.VOID:
        raise InvalidData(f"{where}: a VOID certificate has no codes")
    lines: list[tuple[str, ...]] = []
    for part in ("part1", "part2"):
        lists = said.get(part)
        lists = [] if lists is None else lists
        if not _lists(lists):
            raise InvalidData(f"{where}: gold.{part} is no list of lists of codes")
        size = len(getattr(certificate, part)) if certificate else len(lists)
        if len(lists) > size:
            raise InvalidData(f"{where}: gold has {len(lists)} lists for the {size} lines of {part}")
        lines += [_codes(found, where) for found in lists] + [()] * (size - len(lists))
    (underlying,) = _codes([said.get("underlying")], where)
    number = certificate.certificate_id if certificate else f"row {row.number}"
    return Gold(number, certificate, tuple(lines), underlying, row.error)


def _lists(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(found, list) for found in value)


def _codes(found: list[Any], where: str) -> tuple[str, ...]:
    """Codes as Causa writes them."""
    written = [icd10.load().written(code) if isinstance(code, str) else None for code in found]
    if None in written:
        raise InvalidData(f"{where}: gold names what is no code of the nomenclature")
    return tuple(code for code in written if code is not None)
