"""What there is to write with: expressions by code, drawn as often as certificates mention their codes.

What is held out is decided here, by hashes that depend on nothing else: one expression in `HELD_OUT` (no training line
holds it) and one pair of neighbouring categories in `HELD_PAIRS` (no training line has two mentions of the two side by
side).
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Iterable, Sequence
from functools import cache

from stream.coder import expressions
from stream.coder.expressions import Expression
from stream.nomenclature import icd10
from training import statistics, written
from training.written import Written

HELD_OUT = 20
"""One expression in this many is held out, chosen by a hash of its words."""
HELD_PAIRS = 50
"""One pair of categories in this many is held out, chosen by a hash of the two."""
_LONGEST = 8
"""Words of a written mention that may serve as an expression elsewhere; longer ones tell a story of their own."""


def held_out(expression: Expression) -> bool:
    """Whether an expression is kept out of training lines."""
    return expression.source != "cim10" and _held_text(expression.text)


def _held_text(text: str) -> bool:
    return zlib.crc32(text.lower().encode()) % HELD_OUT == 0


@cache
def kept_out() -> frozenset[str]:
    """The held-out expressions' words, in small letters."""
    return frozenset(e.text.lower() for e in expressions.load() if held_out(e))


def held_pair(one: str, other: str) -> bool:
    """Whether no training line has these codes' categories side by side."""
    first, second = sorted((one[:3], other[:3]))
    return first != second and zlib.crc32(f"{first} {second}".encode()) % HELD_PAIRS == 0


class Pool:
    """Expressions to draw from.

    Args:
        rng: where chance comes from.
        held: the held-out expressions of the lexicon alone, or all others.
        certificates: written ones whose mentions join the lexicon's expressions, or are not held out.
    """

    def __init__(self, rng: random.Random, *, held: bool, certificates: Iterable[Written] = ()) -> None:
        self._rng = rng
        nomenclature = icd10.load()
        own = list(expressions.load())
        certificates = list(certificates)
        self.flat = [e for e in own if held_out(e) == held]
        if held:  # what a physician's hand wrote too has been learnt
            written = {line.text[a:b].lower() for c in certificates for line in c.lines for a, b, _ in line.mentions}
            self.flat = [e for e in self.flat if e.text.lower() not in written]
        labels: list[Expression] = []
        if not held:
            self.flat += _mentions(certificates, {e.text.lower() for e in own})
            labels = [e for e in expressions.labels(nomenclature) if e.text.lower() not in kept_out()]
        self._own: dict[str, list[Expression]] = {}
        self._all: dict[str, list[Expression]] = {}
        for expression in self.flat:
            self._own.setdefault(expression.codes[0], []).append(expression)
        for expression in (*self.flat, *labels):
            self._all.setdefault(expression.codes[0], []).append(expression)
        mentions, sizes, followers = statistics.read()
        self._codes = list(self._all)
        # The root evens the draw out: a code that one certificate in a million has must be learnt too.
        weights = [(mentions.get(code, 0) + 4.0) ** 0.55 for code in self._codes]
        self._weights = list(itertools.accumulate(weights))
        self._letters: dict[str, tuple[list[str], list[float]]] = {}
        for code, weight in zip(self._codes, weights, strict=True):
            codes, total = self._letters.setdefault(code[0], ([], []))
            codes.append(code)
            total.append(weight + (total[-1] if total else 0.0))
        self._sizes = list(sizes)
        self._size_weights = [sizes[k] ** 0.75 for k in self._sizes]
        self._after = {
            code: [(c, n**0.7) for c, n in after.items() if c in self._all] for code, after in followers.items()
        }

    def size(self) -> int:
        """How many causes a line holds."""
        return min(6, self._rng.choices(self._sizes, self._size_weights)[0])

    def any(self) -> Expression:
        """Any expression, each as likely."""
        return self._rng.choice(self.flat)

    def draw(self, before: Expression | None = None) -> Expression:
        """Any expression, or one of a code drawn by its frequency, often of those that follow `before`."""
        if self._rng.random() < 0.35:
            return self.any()
        code = self._rng.choices(self._codes, cum_weights=self._weights)[0]
        after = self._after.get(before.codes[-1]) if before else None
        if after and self._rng.random() < 0.65:
            code = self._rng.choices([c for c, _ in after], [n for _, n in after])[0]
        return self.of(code)

    def of(self, code: str) -> Expression:
        """An expression whose main code this is, rather the lexicon's than the nomenclature's label."""
        own = self._own.get(code)
        return self._rng.choice(own if own and self._rng.random() < 0.9 else self._all[code])

    def like(self, code: str) -> Expression:
        """An expression of the same code, or of another one of its letter: what may stand in its place."""
        if code in self._own and self._rng.random() < 0.4:
            return self._rng.choice(self._own[code])
        codes, weights = self._letters.get(code[0], (self._codes, self._weights))
        return self.of(self._rng.choices(codes, cum_weights=weights)[0])


def _mentions(certificates: Iterable[Written], known: set[str]) -> list[Expression]:
    """Mentions of written certificates as expressions: short ones that the lexicon lacks."""
    found: dict[tuple[str, tuple[str, ...]], Expression] = {}
    for certificate in certificates:
        for line in certificate.lines:
            for start, end, codes in line.mentions:
                text = line.text[start:end]
                text = text.lower() if text.isupper() and len(text) > 6 else text
                if text.lower() in known or len(text.split()) > _LONGEST or _held_text(text):
                    continue
                found.setdefault((text, codes), Expression(text, codes, "", f"written:{certificate.id}"))
    return list(found.values())


def neighbours_held(mentions: Sequence[Sequence[str]]) -> bool:
    """Whether two mentions that stand side by side, told by their codes, are a held-out pair."""
    return any(held_pair(one[-1], other[0]) for one, other in itertools.pairwise(mentions))


def load_written() -> Sequence[Written]:
    """Written certificates that train."""
    return written.load("train")
