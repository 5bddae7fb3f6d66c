"""Coded lines seen together: what counts only alone, and which stands below which."""

from __future__ import annotations

from dataclasses import replace

from stream.certificate import Certificate, Form
from stream.coding import CodedLine, Uncoded, Why
from stream.underlying import Causes

Lines = tuple[CodedLine, ...]

_NOTHING = frozenset(["R98", "R99"])


def without_nothing(part1: Lines, part2: Lines) -> tuple[Lines, Lines]:
    """Words that only say that somebody died, or that nobody knows why, coded where nothing else is, else not.

    R98 and R99 are for certificates that report no cause at all (WHO ICD-10, volume 1); a circumstance of chapter XXI is
    none.
    """
    if all(e.code in _NOTHING or e.code[0] == "Z" for line in (*part1, *part2) for e in line.entities):
        return part1, part2

    def cleaned(line: CodedLine) -> CodedLine:
        empty = [e for e in line.entities if e.code in _NOTHING]
        if not empty:
            return line
        place = {k: n for n, k in enumerate(k for k, e in enumerate(line.entities) if e.code not in _NOTHING)}
        kept = tuple(
            replace(e, due_to=place.get(e.due_to) if e.due_to is not None else None)
            for e in line.entities
            if e.code not in _NOTHING
        )
        said = tuple(Uncoded(e.start, e.end, Why.NOT_A_CAUSE) for e in empty)
        return replace(line, entities=kept, uncoded=tuple(sorted((*line.uncoded, *said), key=lambda u: u.start)))

    return tuple(map(cleaned, part1)), tuple(map(cleaned, part2))


def levels(line: CodedLine) -> list[list[int]]:
    """Entities of a line as the lines that they would have made: effects first, each cause below what it caused.

    WHO volume 2, 4.2.1: causes joined by "due to" on one line are read as if the second stood on the line below.
    """
    depth = [0] * len(line.entities)
    for _ in line.entities:
        for k, entity in enumerate(line.entities):
            if entity.due_to is not None and entity.due_to != k and depth[entity.due_to] <= depth[k]:
                depth[entity.due_to] = min(depth[k] + 1, len(line.entities))
    return [[k for k, d in enumerate(depth) if d == level] for level in sorted(set(depth))]


def causes_of(certificate: Certificate, part1: Lines, part2: Lines) -> Causes:
    """What the underlying cause is selected from: codes by line, with what the certificate says beside them."""
    lines: list[tuple[str, ...]] = []
    durations: list[float | None] = []
    for line in part1:
        for level in levels(line):
            lines.append(tuple(line.entities[k].code for k in level))
            durations.append(line.interval.days if line.interval else None)
    return Causes(
        part1=tuple(lines),
        part2=tuple(e.code for line in part2 for e in line.entities),
        sex=certificate.sex.value,
        age_days=certificate.age_days,
        manner=certificate.manner.value if certificate.manner else None,
        durations=tuple(durations),
        neonatal=certificate.form is Form.NEONATAL,
        from_text=True,
        pregnancy=certificate.pregnancy,
    )
