"""Agreement of machine and people on the random audit, and what it says of the promise.

An audited certificate stands for as many as its chance of being drawn says: its weight is the inverse of its inclusion
probability, divided by the share of the drawn that have been decided so far in its cell (route, stratum and
probability; Oh and Scheuren, 1983, call this weighting within classes). What the automatic certificates are like is
told by the automatic ones among the audited alone; the others say what the machine would have done.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stream.coding import Route
from stream.nomenclature import icd10
from stream.nomenclature.agreement import Level, same
from stream.quality import intervals, truth
from stream.quality.intervals import Interval
from stream.quality.ledger import Case
from stream.targeting.policy import Rules, Stratum

AUTOMATIC = frozenset({Route.AUTO})
ALL = frozenset(Route)
MOST = 1_000_000
"""Audits beyond which nobody waits for a proof."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Certificates that the audit treats alike."""

    route: Route
    stratum: str
    inclusion: float


@dataclass(frozen=True, slots=True)
class Audited:
    """A certificate drawn by the audit and decided, with the causes of the machine and of the people."""

    certificate_id: str
    cell: Cell
    machine: str | None
    human: str
    source: str
    month: str

    @property
    def chapter(self) -> str:
        """Chapter of the machine's cause."""
        return icd10.chapter(self.machine) if self.machine else NO_CODE


NO_CODE = "none"
GROUPS: Mapping[str, Callable[[Audited], str]] = {
    "stratum": lambda one: one.cell.stratum,
    "chapter": lambda one: one.chapter,
    "source": lambda one: one.source,
    "month": lambda one: one.month,
}
"""How agreement is told apart; chapters are those of the machine's cause."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Share of certificates on which machine and people agree.

    Attributes:
        audited: certificates drawn and decided.
        wrong: those among them on which they do not agree.
        share: of all that these stand for, with its 95 % interval.
        effective: audits of equal chance that would tell as much.
    """

    audited: int
    wrong: int
    share: Interval
    effective: float

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        value = round(self.share.value, 4) if self.audited else None
        return {"audited": self.audited, "wrong": self.wrong, "agreement": value,
                "interval95": [round(self.share.low, 4), round(self.share.high, 4)],
                "effective_size": round(self.effective, 1)}  # fmt: skip


class Verdict(StrEnum):
    """What the audits say of a promise."""

    KEPT = "KEPT"
    NOT_YET_PROVEN = "NOT YET PROVEN"
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Promised:
    """A stratum's promise beside what its audits say.

    Attributes:
        stratum, error, confidence, level: the promise.
        certificates: automatic ones of the stratum.
        audited, wrong: of these.
        found: share wrong between its two one-sided bounds, each at the promise's confidence.
        verdict: KEPT when the upper bound is within the promise, BROKEN when the lower one is beyond it.
        needed: further audits, all of them right, until it would be KEPT; None when that is out of reach.
    """

    stratum: str
    error: float
    confidence: float
    level: Level
    certificates: int
    audited: int
    wrong: int
    found: Interval
    verdict: Verdict
    needed: int | None

    @property
    def distance(self) -> float:
        """How far the upper bound is beyond the promise; negative when within."""
        return self.found.high - self.error

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        return {"promised_error": self.error, "confidence": self.confidence, "level": self.level,
                "certificates": self.certificates, "audited": self.audited, "wrong": self.wrong,
                "error": round(self.found.value, 4) if self.audited else None,
                "lower_bound": round(self.found.low, 4), "upper_bound": round(self.found.high, 4),
                "distance": round(self.distance, 4), "verdict": self.verdict.value,
                "audits_needed": self.needed}  # fmt: skip


class Audit:
    """All that the audit drew, beside what it was drawn from.

    Attributes:
        certificates: by cell, all of them.
        drawn: by cell, those that the audit drew.
        decided: by cell, those drawn and decided.
        audited: the decided ones.
    """

    def __init__(self) -> None:
        self.certificates: Counter[Cell] = Counter()
        self.drawn: Counter[Cell] = Counter()
        self.decided: Counter[Cell] = Counter()
        self.audited: list[Audited] = []

    def add(self, case: Case) -> None:
        """Count a certificate; one that is withdrawn, or unknown to the machine, counts for nothing."""
        machine = case.machine
        if machine is None or not case.counts:
            return
        cell = cell_of(case)
        self.certificates[cell] += 1
        if not machine.targeting.audit or not cell.inclusion:
            return
        self.drawn[cell] += 1
        found = truth.audited(case)
        if found is None:
            return
        self.decided[cell] += 1
        self.audited.append(
            Audited(case.certificate_id, cell, machine.underlying.code, found.code, machine.source.value, case.month)
        )

    def weight(self, cell: Cell) -> float:
        """How many certificates a decided one of the cell stands for; 0 where none is decided."""
        decided = self.decided[cell]
        return self.drawn[cell] / (decided * cell.inclusion) if decided else 0.0

    @property
    def awaited(self) -> int:
        """Certificates drawn that nobody has decided yet."""
        return self.drawn.total() - self.decided.total()

    def agreement(self, level: Level, routes: Collection[Route] = AUTOMATIC) -> Agreement:
        """Agreement on all certificates of some routes."""
        return self._agreement([one for one in self.audited if one.cell.route in routes], level)

    def by(self, group: str, level: Level, routes: Collection[Route] = AUTOMATIC) -> dict[str, Agreement]:
        """Agreement in each of the groups that `GROUPS` names."""
        groups: dict[str, list[Audited]] = defaultdict(list)
        for one in self.audited:
            if one.cell.route in routes:
                groups[GROUPS[group](one)].append(one)
        return {name: self._agreement(groups[name], level) for name in sorted(groups)}

    def _agreement(self, found: list[Audited], level: Level, confidence: float = intervals.CONFIDENCE) -> Agreement:
        right = [same(one.machine, one.human, level) for one in found]
        cells = [one.cell for one in found]
        share, size = intervals.weighted_share([self.weight(c) for c in cells], right, cells, confidence)
        return Agreement(len(found), right.count(False), share, size)

    def promise(self, rules: Rules, stratum: Stratum) -> Promised:
        """What the audited automatic certificates of a stratum say of its promise."""
        level, confidence = rules.promise.level, rules.promise.confidence
        cells = [c for c in self.certificates if c.stratum == stratum.name and c.route is Route.AUTO]
        found = [one for one in self.audited if one.cell.stratum == stratum.name and one.cell.route is Route.AUTO]
        # Each bound alone holds with the promise's confidence: both together with less.
        told = self._agreement(found, level, 2 * confidence - 1)
        wrong = Interval(1 - told.share.value if found else 0.0, 1 - told.share.high, 1 - told.share.low)
        verdict = Verdict.NOT_YET_PROVEN
        if found and wrong.high <= stratum.error:
            verdict = Verdict.KEPT
        elif wrong.low > stratum.error:
            verdict = Verdict.BROKEN
        return Promised(
            stratum.name, stratum.error, confidence, level, sum(self.certificates[c] for c in cells), told.audited,
            told.wrong, wrong, verdict, _needed(told, stratum.error, confidence, verdict),
        )  # fmt: skip


def cell_of(case: Case) -> Cell:
    """Cell of a certificate that the machine coded."""
    assert case.machine is not None
    targeting = case.machine.targeting
    return Cell(targeting.route, targeting.stratum, targeting.inclusion_probability)


def promises(audit: Audit, rules: Rules) -> list[Promised]:
    """Every stratum's promise, in the policy's order."""
    return [audit.promise(rules, stratum) for stratum in rules.strata]


def disagreements(found: Iterable[Audited], level: Level = "exact") -> list[Audited]:
    """The audited certificates on which machine and people differ."""
    return [one for one in found if not same(one.machine, one.human, level)]


def _needed(told: Agreement, error: float, confidence: float, verdict: Verdict) -> int | None:
    """Right audits still missing for a proof: the least n whose upper bound is within the promise."""
    if verdict is Verdict.KEPT:
        return 0
    size, wrong = told.effective, (1 - told.share.value) * told.effective if told.audited else 0.0

    def proves(more: int) -> bool:
        return intervals.clopper_pearson(wrong, size + more, 2 * confidence - 1)[1] <= error

    if not proves(MOST):
        return None
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high
