"""What targeting looks at: facts of a coded certificate, so that a recorded one can be targeted again without its text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream.certificate import Certificate, Form, Source
from stream.coding import Assertion, CodedCertificate, CodedLine, Underlying

EDIT = "EDIT:"
"""Prefix of the flags that name broken edits."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A certificate as targeting sees it.

    Attributes:
        certificate_id: for the audit's draw.
        form, source, age_days: as on the certificate; age in days, None where unknown.
        code: underlying cause, None where there is none.
        confidence: probability that it is right.
        unknown: share of the text that neither coder could read, 0 to 1.
        edits: ids of the edits that it breaks.
        mentions: codes of its lines, but for those that it tells as history.
    """

    certificate_id: str
    form: Form
    source: Source
    age_days: float | None
    code: str | None
    confidence: float
    unknown: float = 0.0
    edits: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()


def of_certificate(
    certificate: Certificate, lines: Iterable[CodedLine], cause: Underlying, unknown: float, edits: tuple[str, ...]
) -> Subject:
    """The subject of a certificate that is being coded."""
    c = certificate
    return Subject(
        c.certificate_id, c.form, c.source, c.age_days, cause.code, cause.confidence, unknown, edits, _mentions(lines)
    )


def of_coded(coded: CodedCertificate) -> Subject:
    """The subject of a certificate that was coded, the same as then."""
    edits = tuple(flag.removeprefix(EDIT) for flag in coded.flags if flag.startswith(EDIT))
    age = coded.age.days if coded.age else None
    cause = coded.underlying
    return Subject(
        coded.certificate_id, coded.form, coded.source, age, cause.code, cause.confidence, coded.unknown, edits,
        _mentions((*coded.part1, *coded.part2)),
    )  # fmt: skip


def _mentions(lines: Iterable[CodedLine]) -> tuple[str, ...]:
    """In alphabetical order, each once."""
    said = (entity for line in lines for entity in line.entities if entity.assertion is not Assertion.HISTORY)
    return tuple(sorted({entity.code for entity in said}))
