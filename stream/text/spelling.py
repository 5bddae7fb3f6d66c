"""Typing errors: a word that is in no list, put right when there is one safe way to do it.

The speller knows a vocabulary with frequencies (built elsewhere from labels, lexicon and common words). Words are
normalised ones: lower case, no accents. It would rather leave a word than make another disease of it: short words,
words with digits and ties are left alone, and so is whatever would turn hypo- into hyper- or -ite into -ose.

>>> speller = Speller({"insuffisance": 90, "cardiaque": 60, "pneumopathie": 40, "cancer": 80, "hyperkaliemie": 9})
>>> [speller.correct(w) for w in ("insufisance", "cardiaqe", "pneumopatie", "insuffisance", "cardi")]
['insuffisance', 'cardiaque', 'pneumopathie', None, None]
>>> speller.correct("insuffisancecardiaque"), speller.correct("cancerdu"), speller.correct("hypokaliemie")
('insuffisance cardiaque', 'cancer du', None)
>>> speller.join("pneumo", "pathie")
'pneumopathie'
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import OSA

_ONE_ERROR = 5
"""Shortest word in which one error is put right."""
_TWO_ERRORS = 8
"""Shortest word in which two are."""
_EAR = 3
"""Letters that may differ in a word that sounds the same."""
_PART = 4
"""Shortest half of two words typed as one."""
_MOST = 40
"""Longest word looked at: beyond, it is noise."""
_RATIO = 10
"""How much commoner the best of several candidates must be than the next."""
_CACHED = 50_000
_CUT, _MISSING, _LIKELIER = 4, 3, 3
"""A word cut short has so many letters left, misses so many, and is so many times likelier than any other."""

# Small words that are typed onto the word before ("cancerdu sein"); only those that begin no word go onto the next.
_AFTER = frozenset(("du", "de", "des", "la", "le", "les", "au", "aux", "et", "sur", "par", "avec", "dans", "sous"))
_BEFORE = frozenset(("du", "aux", "avec", "dans", "chez"))

# Beginnings and endings that an edit or two turn into one another, and that change the disease.
_RIVALS = (
    ("hyper", "hypo", "normo"), ("inter", "intra", "extra"), ("macro", "micro"), ("anti", "ante"), ("brady", "tachy"),
    ("poly", "oligo", "mono"), ("endo", "exo", "ecto"), ("supra", "infra"), ("sus", "sous"), ("pre", "post", "peri"),
    ("bi", "tri"), ("hemi", "para", "tetra"), ("lympho", "myelo"), ("adeno", "angio"),
)  # fmt: skip
_SUFFIXES = ("ectomie", "ostomie", "otomie", "oplastie", "opathie", "emie", "urie", "algie", "plegie", "paresie",
             "ite", "ose", "ome", "oide", "ique", "ole", "ule", "ure", "gene",
             "phasie", "phagie", "phobie", "pnee", "penie", "cytose", "trophie", "tonie", "kinesie",
             "rragie", "rrhee")  # fmt: skip

# Ways French spells one sound, for errors of the ear; each pair is applied in turn.
_SOUNDS = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"ph", "f"), (r"th", "t"), (r"rh", "r"), (r"ch(?=[rlntm])", "k"), (r"h", ""), (r"y", "i"),
        (r"qu|cq|q", "k"), (r"c(?=[eiy])", "s"), (r"sc(?=[ei])", "s"), (r"c", "k"), (r"x(?=[eiy])", "ks"),
        (r"eau|au", "o"), (r"ain|ein|in|im(?=[bp])", "1"), (r"an|en|am(?=[bp])|em(?=[bp])", "2"), (r"om(?=[bp])", "on"),
        (r"(?<=[aeiou])z", "s"), (r"tion", "sion"), (r"ge(?=[ao])", "j"), (r"g(?=[ei])", "j"), (r"oe", "e"),
        (r"ai|ei", "e"),
        (r"(.)\1+", r"\1"), (r"(?:er|ez|ee|ees|es|e|s|t)$", ""),
    )
)  # fmt: skip


@lru_cache(maxsize=_CACHED)
def sound(word: str) -> str:
    """A rough key of how a word sounds: equal for spellings that a French ear does not tell apart.

    >>> sound("oedeme") == sound("edeme"), sound("pneumopathie") == sound("pneumopatie")
    (True, True)
    """
    for pattern, heard in _SOUNDS:
        word = pattern.sub(heard, word)
    return word


def _stem(word: str) -> str:
    """A word without its gender and number, to tell an inflexion from another word."""
    for ending in ("ales", "aux", "ale", "al"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)] + "al"
    return word.rstrip("s").rstrip("e").rstrip("s")


def _end(length: int) -> int:
    """How many letters of a word's beginning, and of its end, are looked up."""
    return 2 if length <= _ONE_ERROR else 3 if length < _TWO_ERRORS else 4


def _ending(word: str) -> str:
    """The longest of the endings that tell diseases apart, in the singular."""
    word = word.removesuffix("s")
    return max((ending for ending in _SUFFIXES if word.endswith(ending)), key=len, default="")


class Speller:
    """Corrects words against a vocabulary. Immutable but for its cache; safe to share between threads.

    Args:
        words: normalised words with their frequency; a word of another form than ``[a-z]+`` is passed over.
        right: words that are right as they stand, and that no other is taken for ("infirmière").
    """

    def __init__(self, words: Mapping[str, int], right: Iterable[str] = ()) -> None:
        self._right = frozenset(right)
        self._words = {word: count for word, count in words.items() if word.isascii() and word.isalpha()}
        ends: dict[tuple[bool, str, int], list[str]] = defaultdict(list)
        sounds: dict[str, list[str]] = defaultdict(list)
        for word in sorted(self._words):
            length = len(word)
            if length >= _ONE_ERROR - 1:
                for size in {_end(near) for near in range(length - 2, length + 3)}:
                    ends[True, word[:size], length].append(word)
                    ends[False, word[-size:], length].append(word)
                sounds[sound(word)].append(word)
        # An error or two nearly always leave a word's beginning or its end whole.
        self._ends, self._sounds = dict(ends), dict(sounds)
        self._sorted = sorted(word for word in self._words if len(word) >= _CUT + _MISSING)
        self._cache: dict[str, str | None] = {}

    def __contains__(self, word: str) -> bool:
        return word in self._words

    def __len__(self) -> int:
        return len(self._words)

    def correct(self, word: str) -> str | None:
        """The word put right (two words when it was two), or None when it is known or there is no safe way."""
        if (
            word in self._words
            or word in self._right
            or not _ONE_ERROR <= len(word) <= _MOST
            or not word.isalpha()
            or not word.isascii()
        ):
            return None
        if word not in self._cache:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[word] = self._near(word, 1) or self._split(word) or self._near(word, 2)
        return self._cache[word]

    def complete(self, beginning: str, *, pointed: bool) -> str | None:
        """The word that a hand cut short ("bronchopulm.", "Embol"), when one word is much the likeliest.

        Args:
            beginning: its first letters, at least four.
            pointed: whether a point was written; without one the word must be likelier still.
        """
        if len(beginning) < _CUT + (not pointed) or beginning in self._words or beginning in self._right:
            return None
        counts: dict[str, int] = defaultdict(int)
        forms: dict[str, str] = {}
        for word in self._sorted[bisect_left(self._sorted, beginning) :]:
            if not word.startswith(beginning):
                break
            if len(word) >= len(beginning) + _MISSING:
                root = _stem(word)
                counts[root] += self._words[word]
                if root not in forms or self._words[word] > self._words[forms[root]]:
                    forms[root] = word
        if not counts:
            return None
        ranked = sorted(counts, key=lambda root: (-counts[root], root))
        clear = len(ranked) == 1 or counts[ranked[0]] >= (_LIKELIER if pointed else 2 * _LIKELIER) * counts[ranked[1]]
        return forms[ranked[0]] if clear else None

    def join(self, first: str, second: str) -> str | None:
        """One word that was typed as two, when it is known and at least one of the two is none."""
        words = self._words
        whole = first + second
        if whole in words and len(whole) >= _TWO_ERRORS and not (first in words and second in words):
            return whole
        return None

    def _near(self, word: str, errors: int) -> str | None:
        """The one known word within so many errors; errors of the ear count half."""
        if errors > 1 and len(word) < _TWO_ERRORS:
            return None
        heard = self._sounds.get(sound(word), [])
        costs: dict[str, int] = {}
        size = _end(len(word))
        for length in range(len(word) - errors, len(word) + errors + 1):
            for key in ((True, word[:size], length), (False, word[-size:], length)):
                bucket = self._ends.get(key)
                if bucket:
                    near = process.extract(
                        word, bucket, scorer=OSA.distance, processor=None, score_cutoff=errors, limit=None
                    )
                    costs.update((known, 2 * int(distance)) for known, distance, _ in near if _safe(word, known))
        for known in heard:  # one error of the ear may be three letters ("asfixie")
            distance = OSA.distance(word, known, score_cutoff=_EAR)
            if distance <= _EAR:
                costs[known] = 1 if distance <= 1 else 2
        if not costs:
            return None
        least = min(costs.values())
        best = self._commonest([known for known, cost in costs.items() if cost == least])
        return None if best is None or self._rivalled(word, best) else best

    def _rivalled(self, word: str, best: str) -> bool:
        """Whether the opposite word is nearly as near ("hyptension")."""
        for rivals in _RIVALS:
            for mine in rivals:
                if best.startswith(mine):
                    others = (other + best[len(mine) :] for other in rivals if other != mine)
                    near = OSA.distance(word, best) + 1
                    return any(other in self._words and OSA.distance(word, other) <= near for other in others)
        return False

    def _commonest(self, candidates: list[str]) -> str | None:
        """The best of equals: the commonest inflexion of one word, or a word much commoner than the others."""
        ranked = sorted(candidates, key=lambda known: (-self._words[known], known))
        best = ranked[0]
        for other in ranked[1:]:
            clear = self._words[best] >= _RATIO * max(1, self._words[other]) and best[:4] == other[:4]
            if _stem(best) != _stem(other) and (_opposed(best, other) or not clear):
                return None
        return best

    def _split(self, word: str) -> str | None:
        """Two known words typed as one."""
        words = self._words
        best: tuple[int, str] | None = None
        for cut in range(2, len(word) - 1):
            left, right = word[:cut], word[cut:]
            if len(left) >= _PART and left in words:
                good = right in _AFTER or (len(right) >= _PART and right in words)
            else:
                good = left in _BEFORE and len(right) >= _PART and right in words
            if good:
                weight = min(words.get(left, 1), words.get(right, 1))
                if best is None or weight > best[0]:
                    best = (weight, f"{left} {right}")
        return best[1] if best else None


def _opposed(one: str, other: str) -> bool:
    """Whether two words begin with prefixes that oppose each other."""
    for rivals in _RIVALS:
        ours = next((prefix for prefix in rivals if one.startswith(prefix)), "")
        theirs = next((prefix for prefix in rivals if other.startswith(prefix)), "")
        if ours and theirs and ours != theirs:
            return True
    return False


def _safe(word: str, known: str) -> bool:
    """Whether taking `word` for `known` cannot make another disease of it."""
    if _opposed(word, known):
        return False
    ours, theirs = _ending(word), _ending(known)
    if ours and theirs and ours != theirs:
        return False
    # In a short word the first letter is seldom wrong, and changing it makes another word.
    return word[0] == known[0] or len(word) > _TWO_ERRORS or word[:2] == known[1::-1]
