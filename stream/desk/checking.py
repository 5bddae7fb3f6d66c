"""A draft held against its certificate: what is wrong with it, what it warns of, and the record that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from stream import underlying
from stream.certificate import Certificate, Line
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Entity,
    Method,
    Modality,
    Underlying,
)
from stream.desk.drafts import Draft, DraftCode, DraftLine, Fault
from stream.nomenclature import icd10
from stream.pipeline.lines import causes_of
from stream.targeting import edits
from stream.targeting.edits import Edit
from stream.targeting.subject import EDIT

SOURCE = "desk"
"""Source of an entity that a person put there."""
CHOSEN = "HUMAN: chosen by the coder"
"""Step of an underlying cause that the rules do not select."""
Lines = tuple[CodedLine, ...]


@dataclass(frozen=True, slots=True)
class Coding:
    """A draft made of whole lines.

    Attributes:
        part1, part2: its coded lines.
        cause: the underlying cause that the coder holds.
        rules: what the rules select from the lines.
        broken: edits that it breaks.
    """

    part1: Lines
    part2: Lines
    cause: Underlying
    rules: Underlying
    broken: tuple[Edit, ...]


def codes_of(record: CodedCertificate) -> tuple[tuple[str, ...], ...]:
    """Codes of a record by line, Part I first."""
    return tuple(tuple(e.code for e in line.entities) for line in (*record.part1, *record.part2))


def faults(draft: Draft, certificate: Certificate) -> tuple[Fault, ...]:
    """What makes a draft no coding of a certificate, its texts plain."""
    found: list[Fault] = []
    for name, drafted, written in (
        ("part1", draft.part1, certificate.part1),
        ("part2", draft.part2, certificate.part2),
    ):
        if len(drafted) != len(written):
            found.append(Fault(name, "LINES"))
            continue
        for number, (line, raw) in enumerate(zip(drafted, written, strict=True)):
            found += _line_faults(line, raw, f"{name}.{number}.codes")
    if not any(draft.codes()):
        found.append(Fault("part1", "NO_CODE"))
    if not draft.underlying:
        found.append(Fault("underlying", "NO_CODE"))
    elif not _valid(draft.underlying):
        found.append(Fault("underlying", "UNKNOWN_CODE"))
    return tuple(found)


def _line_faults(line: DraftLine, raw: Line, where: str) -> list[Fault]:
    found: list[Fault] = []
    seen: set[tuple[str, int | None, int | None]] = set()
    length = len(raw.text) if isinstance(raw.text, str) else 0
    for number, one in enumerate(line.codes):
        at = f"{where}.{number}"
        if not _valid(one.code):
            found.append(Fault(f"{at}.code", "UNKNOWN_CODE"))
        if (one.start is None) != (one.end is None) or (
            one.start is not None and one.end is not None and not 0 <= one.start < one.end <= length
        ):
            found.append(Fault(f"{at}.start", "SPAN"))
        if one.due_to is not None and (one.due_to >= len(line.codes) or one.due_to == number):
            found.append(Fault(f"{at}.due_to", "DUE_TO"))
        key = (icd10.dotted(one.code), one.start, one.end)
        if key in seen:
            found.append(Fault(f"{at}.code", "TWICE"))
        seen.add(key)
    return found


def _valid(code: str) -> bool:
    return icd10.load().valid(icd10.dotted(code))


def coding(draft: Draft, certificate: Certificate, base: CodedCertificate, *, blind: bool) -> Coding:
    """The coding that a draft without faults makes of a certificate.

    Args:
        draft: without faults.
        certificate: its texts plain.
        base: the machine's record; entities that the coder left are kept as they stand in it.
        blind: nothing is kept but the intervals: the coder did not see the rest.
    """
    part1 = _lines(draft.part1, certificate.part1, base.part1, blind=blind)
    part2 = _lines(draft.part2, certificate.part2, base.part2, blind=blind)
    rules = select(certificate, part1, part2)
    cause = _cause(icd10.dotted(draft.underlying), rules, base, same=not blind and _same(part1, part2, base))
    return Coding(part1, part2, cause, rules, edits.load().check(certificate, part1, part2, cause))


def select(certificate: Certificate, part1: Lines, part2: Lines) -> Underlying:
    """What the rules select from coded lines: the worker's core, without the ranker."""
    return underlying.consider(causes_of(certificate, part1, part2), underlying.load()).cause


def _same(part1: Lines, part2: Lines, base: CodedCertificate) -> bool:
    return tuple(tuple(e.code for e in line.entities) for line in (*part1, *part2)) == codes_of(base)


def _cause(code: str, rules: Underlying, base: CodedCertificate, *, same: bool) -> Underlying:
    steps: tuple[str, ...] = (CHOSEN,)
    if rules.code == code:
        steps = rules.steps
    elif same and base.underlying.code == code:
        steps = base.underlying.steps
    return Underlying(code or None, 1.0, Method.HUMAN, (), steps)


def _lines(drafted: Sequence[DraftLine], written: Sequence[Line], base: Lines, *, blind: bool) -> Lines:
    found = []
    for number, line in enumerate(drafted):
        was = base[number] if number < len(base) else CodedLine()
        raw = written[number].text
        length = len(raw) if isinstance(raw, str) else 0
        left = [] if blind else list(was.entities)
        entities = tuple(_entity(one, left, length) for one in line.codes)
        spans = [(e.start, e.end) for e in entities if (e.start, e.end) != (0, length)]
        said = () if blind else was.uncoded
        uncoded = tuple(u for u in said if not any(start < u.end and u.start < end for start, end in spans))
        found.append(CodedLine(entities, uncoded, was.interval))
    return tuple(found)


def _entity(one: DraftCode, left: list[Entity], length: int) -> Entity:
    code = icd10.dotted(one.code)
    for entity in left:
        if entity.code == code and (one.start is None or (one.start, one.end) == (entity.start, entity.end)):
            left.remove(entity)
            return replace(entity, due_to=one.due_to)
    start, end = (0, length) if one.start is None or one.end is None else (one.start, one.end)
    return Entity(code, start, end, 1.0, Method.HUMAN, SOURCE, due_to=one.due_to)


def result(base: CodedCertificate, made: Coding, at: datetime) -> CodedCertificate:
    """The record that a decision makes of a version, as the worker writes it: FINAL, by a person.

    Flags that name broken edits are those of the decision; the others tell why the certificate came to a person.
    """
    flags = tuple(flag for flag in base.flags if not flag.startswith(EDIT))
    flags += tuple(EDIT + edit.id for edit in made.broken)
    return replace(
        base, status=CodedStatus.FINAL, modality=Modality.HUMAN, part1=made.part1, part2=made.part2,
        underlying=made.cause, flags=flags, coded_at=at,
    )  # fmt: skip


def given_back(base: CodedCertificate, at: datetime) -> CodedCertificate:
    """The record that an undo leaves: PROVISIONAL again, with the codes of `base`, above what it takes back."""
    return replace(base, status=CodedStatus.PROVISIONAL, modality=Modality.HUMAN, coded_at=at)
