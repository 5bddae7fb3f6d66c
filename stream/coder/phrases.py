"""Index of expressions by their stems: phrases in order, and bags in any order.

A phrase is found inside a line by walking a trie over the content stems; stop words are stepped over, signs are not.
A bag is found when a whole segment holds just the stems of an expression, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stream.coder.expressions import Expression
from stream.coder.stems import Token, is_word, stems

_END = None
"""Key of a phrase's meaning in the trie: no stem, not even the empty one of a stop word."""
_MOST_PASSED = 3


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sequence of stems stands for: one expression for each condition, the default under ""."""

    by_condition: tuple[tuple[str, Expression], ...]

    def under(self, holds: frozenset[str]) -> Expression | None:
        """The expression under the conditions that hold; one that demands a condition beats the default."""
        default = None
        for condition, expression in self.by_condition:
            if condition == "":
                default = expression
            elif condition in holds:
                return expression
        return default


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase found: tokens `first` to `last` (inclusive), its stems' count and what it stands for."""

    first: int
    last: int
    size: int
    meaning: Meaning


class PhraseIndex:
    """Phrases and bags over a set of expressions, each with its normalised text.

    Args:
        pairs: expressions with their normalised text. Where two share stems and condition, the earlier one stands,
            so the order of `pairs` is their precedence.
        passed: stems that may stand inside a phrase without being of it ("cancer épidermoïde de l'œsophage").
    """

    def __init__(self, pairs: Iterable[tuple[Expression, str]], passed: frozenset[str] = frozenset()) -> None:
        self._passed = passed
        meanings: dict[tuple[str, ...], dict[str, Expression]] = {}
        for expression, text in pairs:
            key = stems(text)
            if key:
                meanings.setdefault(key, {}).setdefault(expression.when, expression)
        self._trie: dict[str | None, Any] = {}
        self._bags: dict[frozenset[str], Meaning] = {}
        self._by_stem: dict[str, list[tuple[str, ...]]] = {}
        self._meanings: dict[tuple[str, ...], Meaning] = {}
        for key, by_condition in meanings.items():
            meaning = Meaning(tuple(sorted(by_condition.items())))
            self._meanings[key] = meaning
            node = self._trie
            for part in key:
                node = node.setdefault(part, {})
            node[_END] = meaning
            self._bags.setdefault(frozenset(key), meaning)
            for part in set(key):
                self._by_stem.setdefault(part, []).append(key)

    def __len__(self) -> int:
        return len(self._meanings)

    def knows(self, stem: str) -> bool:
        """Whether any expression holds this stem."""
        return stem in self._by_stem

    def phrase(self, key: Sequence[str]) -> Meaning | None:
        """Meaning of exactly these stems, in this order."""
        return self._meanings.get(tuple(key))

    def bag(self, key: Iterable[str]) -> Meaning | None:
        """Meaning of just these stems, in any order."""
        return self._bags.get(frozenset(key))

    def near(self, key: Sequence[str], limit: int = 400) -> Iterator[tuple[str, ...]]:
        """Expressions that share the rarest known stem of `key`: the candidates of a fuzzy match."""
        known = sorted((s for s in set(key) if s in self._by_stem), key=lambda s: len(self._by_stem[s]))
        for part in known[:2]:
            yield from self._by_stem[part][:limit]

    def find(self, tokens: Sequence[Token]) -> list[Hit]:
        """Every phrase inside a line; overlapping ones too."""
        hits: list[Hit] = []
        for first, token in enumerate(tokens):
            if token.stem and token.stem in self._trie and is_word(token):
                ways = [(first, 1, self._trie[token.stem])]
                while ways:
                    last, size, node = ways.pop()
                    if _END in node:
                        hits.append(Hit(first, last, size, node[_END]))
                    step = last + 1
                    while step < len(tokens) and not tokens[step].stem:
                        step += 1
                    if step == len(tokens):
                        continue
                    if tokens[step].stem in node:
                        ways.append((step, size + 1, node[tokens[step].stem]))
                    # An epithet may be of a phrase or stand in one that is made without it: both are tried.
                    if tokens[step].stem in self._passed:
                        past = self._past(tokens, step)
                        if past < len(tokens) and tokens[past].stem in node:
                            ways.append((past, size + 1, node[tokens[past].stem]))
        return hits

    def _past(self, tokens: Sequence[Token], step: int) -> int:
        """The first token behind words that a phrase may hold without being made of them."""
        end = min(len(tokens), step + _MOST_PASSED)
        while step < end and (not tokens[step].stem or tokens[step].stem in self._passed):
            step += 1
        return step


def best_cover(hits: Sequence[Hit]) -> list[Hit]:
    """Hits that do not overlap and cover the most stems with the fewest phrases, in order.

    Weighted interval scheduling: a phrase of n stems is worth n squared, so one long phrase beats its parts.
    """
    ordered = sorted(hits, key=lambda h: (h.last, h.first))
    best: list[tuple[int, list[Hit]]] = [(0, [])]
    ends: list[int] = [-1]
    for hit in ordered:
        before = max(i for i, end in enumerate(ends) if end < hit.first)
        worth = best[before][0] + hit.size * hit.size
        if worth > best[-1][0]:
            best.append((worth, [*best[before][1], hit]))
            ends.append(hit.last)
    return best[-1][1]
