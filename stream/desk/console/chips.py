"""The codes of a line on the screen, each with where it comes from and what may take its place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from stream.coder import expressions
from stream.coding import Alternative, Assertion, CodedLine, Entity, Method
from stream.desk.checking import SOURCE
from stream.desk.drafts import DraftCode, DraftLine
from stream.nomenclature import icd10

DOUBTFUL = 0.8
"""A machine's code less probable than this is marked, and is where the key for doubts leads."""


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


@cache
def expression_of() -> dict[str, str]:
    """Expression of each row of the lexicon, by its source ("ch09:123")."""
    return {expression.source: expression.text for expression in expressions.load()}


def entity_of(code: DraftCode, line: CodedLine) -> Entity | None:
    """The machine's entity that a code of the draft is."""
    same = [e for e in line.entities if e.code == code.code]
    return next((e for e in same if (e.start, e.end) == (code.start, code.end)), None)


def chips_of(number: int, proposed: CodedLine, drafted: DraftLine) -> Iterator[Chip]:
    """The codes of a line of the draft, held against what the machine proposed for it; `number` is its row."""
    nomenclature = icd10.load()
    kept = {(code.code, code.start, code.end) for code in drafted.codes}
    for place, code in enumerate(drafted.codes):
        label = nomenclature.label(code.code) if nomenclature.valid(code.code) else ""
        own = entity_of(code, proposed)
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


def gone_of(proposed: CodedLine, drafted: DraftLine) -> tuple[str, ...]:
    """Codes of the proposal that neither stand any more nor gave their words to another."""
    kept = {(code.code, code.start, code.end) for code in drafted.codes}
    spans = {(code.start, code.end) for code in drafted.codes}
    return tuple(
        e.code for e in proposed.entities if (e.code, e.start, e.end) not in kept and (e.start, e.end) not in spans
    )
