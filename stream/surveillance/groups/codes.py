"""Sets of ICD-10 codes as a person writes them: ranges, less some."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from stream.nomenclature.icd10 import Nomenclature

_SPAN = re.compile(r"([A-Z]\d\d(?:\.\d)?)(?:-([A-Z]\d\d(?:\.\d)?))?")
_AFTER = "~"
"""Comes after all that may follow a bound in a code."""


@dataclass(frozen=True, slots=True)
class Span:
    """Codes from `first` to `last`, both within; bounds are categories (with all that is in them) or codes."""

    first: str
    last: str

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first}–{self.last}"

    def holds(self, code: str) -> bool:
        """Whether a code, as Causa writes it, lies in the range."""
        return self.first <= code <= self.last + _AFTER

    def members(self, ordered: Sequence[str]) -> Sequence[str]:
        """Those of a sorted list that lie in the range."""
        return ordered[bisect_left(ordered, self.first) : bisect_left(ordered, self.last + _AFTER)]


@dataclass(frozen=True, slots=True)
class Codes:
    """Codes of some ranges that lie in none of others.

    Attributes:
        spans: ranges that are meant.
        less: exceptions.
    """

    spans: tuple[Span, ...]
    less: tuple[Span, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.spans)) + (" − " + " ".join(map(str, self.less)) if self.less else "")

    def holds(self, code: str) -> bool:
        """Whether a code, as Causa writes it, is meant."""
        return any(span.holds(code) for span in self.spans) and not any(span.holds(code) for span in self.less)

    def members(self, ordered: Sequence[str]) -> frozenset[str]:
        """Those of a sorted list that are meant."""
        found = {code for span in self.spans for code in span.members(ordered)}
        return frozenset(found.difference(*(span.members(ordered) for span in self.less)))


def read(text: str, less: str = "") -> Codes:
    """Codes of ranges as ``A40-A41 R57.2``, blanks between them.

    Raises:
        ValueError: what is no range; the message quotes it.
    """
    spans = _spans(text)
    if not spans:
        raise ValueError("no range of codes")
    return Codes(spans, _spans(less))


def _spans(text: str) -> tuple[Span, ...]:
    found = []
    for written in text.split():
        match = _SPAN.fullmatch(written)
        first, last = (match[1], match[2] or match[1]) if match else ("", "")
        if not match or len(first) != len(last) or last < first:
            raise ValueError(f"{written!r} is no range of codes")
        found.append(Span(first, last))
    return tuple(found)


def faults(codes: Codes, nomenclature: Nomenclature, ordered: Sequence[str]) -> list[str]:
    """What a validator has against some codes: bounds that do not exist, ranges that do nothing.

    Args:
        codes: the set in question.
        nomenclature: which codes exist.
        ordered: its codes, sorted.
    """
    found = []
    for span in (*codes.spans, *codes.less):
        found += [
            f"{bound} is no code"
            for bound in dict.fromkeys((span.first, span.last))
            if not _exists(bound, nomenclature)
        ]
    seen: set[str] = set()
    for span in codes.spans:
        members = set(span.members(ordered))
        if not members:
            found.append(f"no code falls into {span}")
        elif members <= seen:
            found.append(f"{span} lies in the ranges before it")
        seen |= members
    found += [f"{span} excepts nothing" for span in codes.less if not seen.intersection(span.members(ordered))]
    if seen and not codes.members(ordered):
        found.append("the exceptions leave no code")
    return found


def _exists(bound: str, nomenclature: Nomenclature) -> bool:
    return bool(nomenclature.label(bound)) and (len(bound) == 3 or nomenclature.valid(bound))
