"""Who codes what, how long it takes, what waits, and what the texts are like from week to week."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stream.coding import CodedCertificate, Reason, Route
from stream.quality import truth
from stream.quality.delays import Delay, Delays
from stream.quality.ledger import Case
from stream.targeting.subject import EDIT

AWAITED = "AWAITED"
"""Beside the modalities: nobody has given the official cause yet."""
MODALITIES = ("RULES", "MODEL", "HUMAN", AWAITED)
GROUPS = ("month", "source", "department")
LATELY = timedelta(days=28)
MARKS = ("UNCALIBRATED", "UNCERTIFIED")


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a person.

    Attributes:
        manual: certificates sent to a person without an official cause yet.
        audits: further certificates drawn by the audit and not decided.
        disputed: of all these, those on which two people disagree.
        oldest_days: how long the oldest has waited; None where nothing waits.
        a_day: tasks that came in a day, over the last four weeks.
        capacity: tasks that the office can do in a day, by its policy; 0 where it says nothing.
    """

    manual: int
    audits: int
    disputed: int
    oldest_days: float | None
    a_day: float
    capacity: int

    @property
    def days(self) -> float | None:
        """Days of work that wait."""
        return (self.manual + self.audits) / self.capacity if self.capacity else None

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        return {"manual": self.manual, "audits": self.audits, "disputed": self.disputed,
                "oldest_days": None if self.oldest_days is None else round(self.oldest_days, 2),
                "tasks_a_day": round(self.a_day, 2), "capacity_per_day": self.capacity,
                "days_of_work": None if self.days is None else round(self.days, 2)}  # fmt: skip


@dataclass(slots=True)
class Week:
    """Certificates of a week of receipt: their number, and sums over them."""

    certificates: int = 0
    unknown: float = 0.0
    confidence: float = 0.0
    coded: int = 0

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        confidence = round(self.confidence / self.coded, 4) if self.coded else None
        return {"certificates": self.certificates, "unknown_words": round(self.unknown / self.certificates, 5),
                "mean_confidence": confidence}  # fmt: skip


class Rates:
    """Counts over the cases of a ledger.

    Args:
        now: moment of the report.
        capacity: tasks that the office can do in a day.
    """

    def __init__(self, now: datetime, capacity: int) -> None:
        self._now, self._capacity = now, capacity
        self.certificates = self.withdrawn = self.conflicts = self.strangers = 0
        self.modalities: Counter[str] = Counter()
        self.routes: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.automation: Counter[str] = Counter()
        self.marks: Counter[str] = Counter()
        self.edits: Counter[str] = Counter()
        self.groups: dict[str, defaultdict[str, Counter[str]]] = {group: defaultdict(Counter) for group in GROUPS}
        self.weeks: defaultdict[str, Week] = defaultdict(Week)
        self._first, self._final, self._people = Delays(), Delays(), Delays()
        self._open: Counter[str] = Counter()
        self._oldest: datetime | None = None
        self._lately = 0

    def add(self, case: Case) -> None:
        """Count a case."""
        self.withdrawn += case.withdrawn
        self.conflicts += case.conflict
        self.strangers += case.machine is None
        machine = case.machine
        if machine is None or not case.counts:
            return
        self.certificates += 1
        modality = self._modality(case, machine)
        self.modalities[modality] += 1
        self.routes[machine.targeting.route] += 1
        self.automation[machine.targeting.automation] += 1
        self.reasons.update(machine.targeting.reasons)
        self.marks.update(mark for mark in MARKS if mark in machine.flags)
        self.edits.update(flag.removeprefix(EDIT) for flag in machine.flags if flag.startswith(EDIT))
        places = (case.month, machine.source.value, machine.place.department or "unknown")
        for group, name in zip(GROUPS, places, strict=True):
            self.groups[group][name][modality] += 1
        self._waited(case, machine)
        self._queued(case, machine)
        year, number, _ = (machine.received_at or machine.coded_at).isocalendar()
        week = self.weeks[f"{year}-W{number:02}"]
        week.certificates += 1
        week.unknown += machine.unknown
        if machine.underlying.code:
            week.coded += 1
            week.confidence += machine.underlying.confidence

    def _modality(self, case: Case, machine: CodedCertificate) -> str:
        if truth.settled(case) is not None:
            return "HUMAN"
        return machine.modality.value if machine.targeting.route is Route.AUTO else AWAITED

    def _waited(self, case: Case, machine: CodedCertificate) -> None:
        if machine.received_at is None:
            return
        final = truth.settled_at(case)
        self._first.add(machine.received_at, case.first_at, self._now)
        self._final.add(machine.received_at, final, self._now)
        if machine.targeting.route is Route.MANUAL:
            self._people.add(machine.received_at, final, self._now)

    def _queued(self, case: Case, machine: CodedCertificate) -> None:
        manual = machine.targeting.route is Route.MANUAL
        if not manual and not machine.targeting.audit:
            return
        since = case.first_at or machine.coded_at
        self._lately += self._now - LATELY <= since <= self._now
        if truth.settled(case) is not None:
            return
        self._open["manual" if manual else "audits"] += 1
        self._open["disputed"] += truth.disputed(case)
        self._oldest = since if self._oldest is None else min(self._oldest, since)

    @property
    def queue(self) -> Queue:
        """What waits."""
        oldest = None if self._oldest is None else max(0.0, (self._now - self._oldest) / timedelta(days=1))
        waits = self._open
        a_day = self._lately / LATELY.days
        return Queue(waits["manual"], waits["audits"], waits["disputed"], oldest, a_day, self._capacity)

    @property
    def delays(self) -> dict[str, Delay]:
        """From receipt to the first code, to the official one, and to the official one of what a person must see."""
        return {"first": self._first.told(), "final": self._final.told(), "final_by_people": self._people.told()}

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        return {
            "certificates": self.certificates, "withdrawn": self.withdrawn, "conflicts": self.conflicts,
            "decisions_without_a_record": self.strangers, "modalities": {m: self.modalities[m] for m in MODALITIES},
            "routes": {route.value: self.routes[route] for route in Route},
            "reasons": {reason.value: self.reasons[reason] for reason in Reason},
            "automation": dict(sorted(self.automation.items())), "marks": {m: self.marks[m] for m in MARKS},
            "edits": dict(self.edits.most_common()),
            "by": {
                group: {name: {m: counts[m] for m in MODALITIES} for name, counts in sorted(names.items())}
                for group, names in self.groups.items()
            },
            "delays": {name: told.record() for name, told in self.delays.items()},
            "queue": self.queue.record(),
            "weeks": {name: week.record() for name, week in sorted(self.weeks.items())},
        }  # fmt: skip
