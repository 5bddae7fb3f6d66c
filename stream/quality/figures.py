"""All that `causa quality` tells, as one value: measured from a ledger, written as JSON, shown as gauges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream import metrics
from stream.nomenclature.agreement import LEVELS, Level
from stream.quality.counts import Corrected, Counts
from stream.quality.estimate import (
    ALL,
    AUTOMATIC,
    GROUPS,
    Agreement,
    Audit,
    Promised,
    Verdict,
    promises,
)
from stream.quality.kappa import Kappa, of_cases
from stream.quality.ledger import Ledger
from stream.quality.rates import MODALITIES, Rates
from stream.targeting.policy import Rules

_VERDICTS = {Verdict.KEPT: 1, Verdict.NOT_YET_PROVEN: 0, Verdict.BROKEN: -1}


@dataclass(frozen=True, slots=True)
class Figures:
    """The state of the coding at a moment.

    Attributes:
        at: that moment.
        policy: version of the rules whose promises are held against the audits.
        audit: what was drawn and decided.
        promises: by stratum, in the policy's order.
        counts: deaths by category of the shortlist, corrected by the audit.
        rates: who codes what, delays, queue, weeks.
        coders: agreement of second opinions with first codings, by level; the topics do not tell which were drawn.
        unread: records that could not be read.
    """

    at: datetime
    policy: str
    audit: Audit
    promises: list[Promised]
    counts: list[Corrected]
    rates: Rates
    coders: dict[Level, Kappa]
    unread: int = 0

    @property
    def broken(self) -> list[str]:
        """Strata whose promise is broken."""
        return [one.stratum for one in self.promises if one.verdict is Verdict.BROKEN]

    def agreement(self) -> dict[str, dict[str, Agreement]]:
        """By level, of the automatic certificates and of all."""
        return {level: {"automatic": self.audit.agreement(level, AUTOMATIC), "all": self.audit.agreement(level, ALL)}
                for level in LEVELS}  # fmt: skip

    def record(self) -> dict[str, Any]:
        """Mapping for JSON; no id, no text."""
        by = {
            group: {
                level: {name: one.record() for name, one in self.audit.by(group, level).items()} for level in LEVELS
            }
            for group in GROUPS
        }
        agreement = {level: {part: one.record() for part, one in parts.items()}
                     for level, parts in self.agreement().items()}  # fmt: skip
        return {
            "at": self.at.isoformat(timespec="seconds"), "policy": self.policy, "unread": self.unread,
            "audit": {"drawn": self.audit.drawn.total(), "decided": self.audit.decided.total(),
                      "awaited": self.audit.awaited, "agreement": agreement, "by": by},
            "promises": {one.stratum: one.record() for one in self.promises},
            "coders": {level: one.record() for level, one in self.coders.items()},
            "counts": {one.category: one.record() for one in self.counts},
            "rates": self.rates.record(),
        }  # fmt: skip


def measure(ledger: Ledger, rules: Rules, now: datetime) -> Figures:
    """Figures of a ledger's cases.

    Args:
        ledger: the cases.
        rules: the promises, and what the office can do in a day.
        now: moment of the report, for what still waits.
    """
    audit, counts, rates = Audit(), Counts(), Rates(now, rules.capacity_per_day)
    for case in ledger:
        for tally in (audit, counts, rates):
            tally.add(case)
    corrected = counts.corrected(audit)
    return Figures(now, rules.version, audit, promises(audit, rules), corrected, rates, of_cases(ledger), ledger.unread)


def publish(figures: Figures) -> None:
    """Set the process' gauges to some figures."""
    for level, parts in figures.agreement().items():
        for part, one in parts.items():
            if one.audited:
                _bounds(metrics.AGREEMENT, (level, part), one.share.value, one.share.low, one.share.high)
    for promise in figures.promises:
        metrics.PROMISE.labels(promise.stratum).set(promise.error)
        metrics.VERDICT.labels(promise.stratum).set(_VERDICTS[promise.verdict])
        if promise.audited:
            found = promise.found
            _bounds(metrics.AUTOMATIC_ERROR, (promise.stratum,), found.value, found.low, found.high)
    for count in figures.counts:
        metrics.DEATHS.labels(count.category, "counted").set(count.counted)
        metrics.DEATHS.labels(count.category, "corrected").set(count.corrected.value)
        metrics.DEATHS.labels(count.category, "low").set(count.corrected.low)
        metrics.DEATHS.labels(count.category, "high").set(count.corrected.high)
    rates = figures.rates
    for modality in MODALITIES:
        metrics.CERTIFICATES.labels(modality).set(rates.modalities[modality])
    for until, told in rates.delays.items():
        for quantile, days in (("0.5", told.p50), ("0.9", told.p90)):
            metrics.DELAY.labels(until, quantile).set(float("nan") if days is None else days * 86_400)
    queue = rates.queue
    for kind, n in (("manual", queue.manual), ("audit", queue.audits), ("disputed", queue.disputed)):
        metrics.OPEN_TASKS.labels(kind).set(n)
    metrics.OLDEST_TASK.set((queue.oldest_days or 0.0) * 86_400)
    metrics.AWAITED_AUDITS.set(figures.audit.awaited)


def _bounds(gauge: Any, labels: tuple[str, ...], value: float, low: float, high: float) -> None:
    for bound, figure in (("value", value), ("low", low), ("high", high)):
        gauge.labels(*labels, bound).set(figure)
