"""Lines put through the packaged rules, and through both coders, as the pipeline does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from stream.coder import confidence, rules
from stream.coder.coder import Coder
from stream.coder.expressions import Expression
from stream.coder.model import Tagged
from stream.coder.rules import Match, RuleCoder
from stream.coder.stems import stem
from stream.coder.vocabulary import speller
from stream.coding import CodedLine, Duration
from stream.nomenclature import icd10
from stream.text.interval import find_intervals
from stream.text.normal import NormalText, normalise
from stream.text.segment import segment

MODEL = "memory-1"


def read(text: str) -> NormalText:
    return normalise(text, speller=speller())


def matches(text: str, *holds: str, coder: RuleCoder | None = None) -> tuple[Match, ...]:
    line = read(text)
    return (coder or rules.load()).code(line, segment(line), frozenset(holds))


def codes(found: Iterable[Match]) -> str:
    return " ".join(code for match in found for code in match.codes)


def small(*own: tuple[str, str], labels: Sequence[tuple[str, str]] = (), modifiers: str = "") -> RuleCoder:
    """A rule coder of a few expressions "text|condition"."""

    def pairs(rows: Sequence[tuple[str, str]], source: str) -> list[tuple[Expression, str]]:
        found = []
        for number, (text, code) in enumerate(rows):
            bare, _, when = text.partition("|")
            found.append((Expression(bare, tuple(code.split()), when, f"{source}:{number}"), normalise(bare).text))
        return found

    return RuleCoder(pairs(own, "own"), pairs(labels, "label"), frozenset(map(stem, modifiers.split())), "small")


def tag(text: str, words: str, *codes: str, p: float = 0.9) -> Tagged:
    """What a model says of `words` in the normal form of `text`."""
    line = read(text).text
    start = line.index(words)
    return Tagged(start, start + len(words), codes, (p, *(round((1 - p) / 2, 3) for _ in codes[1:])))


def coded(
    text: str,
    *tagged: Tagged,
    holds: Iterable[str] = (),
    interval: Duration | None = None,
    died: date | None = None,
    rule_coder: RuleCoder | None = None,
) -> CodedLine:
    line = read(text)
    segments = segment(line)
    found = (rule_coder or rules.load()).code(line, segments, frozenset(holds))
    coder = Coder(icd10.load(), confidence.load(), floor=0.0)
    return coder.combine(line, segments, found, tagged, interval, find_intervals(line, died), MODEL)
