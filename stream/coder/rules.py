"""The expert coder: expressions of the lexicon found in a line, exactly, in any order, or nearly.

Phrases are looked for first (longest cover), in the lexicon and then in the nomenclature's labels; a segment that no
phrase covers whole is tried as a bag of words, without its modifiers, then with the head of the segment before it
("insuffisance cardiaque et rénale"), then nearly (rapidfuzz), among expressions that share its rarest word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from rapidfuzz import fuzz

from stream.coder.expressions import Expression
from stream.coder.phrases import Hit, Meaning, PhraseIndex, best_cover
from stream.coder.stems import Token, is_word, stem, tokens
from stream.coder.vocabulary import normal_expressions
from stream.errors import InvalidData
from stream.text.normal import NormalText, normalise
from stream.text.segment import Segment

MODIFIERS = Path(__file__).with_name("modifiers.tsv")
NEAR_ENOUGH = 88.0
"""Least token-sort ratio of a fuzzy match, out of 100."""


class Kind(StrEnum):
    """How an expression was found, surest first."""

    WHOLE = "WHOLE"
    """It covers its segment but for modifiers."""
    PHRASE = "PHRASE"
    """It stands in its segment beside other words."""
    LABEL = "LABEL"
    """As PHRASE or WHOLE, but it is a label of the nomenclature, not of the lexicon."""
    BAG = "BAG"
    """The segment has its words in another order."""
    SHARED = "SHARED"
    """With the head of the segment before."""
    FUZZY = "FUZZY"
    """Nearly."""


@dataclass(frozen=True, slots=True)
class Match:
    """Codes that the rules give to a span of the normalised line.

    Attributes:
        start: first character in the normalised line.
        end: last character, exclusive.
        codes: main code first.
        kind: how the expression was found.
        source: where it stands.
        size: number of its content words.
        coverage: share of the segment's content words that matches cover, 0 to 1.
    """

    start: int
    end: int
    codes: tuple[str, ...]
    kind: Kind
    source: str
    size: int
    coverage: float


def read_modifiers(path: Path = MODIFIERS) -> frozenset[str]:
    """Stems of words that qualify a cause without changing its code.

    Raises:
        InvalidData: a row of other than one word and a note.
    """
    found = set()
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        word, _, _ = row.partition("\t")
        text = normalise(word).text
        if not text or " " in text:
            raise InvalidData(f"{path.name}:{number}: a modifier is one word")
        found.add(stem(text))
    return frozenset(found)


class RuleCoder:
    """The expert coder. Immutable after its making; safe to share.

    Args:
        own: the lexicon's expressions with their normalised text, by precedence.
        labels: the nomenclature's labels, likewise.
        modifiers: stems that a segment may hold beside an expression without meaning more.
        version: identifies lexicon, modifiers and this code's rules in results.
    """

    def __init__(
        self,
        own: Sequence[tuple[Expression, str]],
        labels: Sequence[tuple[Expression, str]],
        modifiers: frozenset[str],
        version: str,
    ) -> None:
        self._own, self._labels = PhraseIndex(own), PhraseIndex(labels)
        self._modifiers = modifiers
        self.version = version

    def code(self, line: NormalText, segments: Sequence[Segment], holds: frozenset[str]) -> tuple[Match, ...]:
        """Matches of a line, in text order, not overlapping.

        Args:
            line: the normalised line.
            segments: its segments, in order.
            holds: conditions of the certificate (`stream.coder.context`).
        """
        words = tokens(line.text)
        own = [h for h in self._own.find(words) if h.meaning.under(holds)]
        labels = [h for h in self._labels.find(words) if h.meaning.under(holds) and h.size > 1]
        cover = best_cover(own + labels) if labels else best_cover(own)
        taken = {id(h) for h in own}
        covered = {i for h in cover for i in range(h.first, h.last + 1)}
        place = {id(t): i for i, t in enumerate(words)}
        found: list[Match] = []
        before: list[str] = []
        for segment in segments:
            inside = [t for t in words if t.start >= segment.start and t.end <= segment.end and t.stem and is_word(t)]
            content = [t for t in inside if t.stem not in self._modifiers]
            hits = [h for h in cover if segment.start <= words[h.first].start < segment.end]
            lent = before if segment.elliptic else []
            left = sum(place[id(t)] not in covered for t in content)
            # A phrase that began in an earlier segment may cover this one whole.
            if hits or left:
                found += self._segment(words, content or inside, hits, left, taken, holds, lent)
            # A chain of elliptic segments ("hépatique, rénale et cérébrale") shares the head of its first one.
            if not segment.elliptic:
                before = [t.stem for t in inside]
        return tuple(sorted(found, key=lambda m: m.start))

    def _segment(
        self,
        words: list[Token],
        content: list[Token],
        hits: list[Hit],
        left: int,
        own: set[int],
        holds: frozenset[str],
        before: list[str],
    ) -> list[Match]:
        coverage = 1.0 - left / len(content) if content else 1.0
        if left or not hits:
            whole = self._whole(content, holds, before)
            if whole is not None:
                expression, kind, size = whole
                best = max((h.size for h in hits), default=0)
                if size > best or (not hits):
                    return [
                        Match(content[0].start, content[-1].end, expression.codes, kind, expression.source, size, 1.0)
                    ]
        matches = []
        for hit in hits:
            expression = hit.meaning.under(holds)
            assert expression is not None
            kind = Kind.LABEL if id(hit) not in own else Kind.PHRASE if left else Kind.WHOLE
            matches.append(
                Match(
                    words[hit.first].start, words[hit.last].end, expression.codes, kind, expression.source, hit.size, coverage
                )  # fmt: skip
            )
        return matches

    def _whole(
        self, content: list[Token], holds: frozenset[str], before: list[str]
    ) -> tuple[Expression, Kind, int] | None:
        """One expression for a whole segment: its words in another order, with a lent head, or nearly."""
        key = [t.stem for t in content]
        if not key:
            return None
        if len(key) > 1:
            for index in (self._own, self._labels):
                expression = _under(index.bag(key), holds)
                if expression:
                    return expression, Kind.BAG, len(key)
        # The head that the segment before lends: its first words, the longest that make a phrase with ours.
        for size in range(len(before) - 1, 0, -1):
            expression = _under(self._own.phrase([*before[:size], *key]), holds)
            if expression:
                return expression, Kind.SHARED, len(key)
        return self._near(key, holds)

    def _near(self, key: list[str], holds: frozenset[str]) -> tuple[Expression, Kind, int] | None:
        text = " ".join(key)
        if len(text) < 6 or len(key) > 12:
            return None
        for index in (self._own, self._labels):
            best, score = None, NEAR_ENOUGH
            for candidate in index.near(key):
                if abs(len(candidate) - len(key)) > 1:
                    continue
                ratio = fuzz.token_sort_ratio(text, " ".join(candidate), score_cutoff=score)
                if ratio > score:
                    best, score = candidate, ratio
            if best:
                expression = _under(index.phrase(best), holds)
                if expression:
                    return expression, Kind.FUZZY, len(best)
        return None


def _under(meaning: Meaning | None, holds: frozenset[str]) -> Expression | None:
    return meaning.under(holds) if meaning else None


@cache
def load() -> RuleCoder:
    """The packaged expert coder (about two seconds: the lexicon is normalised when it is first needed)."""
    own, labels = normal_expressions()
    digest = hashlib.blake2b(MODIFIERS.read_bytes() + Path(__file__).read_bytes(), digest_size=4).hexdigest()
    return RuleCoder(own, labels, read_modifiers(), f"rules-{digest}")
