"""How many deaths of each cause there were, corrected by the audit.

What people coded counts as it is. The machine's automatic certificates are counted by the machine, and the count is
corrected by the audited ones among them: each that people give another category stands for 1/π certificates that moved
(difference estimator under Poisson sampling; Särndal, Swensson and Wretman, Model Assisted Survey Sampling, 1992,
chapters 3 and 6). Certificates that a person must still look at stand at the machine's proposal, and are told apart.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from stream.coding import Route
from stream.nomenclature import shortlist
from stream.quality import intervals, truth
from stream.quality.estimate import Audit, Audited, Cell, cell_of
from stream.quality.intervals import Interval
from stream.quality.ledger import Case


@dataclass(frozen=True, slots=True)
class Corrected:
    """Deaths of a category of the European shortlist.

    Attributes:
        category: its item; `shortlist.OTHER` for what none holds.
        people: certificates that people gave this category.
        machine: automatic certificates that the machine gave it.
        awaited: certificates that the machine proposes it for and nobody has decided.
        gained: audited automatic certificates that people gave it, and the machine another.
        lost: those that the machine gave it, and people another.
        corrected: the count that the audit tells, with its 95 % interval.
        variance: of the correction, by Horvitz and Thompson's estimator under Poisson sampling.
    """

    category: str
    people: int
    machine: int
    awaited: int
    gained: int
    lost: int
    corrected: Interval
    variance: float

    @property
    def counted(self) -> int:
        """Deaths as they stand, without a correction."""
        return self.people + self.machine + self.awaited

    @property
    def deviation(self) -> Interval | None:
        """Overestimation by the machine, in percent of the corrected count; negative where it counts too few."""
        found = self.corrected
        if found.value <= 0:
            return None
        low = 100 * (self.counted / found.high - 1)
        high = 100 * (self.counted / found.low - 1) if found.low > 0 else math.inf
        return Interval(100 * (self.counted / found.value - 1), low, high)

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        found, off = self.corrected, self.deviation
        return {"people": self.people, "machine": self.machine, "awaited": self.awaited, "counted": self.counted,
                "gained_in_audit": self.gained, "lost_in_audit": self.lost, "corrected": round(found.value, 1),
                "interval95": [round(found.low, 1), round(found.high, 1)], "standard_error": round(self.variance**0.5, 2),
                "overestimation_percent": _rounded(off.value) if off else None,
                "overestimation_interval95": [_rounded(off.low), _rounded(off.high)] if off else None}  # fmt: skip


class Counts:
    """Certificates by category and by who coded them."""

    def __init__(self) -> None:
        self._people: Counter[str] = Counter()
        self._awaited: Counter[str] = Counter()
        self._machine: Counter[tuple[Cell, str]] = Counter()

    def add(self, case: Case) -> None:
        """Count a certificate; one that is withdrawn, or unknown to the machine, counts for nothing."""
        if case.machine is None or not case.counts:
            return
        cause = case.machine.underlying.code
        if case.machine.targeting.route is Route.AUTO:
            self._machine[cell_of(case), category(cause)] += 1
            return
        final = truth.settled(case)
        if final is not None:
            self._people[category(final)] += 1
        else:
            self._awaited[category(cause)] += 1

    def corrected(self, audit: Audit) -> list[Corrected]:
        """Every category that anybody named, the commonest first.

        Args:
            audit: of the same certificates.
        """
        automatic = [one for one in audit.audited if one.cell.route is Route.AUTO]
        names = {*self._people, *self._awaited, *(name for _, name in self._machine)}
        names |= {category(one.human) for one in automatic}
        found = [self._category(name, automatic, audit) for name in names]
        return sorted(found, key=lambda one: (-one.corrected.value, one.category))

    def _category(self, name: str, automatic: list[Audited], audit: Audit) -> Corrected:
        gains, losses = _moved(name, automatic, audit)
        seen, unseen, own, hidden, largest, owned = 0, 0, 0, 0, 0.0, 0.0
        for (cell, other), n in self._machine.items():
            weight = audit.weight(cell)
            if other == name:
                own, hidden, owned = own + n, hidden + (0 if weight else n), max(owned, weight)
            else:
                seen, unseen, largest = seen + n, unseen + (0 if weight else n), max(largest, weight)
        # Nothing is known of cells in which no audit is decided: there all may have moved, or none.
        gained = _capped(intervals.rare_total(gains, largest), seen - unseen, unseen)
        lost = _capped(intervals.rare_total(losses, owned), own - hidden, hidden)
        moved = intervals.difference(gained, lost)
        counted = self._people[name] + own + self._awaited[name]
        # A few audits can take more away than the machine gave; what people coded is there in any case.
        least = float(self._people[name] + self._awaited[name])
        low, value, high = (max(least, counted + x) for x in (moved.low, moved.value, moved.high))
        return Corrected(
            name, self._people[name], own, self._awaited[name], len(gains), len(losses), Interval(value, low, high),
            math.fsum((w - 1) * w for w in (*gains, *losses)),
        )  # fmt: skip


def category(code: str | None) -> str:
    """Category of the European shortlist."""
    return shortlist.of(code) if code else shortlist.OTHER


def _moved(name: str, automatic: list[Audited], audit: Audit) -> tuple[list[float], list[float]]:
    """Weights of the audited certificates that people moved to a category, and out of it."""
    gains: list[float] = []
    losses: list[float] = []
    for one in automatic:
        machine, human = category(one.machine), category(one.human)
        if machine != human and name in (machine, human):
            (gains if human == name else losses).append(audit.weight(one.cell))
    return gains, losses


def _capped(found: Interval, most: int, unknown: int) -> Interval:
    """A total that is known to be `most` at most, and may be more by `unknown` where nobody looked."""
    return Interval(found.value, found.low, max(found.value, min(found.high, float(most))) + unknown)


def _rounded(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None
