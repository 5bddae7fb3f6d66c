"""The words that the search knows, and which of them a hurried hand may have meant.

A typed word stands for the words that it is, begins, sounds like, misspells, or begins and misspells; each counts less than
the one before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

from stream.text.spelling import sound

_EXACT, _BEGUN, _HEARD, _ERRED, _BEGUN_ERRED = 1.0, 0.93, 0.86, 0.84, 0.72
"""How much a word counts that is typed in full, begun, spelt by ear, mistyped, or begun and mistyped."""
_PER_ERROR = 0.08
_PER_LETTER = 0.004
"""What each letter that is still to be typed takes off a word begun: the nearest word first."""
_HEARD_LETTERS = 3
"""Fewest letters of a sound that tells a word."""
_SHORT = 2
"""Shortest beginning that is completed."""
_MOST_BEGUN = 400


class Vocabulary:
    """See the module. Immutable but for its cache.

    Args:
        stem_of: words, and the stem of each.
    """

    def __init__(self, stem_of: Mapping[str, str]) -> None:
        self._stem_of, self._stems = stem_of, frozenset(stem_of.values())
        self._sorted = sorted(stem_of)
        self._by_length: dict[int, list[str]] = defaultdict(list)
        self._beginnings: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._sounds: dict[str, list[str]] = defaultdict(list)
        for word in self._sorted:
            if word.isalpha() and len(word) > 3:
                self._by_length[len(word)].append(word)
                self._sounds[sound(word)].append(word)
                for size in range(5, min(len(word), 14)):
                    self._beginnings[size][word[:size]].append(word)
        self._begun_at = {size: list(found) for size, found in self._beginnings.items()}
        self._likely = lru_cache(maxsize=20_000)(self._found)

    def alike(self, word: str, stem: str, *, begun: bool) -> list[tuple[str, float]]:
        """Stems that a typed word may stand for, with how much each counts, best first.

        Args:
            word: as typed, folded.
            stem: its own.
            begun: whether it may be the beginning of a word.
        """
        return self._likely(word, stem, begun)

    def _found(self, word: str, stem: str, begun: bool) -> list[tuple[str, float]]:
        found: dict[str, float] = {}

        def add(known: str, weight: float) -> None:
            its = self._stem_of[known]
            if weight > found.get(its, 0.0):
                found[its] = weight

        exact = stem in self._stems
        if exact:
            found[stem] = _EXACT
        if begun and len(word) >= _SHORT:
            low = bisect_left(self._sorted, word)
            for known in self._sorted[low : low + _MOST_BEGUN]:
                if not known.startswith(word):
                    break
                add(known, max(0.6, _BEGUN - _PER_LETTER * (len(known) - len(word))))
        errors = 0 if len(word) < 4 or not word.isalpha() else 1 if len(word) < 8 else 2
        if errors and not exact:
            heard = sound(word)
            for known in self._sounds.get(heard, ()) if len(heard) >= _HEARD_LETTERS else ():
                add(known, _HEARD)
            near = [
                w for size in range(len(word) - errors, len(word) + errors + 1) for w in self._by_length.get(size, ())
            ]
            for known, distance, _ in process.extract(
                word, near, scorer=OSA.distance, processor=None, score_cutoff=errors, limit=40
            ):
                off = 0.0 if known[0] == word[0] else 0.04
                add(known, _ERRED - _PER_ERROR * (int(distance) - 1) - off)
            if begun and len(word) >= 5 and (not found or max(found.values()) < _ERRED):
                self._begun_erred(word, errors, add)
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))

    def _begun_erred(self, word: str, errors: int, add: Callable[[str, float], None]) -> None:
        """Words whose beginning is nearly what was typed."""
        for size in range(len(word) - 1, len(word) + 2):
            beginnings = self._begun_at.get(size, [])
            for beginning, distance, _ in process.extract(
                word, beginnings, scorer=OSA.distance, processor=None, score_cutoff=errors, limit=15
            ):
                if beginning[0] != word[0]:
                    continue
                for known in self._beginnings[size][beginning][:20]:
                    letters = _PER_LETTER * (len(known) - len(word))
                    add(known, _BEGUN_ERRED - _PER_ERROR * (int(distance) - 1) - letters)
