"""What a reader of files gives: one row for each certificate that a file tells, or could not tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stream.certificate import Certificate, read_certificate
from stream.errors import InputError, InvalidCertificate
from stream.settings import Limits

EXTRAS = ("gold", "expected", "comment")


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate of a file, or why it cannot be read: exactly one of `certificate` and `error` is set.

    Attributes:
        number: line of the file, counted from 1, on which the row begins; blank lines and a header count.
        certificate: what the row says.
        error: why it says nothing; no message quotes the row.
        extras: what stood beside the certificate under `gold`, `expected` or `comment`.
        end: bytes of the file up to the end of this row, for progress bars.
    """

    number: int
    certificate: Certificate | None
    error: InputError | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    end: int = 0


def gold(row: Row) -> Any:
    """The answer that the file itself gives for a row, as written under `gold`; None when it gives none."""
    return row.extras.get("gold")


def build(number: int, fields: dict[str, Any], limits: Limits, *, end: int = 0) -> Row:
    """Row of a mapping: the extras are taken out, the rest is validated. Never raises."""
    extras = {name: fields.pop(name) for name in EXTRAS if name in fields}
    try:
        certificate = read_certificate(fields, line_chars=limits.line_chars, lines=limits.lines, chars=limits.chars)
    except InputError as error:
        return Row(number, None, error, extras, end)
    except (TypeError, ValueError, RecursionError):
        return Row(number, None, InvalidCertificate("a field has a value of the wrong type"), extras, end)
    return Row(number, certificate, None, extras, end)
