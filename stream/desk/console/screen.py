"""What the coder's screen shows of a certificate: its lines with the codes of the draft, each with where it comes from.

Pure: a certificate, the machine's proposal where there is one, and the draft as it stands. The server draws the same parts
for a page and for each edit, so that there is one way to draw them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stream.certificate import Certificate, Line
from stream.coding import CodedCertificate, CodedLine, Duration, Entity, Method, Why
from stream.desk.checking import SOURCE
from stream.desk.console.chips import Chip, chips_of, entity_of, gone_of
from stream.desk.console.stretches import Gap, Stretch, stretches_of, uncoded_of
from stream.desk.drafts import Draft, DraftLine
from stream.text.interval import find_intervals, parse_interval
from stream.text.normal import normalise

SURE = 1.0
"""Confidence of a code that a person chose, for the certainty of the cause as the coder edits."""
_LINES = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the certificate on the screen.

    Attributes:
        number: from 0, Part I lines first.
        part: 1 or 2.
        name: as coders call it: "I a", "II a".
        text, interval: as written.
        days: the interval read.
        stretches: the text in pieces.
        chips: its codes in text order.
        gaps: unknown words.
        gone: codes of the proposal that the coder took away.
    """

    number: int
    part: int
    name: str
    text: str
    interval: str
    days: Duration | None
    stretches: tuple[Stretch, ...]
    chips: tuple[Chip, ...]
    gaps: tuple[Gap, ...]
    gone: tuple[str, ...]


def empty_draft(certificate: Certificate) -> Draft:
    """A draft without any code: how a blind task begins."""
    part1, part2 = (tuple(DraftLine(()) for _ in part) for part in (certificate.part1, certificate.part2))
    return Draft(part1, part2, "")


def rows(certificate: Certificate, proposal: CodedCertificate | None, draft: Draft) -> tuple[Row, ...]:
    """The lines of the screen.

    Args:
        certificate: its texts plain.
        proposal: the machine's; None for a blind task.
        draft: the codes as they stand.
    """
    found: list[Row] = []
    for number, (part, place, line, proposed, drafted) in enumerate(_lines(certificate, proposal, draft)):
        text, interval = plain(line.text), plain(line.interval)
        chips = tuple(chips_of(number, proposed, drafted))
        gone = gone_of(proposed, drafted)
        uncoded = tuple(uncoded_of(proposed, drafted))
        gaps = tuple(Gap(text[u.start : u.end], u.start, u.end, u.why) for u in uncoded if u.why is Why.UNKNOWN_WORDS)
        roman, letter = "I" * part, _LINES[place] if place < len(_LINES) else str(place + 1)
        days = _interval(line, proposed, certificate) if part == 1 else None
        found.append(
            Row(
                number,
                part,
                f"{roman}\u00a0{letter}",
                text,
                interval,
                days,
                stretches_of(text, chips, uncoded),
                chips,
                gaps,
                gone,
            )
        )
    return tuple(found)


def coded_lines(
    certificate: Certificate, proposal: CodedCertificate | None, draft: Draft
) -> tuple[tuple[CodedLine, ...], tuple[CodedLine, ...]]:
    """The draft as the core takes it: what the machine found with its own confidence, what the coder chose as sure."""
    parts: tuple[list[CodedLine], list[CodedLine]] = ([], [])
    for part, _, line, proposed, drafted in _lines(certificate, proposal, draft):
        text = plain(line.text)
        entities = []
        for code in drafted.codes:
            own = entity_of(code, proposed)
            if own is None:
                start, end = code.start or 0, len(text) if code.end is None else code.end
                own = Entity(code.code, start, end, SURE, Method.HUMAN, SOURCE, due_to=code.due_to)
            entities.append(replace(own, due_to=code.due_to))
        uncoded = tuple(uncoded_of(proposed, drafted))
        parts[part - 1].append(CodedLine(tuple(entities), uncoded, _interval(line, proposed, certificate)))
    return tuple(parts[0]), tuple(parts[1])


def plain(text: object) -> str:
    """An opened text; nothing for one that is absent."""
    return text if isinstance(text, str) else ""


def _lines(
    certificate: Certificate, proposal: CodedCertificate | None, draft: Draft
) -> Iterator[tuple[int, int, Line, CodedLine, DraftLine]]:
    nothing: tuple[CodedLine, ...] = ()
    parts = (
        (1, certificate.part1, proposal.part1 if proposal else nothing, draft.part1),
        (2, certificate.part2, proposal.part2 if proposal else nothing, draft.part2),
    )
    for part, written, proposed, drafted in parts:
        for place, line in enumerate(written):
            yield (
                part,
                place,
                line,
                proposed[place] if place < len(proposed) else CodedLine(),
                drafted[place] if place < len(drafted) else DraftLine(()),
            )


def _interval(line: Line, proposed: CodedLine, certificate: Certificate) -> Duration | None:
    """The interval as the machine read it; read again here where nothing of the machine's may be shown."""
    if proposed.interval is not None:
        return proposed.interval
    if isinstance(line.interval, str) and (found := parse_interval(line.interval, certificate.death_date)) is not None:
        return found
    within = find_intervals(normalise(plain(line.text)), certificate.death_date)
    return within[0][2] if len(within) == 1 else None
