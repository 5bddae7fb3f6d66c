"""The expressions in their normal form, and the words they are made of."""

from __future__ import annotations

from collections import Counter
from functools import cache

from stream.coder import expressions
from stream.coder.expressions import Expression
from stream.nomenclature import icd10
from stream.text.noncauses import noncauses
from stream.text.normal import normalise
from stream.text.spelling import Speller

Normal = tuple[Expression, str]


@cache
def normal_expressions() -> tuple[tuple[Normal, ...], tuple[Normal, ...]]:
    """The lexicon's expressions and the labels, each with its normalised text."""
    own = tuple((e, normalise(e.text).text) for e in expressions.load())
    labels = tuple((e, normalise(e.text).text) for e in expressions.labels(icd10.load()))
    return own, labels


@cache
def speller() -> Speller:
    """Speller over the words of the lexicon and the labels; the words that name no cause it leaves as they are."""
    own, labels = normal_expressions()
    words: Counter[str] = Counter()
    for pairs, weight in ((own, 5), (labels, 1)):
        for _, text in pairs:
            for word in text.split():
                words[word] += weight
    return Speller(words, noncauses())
