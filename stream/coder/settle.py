"""What codes become once the line is seen whole: old diseases, words that another code already says.

`old.tsv`: a disease told as history, or that began long enough ago, is coded to what is left of it. `absorbed.tsv`: a
code that another one of its segment already holds. `triggers.tsv`: words anywhere on the certificate that tell its
manner where the box does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stream.coder.context import CONDITIONS
from stream.coder.stems import stems, tokens
from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.text.normal import normalise

_HERE = Path(__file__).parent
_MANNERS = frozenset({"suicide", "homicide", "accident", "undetermined"})


@dataclass(frozen=True, slots=True)
class Old:
    """Categories first to last are coded `code` when told as history or begun at least so many days ago.

    An empty code means that nothing is coded then; infinite days, that only history changes the code.
    """

    first: str
    last: str
    code: str
    days: float


@dataclass(frozen=True, slots=True)
class Absorbed:
    """`code` is dropped where its segment, or anything on its `line`, holds a code of first to last.

    The two are categories ("C77") or codes ("P07.2"), both inclusive.
    """

    code: str
    first: str
    last: str
    scope: str = "segment"

    def holds(self, code: str) -> bool:
        """Whether a code lies in the range."""
        return self.first <= code[: len(self.first)] and code[: len(self.last)] <= self.last


def _rows(name: str, columns: int) -> list[tuple[str, list[str]]]:
    rows = []
    for number, row in enumerate((_HERE / name).read_text(encoding="utf-8").splitlines()[1:], start=2):
        cells = row.split("\t")
        if len(cells) != columns:
            raise InvalidData(f"{name}:{number}: {len(cells)} columns, not {columns}")
        rows.append((f"{name}:{number}", cells))
    return rows


@cache
def read_old() -> tuple[Old, ...]:
    """Rows of `old.tsv`; InvalidData names the one at fault."""
    found = []
    for where, (first, last, code, days, _) in _rows("old.tsv", 5):
        if (code and not icd10.load().valid(code)) or (days and not days.isdigit()) or first > last:
            raise InvalidData(f"{where}: range, code or days")
        found.append(Old(first, last, code, float(days) if days else math.inf))
    return tuple(found)


@cache
def read_absorbed() -> tuple[Absorbed, ...]:
    """Rows of `absorbed.tsv`; InvalidData names the one at fault."""
    found = []
    for where, (code, first, last, scope, _) in _rows("absorbed.tsv", 5):
        if not icd10.load().valid(code) or first > last or scope not in ("segment", "line"):
            raise InvalidData(f"{where}: code, range or scope")
        found.append(Absorbed(code, first, last, scope))
    return tuple(found)


@cache
def read_triggers() -> dict[tuple[str, ...], str]:
    """Condition of each trigger's stems, "" for a phrase that is none; InvalidData names the row at fault."""
    found = {}
    for where, (text, condition, _) in _rows("triggers.tsv", 3):
        if condition and condition not in CONDITIONS:
            raise InvalidData(f"{where}: unknown condition {condition}")
        found[stems(normalise(text).text)] = condition
    return found


def old_code(code: str, history: bool, days: float | None) -> str:
    """The code of what is left of a disease, empty for nothing; itself when it is not old or nothing changes it."""
    for row in read_old():
        if row.first <= code[:3] <= row.last and (history or (days is not None and days >= row.days)):
            return row.code
    return code


def absorbed(codes: Sequence[str], scope: str = "segment") -> set[int]:
    """Indices, among the codes of one segment or of a line, of those that another one already says."""
    if len(codes) < 2:
        return set()
    return {
        i
        for row in read_absorbed()
        for i, code in enumerate(codes)
        if row.scope == scope and code == row.code and any(row.holds(other) and other != code for other in codes)
    }


def told_manner(lines: Iterable[str], holds: frozenset[str]) -> frozenset[str]:
    """Conditions with the manner that the text tells, where the box tells none: suicide before homicide before accident.

    Args:
        lines: normalised lines of the certificate.
        holds: conditions already known.
    """
    if holds & _MANNERS:
        return holds
    triggers = read_triggers()
    longest = max(len(key) for key in triggers)
    told: set[str] = set()
    for line in lines:
        words = [t.stem for t in tokens(line) if t.stem]
        at = 0
        while at < len(words):
            for size in range(min(longest, len(words) - at), 0, -1):
                condition = triggers.get(tuple(words[at : at + size]))
                if condition is not None:
                    told.add(condition)
                    at += size - 1
                    break
            at += 1
    for manner in ("suicide", "homicide", "accident"):
        if manner in told:
            return holds | {manner}
    return holds
