"""Clinical abbreviations: which long form, and when.

The table is `abbreviations.tsv`, four columns: ``short<TAB>long<TAB>when<TAB>note``. A short form that ends in a point
is a truncation ("insuf."): with or without its point it is read the same, and the point is swallowed. A short form may
be of several words ("s/p"). `when` is empty (always) or a list of clauses, all of which must hold:

=================  ====================================================================================
``with:a,b*``      one of these words stands elsewhere in the line (``b*``: a word that begins so)
``not:a,b*``       none of these words does
``next:a,b*``      the next word is one of these
``prev:a,b*``      the previous word is one of these
``sex:F``          the deceased's sex (M or F)
``age:newborn``    a newborn; ``age:older`` for anyone else
``upper``          written in capitals in a line that is not
``dot``            its point is written
``last``           no word follows: the line's end, or a separator
``alone``          there is no other word in the line
``default``        only when no other row of the same short form applies
=================  ====================================================================================

A short form is looked up in this order: rows that name what stands right beside it or how it is written (`next`,
`prev`, `upper`, `dot`, `last`, `alone`), of which the first that holds wins; then `with` and `not` on the words of the
line; then the same on the line and its neighbours; then `default`. From the second step on the long form must be the
only one, or nothing is written out: a wrong expansion costs more than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from stream.errors import InvalidData
from stream.text.fold import fold
from stream.text.tables import Words, packaged
from stream.text.tables import rows as table_rows

_LISTS = ("with", "not", "next", "prev")
_FLAGS = ("upper", "dot", "last", "alone", "default")
_HINT = "see the table of clauses at the top of stream/text/abbreviations.py"


@dataclass(frozen=True, slots=True)
class Sense:
    """One row: a long form and its conditions."""

    long: str
    with_: Words | None = None
    not_: Words | None = None
    next_: Words | None = None
    prev: Words | None = None
    sex: str = ""
    newborn: bool | None = None
    upper: bool = False
    dot: bool = False
    last: bool = False
    alone: bool = False
    default: bool = False

    @property
    def strong(self) -> bool:
        """Whether the row looks at the spot itself, not only at the words around."""
        beside = self.next_ is not None or self.prev is not None or self.last or self.alone
        return beside or self.upper or self.dot


@dataclass(slots=True)
class Spot:
    """Where a short form stands: its neighbours, its looks, and who died."""

    words: Set[str]
    before: str = ""
    after: str = ""
    sex: str = "U"
    newborn: bool = False
    upper: bool = False
    dot: bool = False

    def allows(self, sense: Sense, words: Set[str]) -> bool:
        """Whether every clause of `sense` holds, `with` and `not` on `words`."""
        return (
            (not sense.upper or self.upper)
            and (not sense.dot or self.dot)
            and (not sense.last or not self.after[:1].isalpha())
            and (not sense.alone or not self.words)
            and (not sense.sex or sense.sex == self.sex)
            and (sense.newborn is None or sense.newborn == self.newborn)
            and (sense.next_ is None or sense.next_.meets((self.after,)))
            and (sense.prev is None or sense.prev.meets((self.before,)))
            and (sense.not_ is None or not sense.not_.meets(words))
            and (sense.with_ is None or sense.with_.meets(words))
        )


def _one(senses: Iterable[Sense]) -> str | None:
    longs = {sense.long for sense in senses}
    return longs.pop() if len(longs) == 1 else None


@dataclass(frozen=True, slots=True)
class Entry:
    """All senses of a short form.

    Attributes:
        dotted: it is a truncation, and its point belongs to it.
        certain: it means one thing always.
    """

    short: str
    senses: tuple[Sense, ...]
    dotted: bool = False
    certain: bool = False

    def resolve(self, spot: Spot, around: Set[str] = frozenset(), *, defaults: bool = True) -> str | None:
        """The long form that fits, or None; `around` are the words of the neighbouring lines."""
        plain = []
        for sense in self.senses:
            if sense.strong and not sense.default:
                if spot.allows(sense, spot.words):
                    return sense.long
            elif not sense.default:
                plain.append(sense)
        for words in (spot.words, spot.words | around) if around else (spot.words,):
            fitting = [sense for sense in plain if spot.allows(sense, words)]
            if fitting:
                return _one(fitting)
        if not defaults:
            return None
        everything = spot.words | around
        return _one(sense for sense in self.senses if sense.default and spot.allows(sense, everything))


@dataclass(frozen=True, slots=True)
class Abbreviations:
    """The table, indexed by short form.

    Attributes:
        single: entries of one word.
        phrases: entries of several words, by their first word: the words that follow, and the entry.
        long_words: every word of every long form; the speller leaves them alone.
    """

    single: Mapping[str, Entry]
    phrases: Mapping[str, tuple[tuple[tuple[str, ...], Entry], ...]]
    long_words: frozenset[str]

    def __contains__(self, word: str) -> bool:
        return word in self.single

    def __len__(self) -> int:
        return len(self.single) + sum(len(entries) for entries in self.phrases.values())


def _list(value: str, where: str) -> Words:
    try:
        return Words.parse(value)
    except ValueError as error:
        raise InvalidData(f"{where}: {error}", hint=_HINT) from error


def parse_when(long: str, when: str, where: str = "") -> Sense:
    """A row's `long` and `when` as a Sense; InvalidData for a clause that does not exist.

    >>> parse_when("insuffisance rénale aiguë", "with:rein,renal* age:older").newborn
    False
    """
    fields: dict[str, Words | str | bool] = {}
    for clause in when.split():
        key, _, value = clause.partition(":")
        name = {"with": "with_", "not": "not_", "next": "next_", "age": "newborn"}.get(key, key)
        if name in fields:
            raise InvalidData(f"{where}: the condition {key} is given twice", hint=_HINT)
        if key in _LISTS and value:
            fields[name] = _list(value, where)
        elif key in _FLAGS and not value:
            fields[name] = True
        elif key == "sex" and value in ("M", "F"):
            fields[name] = value
        elif key == "age" and value in ("newborn", "older"):
            fields[name] = value == "newborn"
        else:
            raise InvalidData(f"{where}: unknown condition {clause}", hint=_HINT)
    return Sense(fold(long), **fields)  # type: ignore[arg-type]


def _short(text: str) -> tuple[tuple[str, ...], bool]:
    """Words of a short form as the normaliser sees them, and whether its point belongs to it."""
    folded = fold(text)
    dotted = folded.endswith(".")
    spaced = re.sub(r"(?<!\d)[/+.]|[/+.](?!\d)", r" \g<0> ", folded.rstrip(".")).replace("-", " ")
    return tuple(spaced.split()), dotted


def parse(lines: Sequence[str], name: str = "abbreviations") -> Abbreviations:
    """The table from its lines (the first one is the header); InvalidData names the line at fault."""
    found: dict[tuple[str, ...], list[Sense]] = {}
    dotted: dict[tuple[str, ...], bool] = {}
    seen: set[tuple[str, ...]] = set()
    for row in table_rows(lines, ("short", "long", "when", "note"), name):
        short, long, when, _ = row.cells
        if not long:
            raise row.fault("a long form is wanted", hint=_HINT)
        words, point = _short(short)
        sense = parse_when(long, when, row.where)
        if (*words, when) in seen:
            raise row.fault(f"{short} is there twice under the same condition")
        seen.add((*words, when))
        if words in found and dotted[words] != point:
            raise row.fault(f"{short} stands with and without its point")
        found.setdefault(words, []).append(sense)
        dotted[words] = point
    return _index(found, dotted, name)


def _index(
    rows: Mapping[tuple[str, ...], list[Sense]], dotted: Mapping[tuple[str, ...], bool], name: str
) -> Abbreviations:
    single: dict[str, Entry] = {}
    phrases: dict[str, list[tuple[tuple[str, ...], Entry]]] = {}
    for words, senses in rows.items():
        if len(senses) > 1 and any(sense == Sense(sense.long) for sense in senses):
            raise InvalidData(f"{name}: {' '.join(words)} has several rows, so each needs a condition (or default)")
        certain = len(senses) == 1 and senses[0] == Sense(senses[0].long)
        entry = Entry(" ".join(words), tuple(senses), dotted[words], certain)
        if len(words) == 1:
            single[words[0]] = entry
        else:
            phrases.setdefault(words[0], []).append((words[1:], entry))
    long_words = frozenset(word for senses in rows.values() for sense in senses for word in sense.long.split())
    # A form that looks at its spot may be a common word too ("mal.", "d"); a test runs every long form through.
    again = sorted(word for word in long_words & single.keys() if not all(s.strong for s in single[word].senses))
    if again:
        raise InvalidData(f"{name}: long forms hold words that are short forms themselves: {', '.join(again)}")
    ordered = {first: tuple(sorted(found, key=lambda pair: -len(pair[0]))) for first, found in phrases.items()}
    return Abbreviations(single, ordered, long_words)


@cache
def abbreviations() -> Abbreviations:
    """The table that comes with the package."""
    return parse(packaged("abbreviations.tsv"), "abbreviations.tsv")
