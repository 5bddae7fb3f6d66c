"""What the coder's screen shows of a certificate: its lines with the codes of the draft, each with where it comes from.

Pure: a certificate, the machine's proposal where there is one, and the draft as it stands. The server draws the same parts
for a page and for each edit, so that there is one way to draw them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from stream.certificate import Certificate, Line
from stream.coder import expressions
from stream.coding import (
    Alternative,
    Assertion,
    CodedCertificate,
    CodedLine,
    Duration,
    Entity,
    Method,
    Uncoded,
    Why,
)
from stream.desk.checking import SOURCE
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.nomenclature import icd10
from stream.text.interval import find_intervals, parse_interval
from stream.text.normal import normalise

DOUBTFUL = 0.8
"""A machine's code less probable than this is marked, and is where the key for doubts leads."""
SURE = 1.0
"""Confidence of a code that a person chose, for the certainty of the cause as the coder edits."""
_LINES = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Other:
    """A code that may take another's place by one key."""

    code: str
    label: str
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Chip:
    """One code of a line.

    Attributes:
        row, place: its line on the screen, and its place there.
        code, label: as the nomenclature has them; no label for what is no code.
        start, end: characters of the raw line; None stands for the whole line.
        confidence: the machine's; None for a code of the coder's own.
        method: who proposed it.
        source: row of the lexicon, label of the nomenclature, or model.
        expression: what that row of the lexicon says.
        others: codes that take its place by one key, likeliest first.
        assertion: how the text asserts it.
        due_to: place in the line of what the text says caused it.
        was: the machine's code where the coder put this one in its place.
        doubtful: whether the coder should look twice.
    """

    row: int
    place: int
    code: str
    label: str
    start: int | None
    end: int | None
    confidence: float | None = None
    method: Method = Method.HUMAN
    source: str = SOURCE
    expression: str = ""
    others: tuple[Other, ...] = ()
    assertion: Assertion = Assertion.AFFIRMED
    due_to: int | None = None
    was: str = ""

    @property
    def doubtful(self) -> bool:
        """See `Chip`."""
        return not self.label or (self.confidence is not None and self.confidence < DOUBTFUL)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a line's text: the places of the codes that it holds, or why it has none."""

    text: str
    places: tuple[int, ...] = ()
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Words without a code that a coder may want to give one."""

    text: str
    start: int
    end: int
    why: Why


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
        chips = tuple(_chips(number, proposed, drafted))
        gone = _gone(proposed, drafted)
        uncoded = tuple(_uncoded(proposed, drafted))
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
                _stretches(text, chips, uncoded),
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
            own = _proposed(code, proposed)
            if own is None:
                start, end = code.start or 0, len(text) if code.end is None else code.end
                own = Entity(code.code, start, end, SURE, Method.HUMAN, SOURCE, due_to=code.due_to)
            entities.append(replace(own, due_to=code.due_to))
        uncoded = tuple(_uncoded(proposed, drafted))
        parts[part - 1].append(CodedLine(tuple(entities), uncoded, _interval(line, proposed, certificate)))
    return tuple(parts[0]), tuple(parts[1])


def plain(text: object) -> str:
    """An opened text; nothing for one that is absent."""
    return text if isinstance(text, str) else ""


@cache
def expression_of() -> dict[str, str]:
    """Expression of each row of the lexicon, by its source ("ch09:123")."""
    return {expression.source: expression.text for expression in expressions.load()}


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


def _proposed(code: DraftCode, line: CodedLine) -> Entity | None:
    """The machine's entity that a code of the draft is."""
    same = [e for e in line.entities if e.code == code.code]
    return next((e for e in same if (e.start, e.end) == (code.start, code.end)), None)


def _chips(number: int, proposed: CodedLine, drafted: DraftLine) -> Iterator[Chip]:
    nomenclature = icd10.load()
    kept = {(code.code, code.start, code.end) for code in drafted.codes}
    for place, code in enumerate(drafted.codes):
        label = nomenclature.label(code.code) if nomenclature.valid(code.code) else ""
        own = _proposed(code, proposed)
        if own is not None:
            yield Chip(
                number, place, code.code, label, code.start, code.end, own.confidence, own.method, own.source,
                expression_of().get(own.source, ""), _others(own.alternatives, code.code), own.assertion, code.due_to,
            )  # fmt: skip
            continue
        # The machine's code that stood on the same words and does not any more.
        was = next(
            (
                e
                for e in proposed.entities
                if (e.start, e.end) == (code.start, code.end) and (e.code, e.start, e.end) not in kept
            ),
            None,
        )
        if was is None:
            yield Chip(number, place, code.code, label, code.start, code.end, due_to=code.due_to)
            continue
        others = _others((Alternative(was.code, was.confidence), *was.alternatives), code.code)
        yield Chip(
            number, place, code.code, label, code.start, code.end, others=others, assertion=was.assertion,
            due_to=code.due_to, was=was.code,
        )  # fmt: skip


def _others(alternatives: Sequence[Alternative], but: str) -> tuple[Other, ...]:
    label = icd10.load().label
    return tuple(Other(a.code, label(a.code), a.confidence) for a in alternatives if a.code != but)


def _gone(proposed: CodedLine, drafted: DraftLine) -> tuple[str, ...]:
    """Codes of the proposal that neither stand any more nor gave their words to another."""
    kept = {(code.code, code.start, code.end) for code in drafted.codes}
    spans = {(code.start, code.end) for code in drafted.codes}
    return tuple(
        e.code for e in proposed.entities if (e.code, e.start, e.end) not in kept and (e.start, e.end) not in spans
    )


def _uncoded(proposed: CodedLine, drafted: DraftLine) -> Iterator[Uncoded]:
    """Stretches that had no code and have none in the draft either."""
    spans = [(code.start, code.end) for code in drafted.codes]
    whole = any(start is None for start, _ in spans)
    for stretch in proposed.uncoded:
        covered = any(s is not None and e is not None and s < stretch.end and stretch.start < e for s, e in spans)
        # A code that stands for the whole line answers for the words that nobody could read.
        if not covered and not (whole and stretch.why is Why.UNKNOWN_WORDS):
            yield stretch


def _interval(line: Line, proposed: CodedLine, certificate: Certificate) -> Duration | None:
    """The interval as the machine read it; read again here where nothing of the machine's may be shown."""
    if proposed.interval is not None:
        return proposed.interval
    if isinstance(line.interval, str) and (found := parse_interval(line.interval, certificate.death_date)) is not None:
        return found
    within = find_intervals(normalise(plain(line.text)), certificate.death_date)
    return within[0][2] if len(within) == 1 else None


def _stretches(text: str, chips: Sequence[Chip], uncoded: Sequence[Uncoded]) -> tuple[Stretch, ...]:
    """The text cut wherever a code or words without one begin or end."""
    spans = [(c.start, c.end, c.place) for c in chips if c.start is not None and c.end is not None]
    cuts = sorted(
        {0, len(text), *(at for s, e, _ in spans for at in (s, e)), *(at for u in uncoded for at in (u.start, u.end))}
    )
    found = []
    for low, high in pairwise(cuts):
        if 0 <= low < high <= len(text):
            places = tuple(place for start, end, place in spans if start <= low and high <= end)
            why = next((u.why for u in uncoded if u.start <= low and high <= u.end), None) if not places else None
            found.append(Stretch(text[low:high], places, why))
    return tuple(found)
