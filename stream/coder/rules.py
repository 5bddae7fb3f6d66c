"""The expert coder: expressions of the lexicon found in a line, exactly, in any order, or nearly.

Phrases are looked for first (longest cover), in the lexicon and then in the nomenclature's labels; a segment that no
phrase covers whole is tried as a bag of words, without its modifiers, then with the head of the segment before it
("insuffisance cardiaque et rénale"), then nearly (rapidfuzz), among expressions that share its rarest word.
"""

from __future__ import annotations

import hashlib
import re
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
_ROOT = 4
"""First letters that two words of one root share ("carotide", "carotidienne")."""


_STREAM = Path(__file__).resolve().parent.parent
_SOURCES = (
    "text/*.py",
    "text/*.tsv",
    "coder/*.py",
    "coder/*.tsv",
    "coder/*.json",
    "underlying/*.py",
    "targeting/certainty.*",
)
"""All that may change an answer and has no version of its own: the rules' version in results is their hash."""

_SPREAD = stem("metastases")
_SPREADING = re.compile(r"metasta|(?:[cpyr]*t[0-4x][a-d]?)?(?:[cpyr]*n[0-3x][a-d]?)?[cpy]*m1[a-d]?$")
"""What tells that a tumour has spread: "métastatique" and its like, and M1 of the TNM classification."""


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


@dataclass(slots=True)
class _Part:
    """A segment under work: indices of its words, of those that carry content, and of those left uncovered."""

    inside: list[int]
    content: list[int]
    cover: list[Hit]
    left: list[int]
    taken: bool = False


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
        self._own, self._labels = PhraseIndex(own, modifiers), PhraseIndex(labels, modifiers)
        self._modifiers = modifiers
        self.version = version

    def code(self, line: NormalText, segments: Sequence[Segment], holds: frozenset[str]) -> tuple[Match, ...]:
        """Matches of a line, in text order, not overlapping.

        Args:
            line: the normalised line.
            segments: its segments, in order.
            holds: conditions of the certificate (`stream.coder.context`).
        """
        if not segments:
            return ()
        words = tokens(line.text)
        hits = [h for h in self._own.find(words) if h.meaning.under(holds)]
        own = {id(h) for h in hits}
        hits += [h for h in self._labels.find(words) if h.size > 1 and h.meaning.under(holds)]
        ends = [*(s.start for s in segments[1:]), len(line.text)]
        parts: list[_Part] = []
        begin = 0  # behind what the segment before covers
        for segment, end in zip(segments, ends, strict=True):
            part = self._part(words, segment, max(begin, segment.reach), end, hits)
            begin = words[part.cover[-1].last].end if part.cover else begin
            parts.append(part)
        crossing = self._crossing(parts, hits, own)
        found: list[Match] = [self._match(words, hit, Kind.PHRASE, 1.0, holds, own) for hit in crossing]
        found += self._spread(words, parts, holds)
        before: tuple[list[str], ...] = ()
        for segment, part in zip(segments, parts, strict=True):
            if part.taken:
                found += [self._match(words, hit, Kind.PHRASE, 1.0, holds, own) for hit in part.cover]
            else:
                found += self._segment(words, part, before if segment.elliptic or not part.cover else (), holds, own)
            # A chain of elliptic segments ("hépatique, rénale et cérébrale") shares the head of its first one.
            if not segment.elliptic:
                # Its own first words, or those of its last phrase ("cancer | envahissant la prostate et le sacrum").
                heads = {part.inside[0], part.cover[-1].first} if part.inside and part.cover else {*part.inside[:1]}
                before = tuple([words[i].stem for i in part.inside if i >= head] for head in sorted(heads))
        return tuple(sorted(found, key=lambda m: m.start))

    def _part(self, words: Sequence[Token], segment: Segment, begin: int, end: int, hits: Sequence[Hit]) -> _Part:
        """A segment's content words, and the best cover by phrases that lie inside it.

        A phrase may begin at `begin`, among the words that introduce the segment ("porteur de BLSE", "ancien fumeur"), and
        go on to `end`, where the next one begins: segments lose lone letters at their edges, and a lone letter may be a
        name ("grippe A").
        """
        inside = [
            i
            for i, t in enumerate(words)
            if t.start >= segment.start and t.end <= segment.end and t.stem and is_word(t)
        ]
        within = set(inside)
        cover = best_cover(
            [
                h
                for h in hits
                if (h.first in within and words[h.last].end <= end)
                or (h.last in within and words[h.first].start >= begin)
            ]
        )
        covered = {i for h in cover for i in range(h.first, h.last + 1)}
        content = [i for i in inside if words[i].stem not in self._modifiers] or inside
        return _Part(inside, content, cover, [i for i in content if i not in covered])

    @staticmethod
    def _crossing(parts: Sequence[_Part], hits: Sequence[Hit], own: set[int]) -> list[Hit]:
        """Phrases over several segments: what they mean together is more than their parts.

        A phrase of the lexicon takes segments that it covers whole ("diabète compliqué de néphropathie"); a label of the
        nomenclature only where one of them is not covered by its own.
        """
        inner = {id(h) for part in parts for h in part.cover}
        accepted: list[Hit] = []
        for hit in sorted(hits, key=lambda h: (-h.size, h.first)):
            touched = [p for p in parts if any(hit.first <= i <= hit.last for i in p.inside)]
            if id(hit) in inner or len(touched) < 2 or any(p.taken for p in touched):
                continue
            covers_whole = all(hit.first <= i <= hit.last for p in touched for i in p.content)
            # Beside other words too, where it breaks nothing ("syndrome hémolytique et urémique post infectieux").
            breaks = any(
                h.first <= hit.last and hit.first <= h.last and not (hit.first <= h.first and h.last <= hit.last)
                for p in touched
                for h in p.cover
            )
            takes = not breaks if id(hit) in own else covers_whole and any(p.left or not p.cover for p in touched)
            if takes:
                for part in touched:
                    part.taken = True
                    part.cover = [h for h in part.cover if h.last < hit.first or hit.last < h.first]
                accepted.append(hit)
        return accepted

    def _spread(self, words: Sequence[Token], parts: Sequence[_Part], holds: frozenset[str]) -> list[Match]:
        """Organs named after "métastatique" and its like: each is the site of a secondary tumour.

        "cancer du sein métastatique osseux et hépatique", "néo du pancréas T4N2M1 (foie, poumon)". The words found so
        are taken out of their part's `content` and `left`.
        """
        found: list[Match] = []
        spreading = False
        for part in parts:
            # What a phrase over several segments took is said already ("métastases hépatiques et pulmonaires").
            free = set() if part.taken else set(part.left) if part.cover else set(part.content)
            at = 0
            while at < len(part.inside):
                i = part.inside[at]
                spreading = spreading or bool(_SPREADING.match(words[i].stem))
                size = self._organ(words, part.inside[at : at + 3], free, holds, found) if spreading else 0
                if size:
                    part.left = [k for k in part.left if k not in part.inside[at : at + size]]
                    part.content = [k for k in part.content if k not in part.inside[at : at + size]]
                    part.taken = part.taken or not part.cover
                at += size or 1
        return found

    def _organ(
        self, words: Sequence[Token], ahead: Sequence[int], free: set[int], holds: frozenset[str], found: list[Match]
    ) -> int:
        """The longest name of an organ at the beginning of `ahead`, added to `found`; how many words it takes."""
        for size in range(len(ahead), 0, -1):
            run = ahead[:size]
            if run[-1] - run[0] < size + 2 and free.issuperset(run):
                expression = _under(self._own.phrase([_SPREAD, *(words[i].stem for i in run)]), holds)
                if expression:
                    start, end = words[run[0]].start, words[run[-1]].end
                    found.append(Match(start, end, expression.codes, Kind.SHARED, expression.source, size, 1.0))
                    return size
        return 0

    def _segment(
        self, words: Sequence[Token], part: _Part, before: Sequence[list[str]], holds: frozenset[str], own: set[int]
    ) -> list[Match]:
        coverage = 1.0 - len(part.left) / len(part.content) if part.content else 1.0
        if (part.left or len(part.cover) != 1) and part.content:
            key = [words[i].stem for i in part.content]
            whole = self._whole(key, holds, before) if part.left or not part.cover else self._bag(key, holds)
            if whole is not None:
                expression, kind, size = whole
                # What is nearly right must not displace what is right as far as it goes, nor words that are causes each
                # ("déshydratation hypernatrémie") become one of them, read in another order.
                parts = {code for h in part.cover if (e := h.meaning.under(holds)) for code in e.codes}
                worse = kind is Kind.FUZZY if part.left else expression.codes[0] in parts
                if size > max((h.size for h in part.cover), default=0) and not (part.cover and worse):
                    start, end = words[part.content[0]].start, words[part.content[-1]].end
                    return [Match(start, end, expression.codes, kind, expression.source, size, 1.0)]
        kind = Kind.PHRASE if part.left else Kind.WHOLE
        return [self._match(words, hit, kind, coverage, holds, own) for hit in part.cover]

    @staticmethod
    def _match(
        words: Sequence[Token], hit: Hit, kind: Kind, coverage: float, holds: frozenset[str], own: set[int]
    ) -> Match:
        expression = hit.meaning.under(holds)
        assert expression is not None
        kind = kind if id(hit) in own else Kind.LABEL
        start, end = words[hit.first].start, words[hit.last].end
        return Match(start, end, expression.codes, kind, expression.source, hit.size, coverage)

    def _whole(
        self, key: list[str], holds: frozenset[str], before: Sequence[list[str]]
    ) -> tuple[Expression, Kind, int] | None:
        """One expression for a whole segment: its words in another order, with a lent head, or nearly."""
        bag = self._bag(key, holds)
        if bag:
            return bag
        # The head that the segment before lends: its first words, the longest that make a phrase with ours. A measure is
        # of what stands before it ("tabagisme sevré (60 PA)") and nothing more.
        measure = len(key) > 1 and key[0][0].isdigit()
        for head in () if measure else before:
            for size in range(len(head) - 1, 0, -1):
                expression = _under(self._own.phrase([*head[:size], *key]), holds)
                if expression:
                    return expression, Kind.SHARED, len(key)
        return self._near(key, holds)

    def _bag(self, key: list[str], holds: frozenset[str]) -> tuple[Expression, Kind, int] | None:
        """The expression made of just these words, in any order ("alcoolique cirrhose")."""
        for index in (self._own, self._labels) if len(key) > 1 else ():
            expression = _under(index.bag(key), holds)
            if expression:
                return expression, Kind.BAG, len(key)
        return None

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
                if ratio > score and _numbers(candidate) == _numbers(key) and not self._another(key, candidate):
                    best, score = candidate, ratio
            if best:
                expression = _under(index.phrase(best), holds)
                if expression:
                    return expression, Kind.FUZZY, len(best)
        return None

    def _another(self, key: Sequence[str], candidate: Sequence[str]) -> bool:
        """Whether a word that the lexicon knows would be taken for one of another root ("coeur hypertensif", "rein ...")."""
        missing = set(candidate).difference(key)
        return bool(missing) and any(
            (self._own.knows(s) or self._labels.knows(s)) and all(s[:_ROOT] != m[:_ROOT] for m in missing)
            for s in set(key).difference(candidate)
        )


def _numbers(key: Sequence[str]) -> list[str]:
    return sorted(s for s in key if s[0].isdigit())


def _under(meaning: Meaning | None, holds: frozenset[str]) -> Expression | None:
    return meaning.under(holds) if meaning else None


@cache
def load() -> RuleCoder:
    """The packaged expert coder (about two seconds: the lexicon is normalised when it is first needed)."""
    own, labels = normal_expressions()
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(path for pattern in _SOURCES for path in _STREAM.glob(pattern)):
        digest.update(path.read_bytes())
    return RuleCoder(own, labels, read_modifiers(), f"rules-{digest.hexdigest()}")
