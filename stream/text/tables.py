"""Tables that experts maintain: tab-separated files beside the code, checked line by line when they are read.

A line that begins with # is a comment, the first line is the header. Where a column holds a condition on the words
beside an expression, it is a list of clauses, all of which must hold: ``next:a,b*`` the next word is one of these
(``b*``: a word that begins so), ``prev:a,b*`` the one before is, ``unless:a,b*`` the next word is none of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Generic, TypeVar

from stream.errors import InvalidData
from stream.text.fold import fold

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: where it stands, for messages, and its cells."""

    where: str
    cells: tuple[str, ...]

    def fault(self, what: str, hint: str = "") -> InvalidData:
        """The error that names this line."""
        return InvalidData(f"{self.where}: {what}", hint=hint)


def rows(lines: Sequence[str], header: Sequence[str], name: str) -> Iterator[Row]:
    """Rows of a table under the header that is wanted; InvalidData for a line with too few or too many cells."""
    if not lines or lines[0].split("\t") != list(header):
        raise InvalidData(f"{name}: the first line must name the columns {', '.join(header)}, parted by tabs")
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or (line.startswith("#") and "\t" not in line):
            continue
        row = Row(f"{name}, line {number}", tuple(cell.strip() for cell in line.split("\t")))
        if len(row.cells) != len(header) or not row.cells[0]:
            raise row.fault(f"{len(header)} columns are wanted: {', '.join(header)}")
        yield row


def packaged(name: str) -> list[str]:
    """Lines of a table that comes with the package."""
    return resources.files("stream.text").joinpath(name).read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True, slots=True)
class Words:
    """Words and beginnings of words, as a clause lists them.

    >>> Words.parse("rein,renal*").meets(["insuffisance", "renale"])
    True
    """

    whole: frozenset[str] = frozenset()
    stems: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Words:
        """Words from "a,b*"; ValueError when one is not lower-case ASCII."""
        items = text.split(",")
        for item in items:
            bare = item.removesuffix("*")
            if not (bare.isalnum() and bare.isascii() and bare == bare.lower()):
                raise ValueError(f"words of a clause are lower case, without accents: {item or text}")
        whole = frozenset(item for item in items if not item.endswith("*"))
        return cls(whole, tuple(item.removesuffix("*") for item in items if item.endswith("*")))

    def meets(self, words: Iterable[str]) -> bool:
        """Whether one of `words` is listed."""
        stems = self.stems
        return any(word in self.whole or (stems and word.startswith(stems)) for word in words)

    def __contains__(self, word: str) -> bool:
        return word in self.whole or word.startswith(self.stems)


@dataclass(frozen=True, slots=True)
class Beside:
    """Condition on the words before and after an expression.

    >>> Beside.parse("unless:le,la").holds("pneumopathie", "chute")
    True
    """

    next_: Words | None = None
    prev: Words | None = None
    unless: Words | None = None

    @classmethod
    def parse(cls, text: str) -> Beside:
        """Condition from its clauses; ValueError for one that does not exist."""
        found: dict[str, Words] = {}
        for clause in text.split():
            key, _, value = clause.partition(":")
            if key not in ("next", "prev", "unless") or key in found:
                raise ValueError(f"unknown or repeated condition {clause}")
            found[key] = Words.parse(value)
        return cls(found.get("next"), found.get("prev"), found.get("unless"))

    def holds(self, before: str, after: str) -> bool:
        """Whether the words on both sides (empty at the line's ends) meet the condition."""
        return (
            (self.next_ is None or after in self.next_)
            and (self.prev is None or before in self.prev)
            and (self.unless is None or after not in self.unless)
        )


class Expressions(Generic[T]):
    """Expressions of one or more words with what they mean, found in a list of words, the longest first."""

    def __init__(self, entries: Iterable[tuple[str, Beside, T]]) -> None:
        index: dict[str, list[tuple[tuple[str, ...], Beside, T]]] = {}
        for expression, beside, meaning in entries:
            first, *rest = expression.split()
            index.setdefault(first, []).append((tuple(rest), beside, meaning))
        for found in index.values():
            found.sort(key=lambda entry: -len(entry[0]))
        self._index: Mapping[str, list[tuple[tuple[str, ...], Beside, T]]] = index

    def at(self, words: Sequence[str], index: int) -> tuple[int, T] | None:
        """How many words the expression at `index` takes, and its meaning; None when there is none."""
        for rest, beside, meaning in self._index.get(words[index], ()):
            after = index + 1 + len(rest)
            if rest and tuple(words[index + 1 : after]) != rest:
                continue
            before = words[index - 1] if index else ""
            if beside.holds(before, words[after] if after < len(words) else ""):
                return 1 + len(rest), meaning
        return None


def expression(text: str) -> str:
    """An expression as a data file writes it, in the words of a normalised line.

    >>> expression("à l'origine d'")
    'a l origine d'
    """
    return fold(text)
