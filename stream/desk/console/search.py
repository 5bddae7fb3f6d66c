"""The search of the ICD: by code, by label, by the lexicon's expressions, whatever way a hurried hand types them.

An index in memory, made once at start from the nomenclature and the lexicon. A query is read as a code where it looks like
one, else as words: accents, capitals and hyphens do not count, plural and feminine do not either, a word may be begun only
("insuf resp"), misspelt ("anevrisme", "schwanome"), or be an abbreviation of physicians. What all of the query's words say
and little else stands first; between equals, what the lexicon holds the most ways to write.

>>> from stream.desk.console.search import load
>>> [hit.code for hit in load().search("i21.9")[:1]], [hit.code for hit in load().search("infarctus du myocard")[:1]]
(['I21.9'], ['I21.9'])
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from stream.coder import expressions
from stream.coder.expressions import Expression
from stream.coder.stems import tokens
from stream.desk.console.hits import Hit, Person
from stream.desk.console.vocabulary import Vocabulary
from stream.nomenclature import edits, icd10
from stream.text.fold import fold
from stream.text.normal import Hints, normalise

SHOWN = 12
"""Hits that a list shows: more than fit under an eye are not read."""
QUERY = 200
"""Characters of a query that are looked at."""
_WORDS = 16
_SPARE = 0.35
"""How much a word counts against an expression that holds it and that the query does not."""
_LEAST = 0.45
"""Least share of a query that an expression must answer."""
_OWN, _LABEL = 0.02, 0.0
_COMMON = 0.012
_FITS = 0.05
_LETTER_FOR_FIGURE = str.maketrans("OILSB", "01158")
_CODE = re.compile(r"([A-Z])([0-9OILSB]{1,2})[ .,]?([0-9OILSB]?)[0-9]*[+*†]?")

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.int32]


class Search:
    """The index. Immutable but for its caches; safe to share between threads.

    Args:
        own: the lexicon's expressions.
        nomenclature: codes and labels.
    """

    def __init__(self, own: Iterable[Expression], nomenclature: icd10.Nomenclature) -> None:
        self._nomenclature = nomenclature
        self._codes = sorted(nomenclature)
        lexicon = list(own)
        labels = [Expression(nomenclature.label(code), (code,), "", "cim10") for code in self._codes]
        self._texts = [*lexicon, *labels]
        ways: dict[str, int] = defaultdict(int)
        for expression in lexicon:
            ways[expression.codes[0]] += 1
        most = math.log1p(max(ways.values(), default=1))
        held: dict[str, list[int]] = defaultdict(list)
        stem_of: dict[str, str] = {}
        sizes: list[list[str]] = []
        for place, expression in enumerate(self._texts):
            text = expression.text.removesuffix(", sans précision") if place >= len(lexicon) else expression.text
            found = {token.stem: token.text for token in tokens(fold(text)) if token.stem and token.text[0].isalnum()}
            for stem, word in found.items():
                held[stem].append(place)
                stem_of[word] = stem
            sizes.append(list(found))
        count = len(self._texts)
        self._held: dict[str, Places] = {stem: np.array(places, np.int32) for stem, places in held.items()}
        # A word that half of the nomenclature holds says little of what is looked for.
        self._mass = {stem: math.log(1 + count / (1 + len(places))) for stem, places in held.items()}
        self._rarest = math.log(1 + count)
        self._masses = np.array([sum(self._mass[stem] for stem in stems) for stems in sizes], np.float32)
        self._prior = np.array(
            [
                (_OWN if place < len(lexicon) else _LABEL) + _COMMON * math.log1p(ways[e.codes[0]]) / most
                for place, e in enumerate(self._texts)
            ],
            np.float32,
        )
        when: dict[str, list[int]] = defaultdict(list)
        for place, expression in enumerate(self._texts):
            if expression.when:
                when[expression.when].append(place)
        self._conditions = {name: np.array(places, np.int32) for name, places in when.items()}
        self._words = Vocabulary(stem_of)

    def __len__(self) -> int:
        return len(self._texts)

    def search(self, query: str, person: Person | None = None, most: int = SHOWN) -> list[Hit]:
        """What a query may mean, likeliest first, each set of codes once.

        Args:
            query: a code, the beginning of one, or words.
            person: who died: an expression that holds for others is left out, one that holds for such a person goes
                first, and a code that is not for that sex or age stands last; None where there is no certificate.
            most: hits wanted.
        """
        query = " ".join(query[:QUERY].split())
        if not query:
            return []
        found = self.coded(query, most)
        if found or person is None:
            return found or self._worded(query, None, most)
        found = [self._fitted(hit, person) for hit in self._worded(query, person, most)]
        return sorted(found, key=lambda hit: hit.unfit)

    def _fitted(self, hit: Hit, person: Person) -> Hit:
        broken = edits.load().check(hit.code, person.sex, person.age_days)
        unfit = any(edit.sex or edit.min_days is not None or edit.max_days is not None for edit in broken)
        return replace(hit, unfit=True) if unfit else hit

    def coded(self, query: str, most: int = SHOWN) -> list[Hit]:
        """Codes that a query begins, what Causa would write for it first; none where it does not look like a code."""
        written = _code(query)
        if written is None:
            return []
        first = self._nomenclature.written(written)
        low = bisect_left(self._codes, written)
        begun = []
        for code in self._codes[low:]:
            if not code.startswith(written):
                break
            begun.append(code)
        ordered = dict.fromkeys([*([first] if first and first.startswith(written[:3]) else []), *begun])
        return [self._hit(code) for code in ordered][:most]

    def _hit(self, code: str) -> Hit:
        label = self._nomenclature.label(code)
        return Hit(code, (code,), label, label, "code", 1.0)

    def _worded(self, query: str, person: Person | None, most: int) -> list[Hit]:
        scores = self._scores(fold(query))
        hints = Hints(sex=person.sex.value, newborn="newborn" in person.holds) if person else Hints()
        long = normalise(query, hints).text
        if long != fold(query):
            other = self._scores(long)
            scores = other if scores is None else scores if other is None else np.maximum(scores, other)
        if scores is None:
            return []
        scores = np.where(scores > 0, scores + self._prior, 0)
        for condition, places in self._conditions.items():
            if person is None:
                scores[places] -= np.minimum(scores[places], _FITS)
            elif condition in person.holds:
                scores[places] += np.where(scores[places] > 0, _FITS, 0)
            else:
                scores[places] = 0
        wanted = min(len(scores), most * 12)
        best = np.argpartition(-scores, wanted - 1)[:wanted]
        hits: dict[tuple[str, ...], Hit] = {}
        for place in sorted(best.tolist(), key=lambda p: (-float(scores[p]), p)):
            score = float(scores[place])
            if score <= 0:
                break
            expression = self._texts[place]
            if expression.codes not in hits:
                label = self._nomenclature.label(expression.codes[0])
                hits[expression.codes] = Hit(
                    expression.codes[0], expression.codes, label, expression.text, expression.source, round(score, 4)
                )
        return list(hits.values())[:most]

    def _scores(self, text: str) -> Floats | None:
        """How well every expression answers a folded query; None where no word of it is known."""
        asked = [token for token in tokens(text) if token.stem and token.text[0].isalnum()][:_WORDS]
        if not asked:
            # "la" or "en" alone: too little to look for.
            return None
        last = asked[-1] if not text.endswith(" ") else None
        total = np.zeros(len(self._texts), np.float32)
        said = np.zeros(len(self._texts), np.float32)
        mass, known = 0.0, False
        for token in asked:
            alike = self._words.alike(token.text, token.stem, begun=token is last or len(token.text) >= 4)
            if not alike:
                mass += self._rarest * 0.5
                continue
            known = True
            heaviest = max(self._mass[stem] for stem, _ in alike[:8])
            own = self._mass.get(token.stem, heaviest)
            mass += own
            here = np.zeros(len(self._texts), np.float32)
            for stem, weight in reversed(alike):  # the best last, so that it stands
                here[self._held[stem]] = weight
            weighed = np.zeros(len(self._texts), np.float32)
            for stem, _ in alike:
                weighed[self._held[stem]] = np.maximum(weighed[self._held[stem]], self._mass[stem])
            total += own * here
            said += weighed
        if not known or mass <= 0:
            return None
        share = total / mass
        spare = np.maximum(self._masses - said, 0) / (mass + self._masses)
        return np.where(share >= _LEAST, share * (1 - _SPARE * spare) - 0.02 * spare, 0).astype(np.float32)


def _code(query: str) -> str | None:
    """The code that a query writes or begins, dotted; None where it is words. ``O`` and ``l`` are read as figures."""
    found = _CODE.fullmatch(query.upper())
    if found is None:
        return None
    letter, category, fourth = found.groups()
    # Two letters are the beginning of a word ("os"), not a code, unless a figure is among them.
    if not any(character.isdigit() for character in category + fourth):
        return None
    category, fourth = category.translate(_LETTER_FOR_FIGURE), fourth.translate(_LETTER_FOR_FIGURE)
    return f"{letter}{category}.{fourth}" if fourth else f"{letter}{category}"


@cache
def load() -> Search:
    """The packaged index: about two seconds of work, once."""
    search = Search(expressions.load(), icd10.load())
    search.search("insuf resp aig")  # reads the abbreviations, which the first coder need not wait for
    return search
