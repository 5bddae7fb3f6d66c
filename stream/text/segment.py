"""A line cut at its connectors: what stands in it, how each part relates to the one before, and how it is asserted.

Connectors are in `connectors.tsv` (``expression  relation  condition  note``): AND parts a list, DUE_TO announces the
cause of what precedes, LEADS_TO its consequence; KEEP marks an expression that holds a connector and is not cut.
Negation, doubt and history are in `assertions.tsv` (``expression  assertion  scope  condition  note``), where the scope
says what is meant: ``next`` the next word alone, ``after`` what follows up to the next connector (a new segment
begins there), ``line`` what follows
up to the end of the line, ``before`` what precedes in the segment, ``segment`` all of it; AFFIRMED marks an expression
that only looks like one of them. Conditions are those of `stream.text.tables`.

Connectors and the words of an assertion at a segment's edge lie outside its span. A segment has one assertion. One
that is "sequelae of" is never history: a sequela is present.

>>> from stream.text.normal import normalise
>>> line = normalise("Insuffisance cardiaque et rénale secondaire à une probable sepsis, pas d'embolie")
>>> for s in segment(line):
...     print(s.relation, s.assertion, s.elliptic, line.text[s.start:s.end])
NONE AFFIRMED False insuffisance cardiaque
AND AFFIRMED True renale
DUE_TO PROBABLE False sepsis
AND NEGATED False embolie
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from stream.coding import Assertion
from stream.text.normal import NormalText
from stream.text.tables import Beside, Expressions, Words, expression, packaged, rows


class Relation(StrEnum):
    """What a segment is to the one before it."""

    NONE = "NONE"
    AND = "AND"
    DUE_TO = "DUE_TO"
    LEADS_TO = "LEADS_TO"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a line, ``text[start:end]`` of its normal form.

    Attributes:
        relation: NONE for the first; AND: one more of a list; DUE_TO: this one caused the one before; LEADS_TO: the one
            before caused this one.
        assertion: how the physician asserts it.
        elliptic: it is only adjectives ("et rénale"), so its noun is the one before's.
        said: where the words stand that assert it so; None when none do.
        reach: where an expression that ends in it may begin: at the words of assertion and of enumeration before it
            ("porteur de BLSE", "ancien fumeur"), not at those that name a cause ("suite à COVID").
    """

    start: int
    end: int
    relation: Relation
    assertion: Assertion = Assertion.AFFIRMED
    elliptic: bool = False
    said: tuple[int, int] | None = None
    reach: int = 0


class Scope(StrEnum):
    """What an expression of assertion governs."""

    NEXT = "next"
    AFTER = "after"
    BEFORE = "before"
    SEGMENT = "segment"
    LINE = "line"


@dataclass(frozen=True, slots=True)
class _Claim:
    assertion: Assertion
    scope: Scope


@dataclass(frozen=True, slots=True)
class _Told:
    """An assertion with the words, both inclusive, that say it; -1 for a question mark, which is no word."""

    assertion: Assertion
    first: int = -1
    last: int = -1


@dataclass(slots=True)
class _Laid:
    """A segment laid down, by its words: the first and last, both inclusive, and the first that it reaches back to."""

    first: int
    last: int
    relation: Relation
    told: _Told
    reach: int


_KEEP = "KEEP"
_ARTICLES = frozenset(("un", "une", "l", "le", "la", "les", "d", "de", "du", "des", "a", "au", "aux", "en"))
_PUNCTUATION = frozenset(",;:()/+.-<>%?")
_LOOSE = frozenset(("ou", "ni"))
"""Connectors across which what was denied or doubted stays so ("pas d'embolie ni d'infarctus")."""
_SEQUELA = "sequel"
_PLAIN, _DOUBT = _Told(Assertion.AFFIRMED), _Told(Assertion.PROBABLE)


def read_connectors(lines: Sequence[str], name: str = "connectors.tsv") -> Expressions[Relation | None]:
    """Connectors from their lines; None stands for KEEP. InvalidData names the line at fault."""
    entries: list[tuple[str, Beside, Relation | None]] = []
    seen: set[tuple[str, str]] = set()
    for row in rows(lines, ("expression", "relation", "condition", "note"), name):
        text, relation, condition, _ = row.cells
        folded = expression(text)
        try:
            entry = (folded, Beside.parse(condition), None if relation == _KEEP else Relation(relation))
        except ValueError as error:
            raise row.fault(str(error)) from error
        if (folded, condition) in seen:
            raise row.fault(f"{text} is there twice")
        seen.add((folded, condition))
        entries.append(entry)
    return Expressions(entries)


def read_assertions(lines: Sequence[str], name: str = "assertions.tsv") -> Expressions[_Claim]:
    """Expressions of negation, doubt and history from their lines; InvalidData names the line at fault."""
    entries: list[tuple[str, Beside, _Claim]] = []
    seen: set[tuple[str, str]] = set()
    for row in rows(lines, ("expression", "assertion", "scope", "condition", "note"), name):
        text, assertion, scope, condition, _ = row.cells
        folded = expression(text)
        try:
            entries.append((folded, Beside.parse(condition), _Claim(Assertion(assertion), Scope(scope))))
        except ValueError as error:
            raise row.fault(str(error)) from error
        if (folded, condition) in seen:
            raise row.fault(f"{text} is there twice")
        seen.add((folded, condition))
    return Expressions(entries)


def read_adjectives(lines: Sequence[str], name: str = "adjectives.tsv") -> tuple[Words, Words]:
    """Adjectives that an elliptic part is made of, and the words that may go with them."""
    kinds: dict[str, list[str]] = {"organ": [], "with": []}
    for row in rows(lines, ("word", "kind"), name):
        word, kind = row.cells
        if kind not in kinds:
            raise row.fault(f"unknown kind {kind}", hint="organ or with")
        try:
            Words.parse(word)
        except ValueError as error:
            raise row.fault(str(error)) from error
        kinds[kind].append(word)
    return Words.parse(",".join(kinds["organ"])), Words.parse(",".join(kinds["with"]))


@cache
def _connectors() -> Expressions[Relation | None]:
    return read_connectors(packaged("connectors.tsv"))


@cache
def _assertions() -> Expressions[_Claim]:
    return read_assertions(packaged("assertions.tsv"))


@cache
def _adjectives() -> tuple[Words, Words]:
    return read_adjectives(packaged("adjectives.tsv"))


class _Cutter:
    """Walks once over the words of a line and lays the segments down."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.done: list[_Laid] = []
        self.first = self.last = -1  # the open segment's words, both inclusive; first is -1 when none is open
        self.reach = 0
        self.relation = Relation.NONE
        self.claim: _Told | None = None
        self.following: _Told | None = None  # from an expression that governs what follows
        self.line: _Told | None = None
        self.single = False  # ... that governs one word
        self.weak = True  # the last cut was punctuation
        self.through = False  # ... that opened a bracket
        self.idle = [word in _ARTICLES for word in words]  # words that say nothing at a segment's edge

    def add(self, first: int, last: int) -> None:
        """One more stretch of words for the open segment."""
        if self.first < 0:
            self.first = first
        self.last = last
        if self.single:
            self.close()
            self.following, self.single = None, False

    def close(self) -> bool:
        """Ends the open segment; whether there was one."""
        words, idle = self.words, self.idle
        first, last = self.first, self.last
        while 0 <= first <= last and idle[first]:
            first += 1
        while last >= first >= 0 and idle[last]:
            last -= 1
        there = 0 <= first <= last
        if there:
            claim = self.following or self.claim or self.line or _PLAIN
            sequela = any(word.startswith(_SEQUELA) for word in words[first : last + 1])
            if claim.assertion is Assertion.HISTORY and sequela:
                claim = _PLAIN
            relation = self.relation if self.done else Relation.NONE
            self.done.append(_Laid(first, last, relation, claim, self.reach))
            self.reach = last + 1
            self.relation = Relation.AND
            self.claim = None
        self.first = self.last = -1
        return there

    def cut(self, relation: Relation, word: str, after: int) -> None:
        """Ends a segment at a connector; `after` is the first word behind it."""
        closed = self.close()
        if relation is not Relation.AND:
            self.reach = after
        if closed or (self.following and word in _PUNCTUATION and word not in ":("):
            self.following = self.following if word in _LOOSE else None
        # Of several connectors in a row the one that orders wins ("et secondaire à").
        if closed or relation is not Relation.AND or self.relation is Relation.NONE:
            self.relation = relation
        self.weak = word in _PUNCTUATION
        self.through = word == "("

    def state(self, claim: _Claim, first: int, last: int) -> None:
        """Takes an expression of assertion into account."""
        told = _Told(claim.assertion, first, last)
        if claim.scope in (Scope.NEXT, Scope.AFTER, Scope.LINE):
            self.close()
            self.following = told
            self.single = claim.scope is Scope.NEXT
            if claim.scope is Scope.LINE:
                self.line = told
            return
        open_ = self.first >= 0
        if not open_ and claim.scope is Scope.BEFORE and self.weak and self.done:
            self._restate(told)
            return
        self.claim = told
        if open_:
            self.add(first, last)  # amid a segment its span goes over it
            self.idle[first : last + 1] = [True] * (last + 1 - first)

    def question(self) -> None:
        """A question mark doubts what precedes it, or, when nothing does, what follows."""
        if self.first >= 0:
            self.claim = _DOUBT
            self.close()
            self.weak, self.through = True, False
        elif self.through and self.done:
            self._restate(_DOUBT)
        else:
            self.claim = _DOUBT

    def _restate(self, told: _Told) -> None:
        self.done[-1].told = told


def _enumerates(words: list[str], index: int, expected: str, *, fresh: bool) -> bool:
    """Whether a number opens an item of a list: "1) HTA 2) diabète", "1/ HTA 2/ diabète"."""
    number = words[index]
    if not number.isdigit() or len(number) > 2 or index + 2 >= len(words) or not words[index + 2][0].isalpha():
        return False
    return words[index + 1] in (")", "/", "-", ".", ":") and number == expected and (fresh or number != "1")


def segment(text: NormalText) -> tuple[Segment, ...]:
    """Segments of a line, in order; none when it holds no word.

    >>> from stream.text.normal import normalise
    >>> line = normalise("chute -> pneumopathie ? ; ATCD: phlébite, AVC")
    >>> [(str(s.relation), str(s.assertion), line.text[s.start : s.end]) for s in segment(line)][:3]
    [('NONE', 'AFFIRMED', 'chute'), ('LEADS_TO', 'PROBABLE', 'pneumopathie'), ('AND', 'HISTORY', 'phlebite')]
    """
    words = text.text.split()
    if not words:
        return ()
    connectors, assertions = _connectors(), _assertions()
    cutter = _Cutter(words)
    index, item = 0, 1
    while index < len(words):
        word = words[index]
        joint = connectors.at(words, index)
        claim = assertions.at(words, index)
        if word == "?":
            cutter.question()
            index += 1
        elif claim and (joint is None or claim[0] >= joint[0]):
            size, meaning = claim
            if joint and meaning.scope is Scope.AFTER:
                cutter.cut(joint[1] or Relation.AND, word, index)
            if meaning.assertion is Assertion.AFFIRMED:
                cutter.add(index, index + size - 1)
            else:
                cutter.state(meaning, index, index + size - 1)
            index += size
        elif joint:
            size, relation = joint
            if relation is None:
                cutter.add(index, index + size - 1)
            else:
                cutter.cut(relation, word, index + size)
            index += size
        elif _enumerates(words, index, str(item), fresh=cutter.first < 0):
            cutter.cut(Relation.AND, ",", index)
            item += 1
            index += 2
        else:
            cutter.add(index, index)
            index += 1
    cutter.close()
    return _spans(words, cutter.done)


def _spans(words: list[str], done: list[_Laid]) -> tuple[Segment, ...]:
    """Word numbers to places in the text."""
    places: list[tuple[int, int]] = []
    at = 0
    for word in words:
        places.append((at, at + len(word)))
        at += len(word) + 1
    organs, with_ = _adjectives()
    out = []
    for number, laid in enumerate(done):
        inside, told = words[laid.first : laid.last + 1], laid.told
        adjectives = number > 0 and any(w in organs for w in inside) and all(w in organs or w in with_ for w in inside)
        elliptic = adjectives and laid.relation is not Relation.LEADS_TO
        start, end, reach = places[laid.first][0], places[laid.last][1], places[min(laid.reach, laid.first)][0]
        said = (places[told.first][0], places[told.last][1]) if told.first >= 0 else None
        out.append(Segment(start, end, laid.relation, told.assertion, elliptic, said, reach))
    return tuple(out)


def assertion_at(segments: Sequence[Segment], start: int, end: int, *, literal: bool = False) -> Assertion:
    """How a span of the text is asserted: as the segment that covers most of it; AFFIRMED outside all of them.

    Args:
        segments: the line's segments.
        start: first character of the span.
        end: its last, exclusive.
        literal: the span is an expression found word for word. Where a denial is part of its words ("bacille gram
            négatif", "sans abri"), or a history stands at its edge ("ancien fumeur"), it denies or dates nothing more.
    """
    best: Segment | None = None
    most = 0
    for part in segments:
        if part.start >= end:  # they stand in the order of the text
            break
        shared = min(end, part.end) - max(start, part.start)
        if shared > most:
            best, most = part, shared
    if best is None:
        return Assertion.AFFIRMED
    if literal and best.said:
        first, last = best.said
        inside, edge = start <= first and last <= end, first == start or last == end
        if inside and (best.assertion is Assertion.NEGATED or (edge and best.assertion is Assertion.HISTORY)):
            return Assertion.AFFIRMED
    return best.assertion
