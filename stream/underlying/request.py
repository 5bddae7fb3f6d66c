"""What the ranker is asked: a certificate's mentions, what the rules make of each, and how they relate.

One certificate is one ASCII string (`RankRequest.row`), every value one character, so that a server reads a row by two
reshapes (`model_repo/underlying/1/model.py`)::

    N | HEAD characters about the certificate | N x TOKEN characters | N x N characters, relation of each pair

A value v is written chr(33 + v). Tokens are the mentions first, Part I from the top, then codes that are not on the
certificate but that a rule would make of one of them. The string is all that an answer depends on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stream.coding import Underlying
from stream.underlying.case import Case, Trail, case_of
from stream.underlying.causes import Causes
from stream.underlying.codes import bare
from stream.underlying.external import EXTERNAL, INJURY
from stream.underlying.selection import answer, by_rules, nothing, outcome
from stream.underlying.sequence import Mention, caused
from stream.underlying.tables import Tables

MENTIONS = 24
"""Mentions that are looked at; what stands beyond hardly ever matters."""
MADE = 12
"""Codes made by rules that are looked at."""
HEAD = 16
TOKEN = 14
_ZERO = 33
_MANNERS = ("NATURAL", "ACCIDENT", "SUICIDE", "HOMICIDE", "UNDETERMINED")
_STEPS = ("SP1", "SP2", "SP3", "SP4", "SP5", "SP6", "SP7", "SP8", "M1", "M2", "M4")

# Relation of a token to another, one bit each.
CAUSES, CAUSED, OBVIOUS, OBVIOUS_FOR, MAKES = 1, 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class RankRequest:
    """A certificate as the ranker sees it.

    Attributes:
        row: the string described above.
        codes: written code of each token.
    """

    row: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Considered:
    """A certificate that the rules have been through.

    Attributes:
        case: its mentions.
        cause: the rules' underlying cause, with their own confidence.
        request: what to ask the ranker; None where there is but one code to choose.
        from_text: whether Causa read the codes from the physician's words.
    """

    case: Case
    cause: Underlying
    request: RankRequest | None = None
    from_text: bool = False

    @property
    def selected(self) -> str:
        """The rules' underlying cause as the code that the tables and the ranker go by; empty where there is none."""
        code = self.cause.code or ""
        return next((m.code for m in self.case.everything if m.written == code), bare(code))


def consider(causes: Causes, tables: Tables) -> Considered:
    """The rules' underlying cause, and what to ask the ranker."""
    case = case_of(causes)
    if not case.everything:
        return Considered(case, nothing(causes))
    trail = Trail()
    found = by_rules(case, tables, trail)
    request = rank_request(causes, case, tables, found, trail)
    asked = request if len(set(request.codes)) > 1 else None
    return Considered(case, answer(causes, case, found, trail, tables), asked, causes.from_text)


def rank_request(causes: Causes, case: Case, tables: Tables, found: Mention, trail: Trail) -> RankRequest:
    """The request for a certificate with at least one usable code, and what the rules found on it."""
    mentions = case.everything[:MENTIONS]
    made: dict[str, Mention] = {}
    makers: list[str] = []
    known = {m.code for m in mentions}
    outcomes: dict[tuple[str, int], Mention] = {}
    for m in mentions:
        key = m.code, m.line
        if key not in outcomes:
            outcomes[key] = outcome(m, case, tables)
        makers.append(outcomes[key].code)
    for m in (found, *outcomes.values()):
        if m.code not in known and len(made) < MADE:
            made.setdefault(m.code, m)
    tokens = [*mentions, *made.values()]
    number = len(mentions)
    passed = {m.code for m in trail.passed}
    first = trail.passed[0]
    head = _head(causes, case, trail)
    body = [
        _token(m, case, tables, is_made=i >= number, answer=m.code == found.code, start=m == first,
               was_passed=m.code in passed, kept=i < number and makers[i] == m.code)
        for i, m in enumerate(tokens)
    ]  # fmt: skip
    pairs = _pairs(tokens, number, makers, tables)
    row = chr(_ZERO + len(tokens)) + head + "".join(body) + pairs
    return RankRequest(row, tuple(m.written for m in tokens))


def _head(causes: Causes, case: Case, trail: Trail) -> str:
    age = causes.age_days
    steps = {step.partition(":")[0] for step in trail.steps}
    rules = [int(step in steps) for step in _STEPS]
    values = [
        "UMF".index(causes.sex),
        0 if age is None else _age(age),
        int(case.neonatal),
        1 + _MANNERS.index(case.manner) if case.manner in _MANNERS else 0,
        min(6, len(case.lines)),
        int(causes.from_text),
        sum(bit << i for i, bit in enumerate(rules[:5])),
        sum(bit << i for i, bit in enumerate(rules[5:])),
        int(any(step.endswith("; derived") for step in trail.steps)),
        min(30, len(case.everything)),
    ]
    return _characters(values + [0] * (HEAD - len(values)))


def _age(days: float) -> int:
    """Age group: 1 the first day, 2 the first week, 3 the first month, 4 the first year, then by five years."""
    if days < 365:
        return 1 + sum(days >= limit for limit in (1, 7, 28))
    return min(24, 5 + int(days / 365.25 / 5))


def _token(
    m: Mention, case: Case, tables: Tables, *, is_made: bool, answer: bool, start: bool, was_passed: bool, kept: bool
) -> str:
    line = case.lines[m.line] if 0 <= m.line < len(case.lines) and not is_made else ()
    place = next((i for i, other in enumerate(line) if other is m), 0)
    above = [o for upper in case.lines[: max(0, m.line)] for o in upper] if not is_made else []
    below = case.lines[m.line + 1] if line and m.line + 1 < len(case.lines) else ()
    flags = [
        is_made, answer, start, was_passed, kept, m.code in tables.ill_defined,
        m.code in tables.trivial, m.code in EXTERNAL, m.code in INJURY,
        bool(above) and all(caused(o, m, tables.causal) for o in above),
        bool(below) and caused(m, below[0], tables.causal),
        bool(line) and m.line == len(case.lines) - 1,
    ]  # fmt: skip
    code = (m.code + "   ")[:4]
    low = sum(int(bit) << i for i, bit in enumerate(flags[:6]))
    high = sum(int(bit) << i for i, bit in enumerate(flags[6:]))
    values = [
        min(20, m.line + 1) if not is_made else 21, min(10, len(case.lines) - m.line) if line else 0, min(8, place),
        min(8, len(line)), low, high, 0 if m.days is None else 1 + _duration(m.days),
    ]  # fmt: skip
    return _letters(code) + _characters(values + [0] * (TOKEN - 4 - len(values)))


def _letters(code: str) -> str:
    """Four characters of a bare code; a missing one is a dot."""
    return "".join(c if 33 <= ord(c) < 127 else "." for c in code)


def _duration(days: float) -> int:
    """Group of a duration, by factors of about three from an hour on."""
    return max(0, min(12, int(2 * math.log10(max(days, 0.01) * 24) + 1)))


def _pairs(tokens: Sequence[Mention], number: int, makers: Sequence[str], tables: Tables) -> str:
    can = tables.causal.can
    obvious = tables.obvious.causes
    size = len(tokens)
    relation = [[0] * size for _ in range(size)]
    for i, one in enumerate(tokens):
        sets = obvious(one.code)
        for j, other in enumerate(tokens):
            if i == j:
                continue
            if can(one.code, other.code):
                relation[i][j] |= CAUSES
                relation[j][i] |= CAUSED
            if any(other.code in codes for codes in sets):
                relation[i][j] |= OBVIOUS
                relation[j][i] |= OBVIOUS_FOR
            if i < number and makers[i] == other.code and makers[i] != one.code:
                relation[i][j] |= MAKES
    return "".join(_characters(line) for line in relation)


def _characters(values: Sequence[int]) -> str:
    return "".join(chr(_ZERO + v) for v in values)
