"""A line's text in pieces, so that each code stands on its words, and words without one are seen. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stream.coding import CodedLine, Uncoded, Why
from stream.desk.console.chips import Chip
from stream.desk.drafts import DraftLine


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


def uncoded_of(proposed: CodedLine, drafted: DraftLine) -> Iterator[Uncoded]:
    """Stretches that had no code and have none in the draft either."""
    spans = [(code.start, code.end) for code in drafted.codes]
    whole = any(start is None for start, _ in spans)
    for stretch in proposed.uncoded:
        covered = any(s is not None and e is not None and s < stretch.end and stretch.start < e for s, e in spans)
        # A code that stands for the whole line answers for the words that nobody could read.
        if not covered and not (whole and stretch.why is Why.UNKNOWN_WORDS):
            yield stretch


def stretches_of(text: str, chips: Sequence[Chip], uncoded: Sequence[Uncoded]) -> tuple[Stretch, ...]:
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
