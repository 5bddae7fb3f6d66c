"""The rows of `linkages.tsv`, `derived.tsv`, `obvious.tsv` and `limits.tsv`, compiled.

A linkage row reads: when `selected` is the tentative underlying cause and, for each part of `with` (separated by
``&``), a condition of that set is mentioned (``next`` above, ``above``, ``below``, ``beside`` it,
or anywhere), the cause becomes
`result`: a code, ``=`` (the mentioned condition itself) or ``*5`` (the category of the tentative cause with another
fourth character). `source` says where the row comes from: ``rule …`` written by hand, ``derived n=…`` from certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.errors import InvalidData
from stream.underlying.codes import Codes, is_code

STEPS = ("M1", "M2", "M4")
#: Where a mention stands to the tentative cause: anywhere, on the next used line above it, above it (reported as due to
#: it), below it (reported as its cause), beside it (anywhere but above).
PLACES = ("", "next", "above", "below", "beside")
_MEMORY = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Linkage:
    """One row of `linkages.tsv`; each wanted set has the place where it has to stand, empty for anywhere."""

    step: str
    selected: Codes
    wanted: tuple[tuple[str, Codes], ...]
    result: str
    source: str

    def apply(self, code: str, others: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
        """(new code, the mention that made it) when the row holds for `code`; `others` are the mentions by place."""
        witness = ""
        for place, codes in self.wanted:
            found = next((other for other in others[place] if other in codes), None)
            if found is None:
                return None
            witness = witness or found
        if self.result == "=":
            return witness, witness
        if self.result[0] == "*":
            return code[:3] + self.result[1:], witness
        return self.result, witness


@dataclass(eq=False)
class Linkages:
    """All linkage rows, found by the tentative cause."""

    rows: Sequence[Linkage]
    _known: dict[str, tuple[Linkage, ...]] = field(default_factory=dict)
    _near: dict[str, tuple[Linkage, ...]] = field(default_factory=dict)

    def of(self, code: str) -> tuple[Linkage, ...]:
        """Rows that may change `code`, in the table's order."""
        rows = self._known.get(code)
        if rows is None:
            # By category first: there are few of them, and codes that come for the first time are common.
            near = self._near.get(code[:3])
            if near is None:
                near = self._near[code[:3]] = tuple(row for row in self.rows if row.selected.touches(code[:3]))
            rows = tuple(row for row in near if code in row.selected)
            if len(self._known) < _MEMORY:
                self._known[code] = rows
        return rows


@dataclass(eq=False)
class Obvious:
    """Rows of `obvious.tsv`: effects that are an obvious consequence of causes (SP6)."""

    rows: Sequence[tuple[Codes, Codes]]
    _known: dict[str, tuple[Codes, ...]] = field(default_factory=dict)

    def causes(self, effect: str) -> tuple[Codes, ...]:
        """Sets of conditions of which `effect` is an obvious consequence."""
        rows = self._known.get(effect)
        if rows is None:
            rows = tuple(cause for known, cause in self.rows if effect in known and effect)
            if len(self._known) < _MEMORY:
                self._known[effect] = rows
        return rows


def read_linkages(rows: Iterable[Sequence[str]], name: str) -> Linkages:
    """Compiled linkage rows.

    Raises:
        InvalidData: a row whose step, sets or result do not hold.
    """
    linkages = []
    for number, (step, selected, mentioned, result, source) in enumerate(rows, start=2):
        sound = step in STEPS and selected and mentioned and source
        if not sound or not (result == "=" or re.fullmatch(r"\*\d", result) or is_code(result)):
            raise InvalidData(f"{name}:{number}: not a linkage")
        wanted = tuple(_wanted(part) for part in mentioned.split("&"))
        linkages.append(Linkage(step, Codes(selected), wanted, result, source))
    return Linkages(linkages)


def _wanted(text: str) -> tuple[str, Codes]:
    """(place, codes) from ``above I50`` or ``I50``."""
    first, _, rest = text.strip().partition(" ")
    return (first, Codes(rest)) if first in PLACES else ("", Codes(text))


def read_obvious(rows: Iterable[Sequence[str]], name: str) -> Obvious:
    """Compiled rows of obvious causes.

    Raises:
        InvalidData: a row without effects, causes or source.
    """
    compiled = []
    for number, (effect, cause, source) in enumerate(rows, start=2):
        if not (effect and cause and source):
            raise InvalidData(f"{name}:{number}: not an obvious cause")
        compiled.append((Codes(effect), Codes(cause)))
    return Obvious(compiled)


def read_limits(rows: Iterable[Sequence[str]], name: str) -> dict[str, Codes]:
    """Sets of ill-defined (SP7) and trivial (SP8) conditions.

    Raises:
        InvalidData: one of the two is missing.
    """
    limits: dict[str, str] = {}
    for step, codes, _ in rows:
        limits[step] = f"{limits.get(step, '')} {codes}"
    if set(limits) != {"SP7", "SP8"}:
        raise InvalidData(f"{name}: SP7 and SP8 are needed")
    return {step: Codes(codes) for step, codes in limits.items()}
