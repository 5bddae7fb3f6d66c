"""What a supervisor asks: who did how much, how far two coders agree, what waits, and whether the machine keeps its word.

Promises and agreement with the machine are those of `stream.quality`, on the audits that the desk has in its database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Source
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.desk.kappa import Kappa, by_level
from stream.desk.life import KINDS, Stage
from stream.desk.store import AT_ONCE, OUT
from stream.desk.tables import ACTS, CLAIMS, CODED, DECISIONS, MANUAL, MARKS, OUTBOX, TASKS, Found
from stream.desk.values import Act
from stream.nomenclature.agreement import LEVELS, Level
from stream.quality.estimate import AUTOMATIC, Agreement, Audit, Cell, Promised, promises
from stream.quality.ledger import Case
from stream.targeting.policy import Rules

BLIND = "AUDIT"
"""Stands for the reason of what was drawn to be coded blind: its others are nobody's business at the desk."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """What one person did.

    Attributes:
        coder: pseudonym.
        decisions: by kind; undoing counts beside them, under UNDO.
        proposals: first codings with a proposal to take or change.
        changed: of these, those that changed it.
        undone: decisions that somebody took back.
        skipped, escalated: tasks.
        seconds: median time of a decision; None where there is none.
        hours: spent on decisions.
        routed: decisions by why the certificate came to a person.
        reasons: decisions by the reason that was given.
    """

    coder: str
    decisions: Mapping[str, int]
    proposals: int
    changed: int
    undone: int
    skipped: int
    escalated: int
    seconds: float | None
    hours: float
    routed: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def total(self) -> int:
        """Decisions but for undoing."""
        return sum(n for kind, n in self.decisions.items() if kind != DecisionKind.UNDO)

    @property
    def an_hour(self) -> float | None:
        """Decisions in an hour of work."""
        return self.total / self.hours if self.hours else None

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        return {"coder": self.coder, "decisions": dict(self.decisions), "total": self.total,
                "proposals": self.proposals, "changed": self.changed, "undone": self.undone, "skipped": self.skipped,
                "escalated": self.escalated, "median_seconds": self.seconds, "hours": round(self.hours, 3),
                "an_hour": None if self.an_hour is None else round(self.an_hour, 1), "routed": dict(self.routed),
                "reasons": dict(self.reasons)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Day:
    """A day: tasks that came, and first codings that stand."""

    day: date
    came: int
    done: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits now.

    Attributes:
        stages: tasks by what they wait for.
        reasons: tasks by why they came; audits under `BLIND`.
        held: certificates in somebody's hands.
        unsent: decisions that the broker has not acknowledged.
        oldest_s: age of the oldest task, seconds; None where nothing waits.
        oldest: likewise by stage.
        came_a_day, done_a_day: over the period.
        capacity: tasks that the office can do in a day, by its policy; 0 where it says nothing.
    """

    stages: Mapping[str, int]
    reasons: Mapping[str, int]
    held: int
    unsent: int
    oldest_s: float | None
    oldest: Mapping[str, float]
    came_a_day: float
    done_a_day: float
    capacity: int

    @property
    def waiting(self) -> int:
        """Tasks that wait for somebody."""
        return sum(self.stages.values())

    @property
    def days_of_work(self) -> float | None:
        """How long the office would need for what waits."""
        return self.waiting / self.capacity if self.capacity else None

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        days = self.days_of_work
        return {"waiting": self.waiting, "stages": dict(self.stages), "reasons": dict(self.reasons), "held": self.held,
                "unsent": self.unsent, "oldest_seconds": self.oldest_s, "oldest": dict(self.oldest),
                "came_a_day": round(self.came_a_day, 2), "done_a_day": round(self.done_a_day, 2),
                "capacity_per_day": self.capacity, "days_of_work": None if days is None else round(days, 2)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Supervision:
    """The office in a period, and what waits now.

    Attributes:
        start, end: days, the end left out.
        at: moment of the figures.
        coders: by pseudonym.
        reasons: decisions by the reason given.
        days: each of the period.
        drawn, asked: agreement of second opinions with the first, by level: a fair sample, and those that somebody
            wanted. Only the first tells how far two coders agree in general.
        adjudicated: disputes that were settled; first_held, second_held: those that kept the one or the other's cause.
        backlog: what waits.
        audits, awaited: blind audits decided, and those that are not.
        machine: agreement of the automatic certificates with the blind audits, by level.
        promises: the machine's, by stratum.
    """

    start: date
    end: date
    at: datetime
    coders: tuple[Throughput, ...]
    reasons: Mapping[str, int]
    days: tuple[Day, ...]
    drawn: Mapping[Level, Kappa]
    asked: Mapping[Level, Kappa]
    adjudicated: int
    first_held: int
    second_held: int
    backlog: Backlog
    audits: int
    awaited: int
    machine: Mapping[Level, Agreement]
    promises: tuple[Promised, ...]

    def record(self) -> dict[str, Any]:
        """Mapping for JSON; no id, no text."""
        return {
            "start": self.start.isoformat(), "end": self.end.isoformat(),
            "at": self.at.isoformat(timespec="seconds"), "coders": [one.record() for one in self.coders],
            "reasons": dict(self.reasons),
            "days": [{"day": d.day.isoformat(), "came": d.came, "done": d.done} for d in self.days],
            "second_opinions": {
                name: {level: one.record() for level, one in found.items()}
                for name, found in (("drawn", self.drawn), ("asked", self.asked))
            },
            "adjudicated": {"all": self.adjudicated, "first_held": self.first_held, "second_held": self.second_held},
            "backlog": self.backlog.record(),
            "audit": {"decided": self.audits, "awaited": self.awaited,
                      "agreement": {level: one.record() for level, one in self.machine.items()},
                      "promises": {one.stratum: one.record() for one in self.promises}},
        }  # fmt: skip


def supervise(connection: Connection, office: Rules, start: date, end: date, now: datetime) -> Supervision:
    """Figures of the days from `start` up to `end`, which is left out, in UTC."""
    since, until = (datetime.combine(day, time.min, UTC) for day in (start, end))
    made = connection.execute(
        sa.select(*_COLUMNS).where(DECISIONS.c.decided_at >= since, DECISIONS.c.decided_at < until)
        .order_by(DECISIONS.c.decided_at, DECISIONS.c.decision_id)
    ).all()  # fmt: skip
    days = _days(connection, made, start, end, since, until)
    drawn, asked = _doubles(connection, made)
    kept = _adjudicated(connection, made)
    audit = _audit(connection, since, until)
    return Supervision(
        start, end, now, _coders(connection, made, since, until), _counted(row.reason for row in made), days, drawn,
        asked, kept["all"], kept["first"], kept["second"], _backlog(connection, days, office, now),
        audit.decided.total(), audit.awaited, {level: audit.agreement(level, AUTOMATIC) for level in LEVELS},
        tuple(promises(audit, office)),
    )  # fmt: skip


_COLUMNS = (
    DECISIONS.c.decision_id, DECISIONS.c.certificate_id, DECISIONS.c.version, DECISIONS.c.kind, DECISIONS.c.coder,
    DECISIONS.c.reason, DECISIONS.c.decided_at, DECISIONS.c.blind, DECISIONS.c.seconds, DECISIONS.c.changed,
    DECISIONS.c.cause, DECISIONS.c.supersedes, DECISIONS.c.stands, DECISIONS.c.content_hash, DECISIONS.c.role,
)  # fmt: skip


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _in_parts(connection: Connection, chosen: sa.Select[Any], column: sa.Column[Any], ids: Iterable[str]) -> list[Any]:
    given = sorted(set(ids))
    return [
        row
        for at in range(0, len(given), AT_ONCE)
        for row in connection.execute(chosen.where(column.in_(given[at : at + AT_ONCE])))
    ]


def _coders(connection: Connection, made: Sequence[Found], since: datetime, until: datetime) -> tuple[Throughput, ...]:
    reasons: dict[str, list[str]] = defaultdict(list)
    chosen = sa.select(MARKS.c.certificate_id, MARKS.c.value).where(MARKS.c.kind == "reason")
    for row in _in_parts(connection, chosen, MARKS.c.certificate_id, (row.certificate_id for row in made)):
        reasons[row.certificate_id].append(row.value)
    acts: Counter[tuple[str, str]] = Counter()
    for who, act, count in connection.execute(
        sa.select(ACTS.c.who, ACTS.c.act, sa.func.count())
        .where(ACTS.c.at >= since, ACTS.c.at < until).group_by(ACTS.c.who, ACTS.c.act)
    ):  # fmt: skip
        acts[who, act] = count
    by: dict[str, list[Found]] = defaultdict(list)
    for row in made:
        by[row.coder].append(row)
    for who, act in acts:
        if who and act in (Act.SKIP, Act.ESCALATE):
            by.setdefault(who, [])
    return tuple(_coder(who, by[who], reasons, acts) for who in sorted(by))


def _coder(
    who: str, rows: Sequence[Found], reasons: Mapping[str, list[str]], acts: Mapping[tuple[str, str], int]
) -> Throughput:
    real = [row for row in rows if row.kind != DecisionKind.UNDO]
    proposals = [row for row in real if row.kind == DecisionKind.FIRST and not row.blind]
    routed: Counter[str] = Counter()
    for row in real:
        routed.update([BLIND] if row.blind else reasons.get(row.certificate_id, ()))
    return Throughput(
        who, _counted(row.kind for row in rows), len(proposals), sum(row.changed for row in proposals),
        sum(not row.stands for row in real), acts.get((who, Act.SKIP), 0), acts.get((who, Act.ESCALATE), 0),
        median(row.seconds for row in real) if real else None, sum(row.seconds for row in real) / 3600,
        dict(routed.most_common()), _counted(row.reason for row in real),
    )  # fmt: skip


def _days(
    connection: Connection, made: Sequence[Found], start: date, end: date, since: datetime, until: datetime
) -> tuple[Day, ...]:
    came = Counter(
        moment.date()
        for moment in connection.execute(
            sa.select(MANUAL.c.created_at).where(MANUAL.c.created_at >= since, MANUAL.c.created_at < until)
        ).scalars()
    )
    done = Counter(row.decided_at.date() for row in made if row.kind == DecisionKind.FIRST and row.stands)
    whole = [start + timedelta(days=n) for n in range((end - start).days)]
    return tuple(Day(day, came[day], done[day]) for day in whole)


def _doubles(
    connection: Connection, made: Sequence[Found]
) -> tuple[dict[Level, Kappa], dict[Level, Kappa]]:  # fmt: skip
    seconds = [row for row in made if row.kind == DecisionKind.SECOND and row.stands]
    ids = [row.certificate_id for row in seconds]
    firsts = {
        (row.certificate_id, row.version): row.cause
        for row in _in_parts(
            connection,
            sa.select(*_COLUMNS).where(DECISIONS.c.kind == DecisionKind.FIRST.value, DECISIONS.c.stands),
            DECISIONS.c.certificate_id,
            ids,
        )
    }
    chosen = sa.select(ACTS.c.certificate_id, ACTS.c.version).where(ACTS.c.act == Act.SECOND.value, ACTS.c.who == "")
    drawn = {tuple(row) for row in _in_parts(connection, chosen, ACTS.c.certificate_id, ids)}
    pairs: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for row in seconds:
        key = (row.certificate_id, row.version)
        if key in firsts:
            pairs[key in drawn].append((firsts[key] or "", row.cause or ""))
    return by_level(pairs[True]), by_level(pairs[False])


def _adjudicated(connection: Connection, made: Sequence[Found]) -> Counter[str]:
    judged = [row for row in made if row.kind == DecisionKind.ADJUDICATION and row.stands]
    causes = {
        (row.certificate_id, row.version, row.kind): row.cause
        for row in _in_parts(
            connection, sa.select(*_COLUMNS).where(DECISIONS.c.stands), DECISIONS.c.certificate_id,
            (row.certificate_id for row in judged),
        )
    }  # fmt: skip
    found: Counter[str] = Counter()
    for row in judged:
        found["all"] += 1
        for name, kind in (("first", DecisionKind.FIRST), ("second", DecisionKind.SECOND)):
            found[name] += causes.get((row.certificate_id, row.version, kind)) == row.cause
    return found


def _backlog(connection: Connection, days: Sequence[Day], office: Rules, now: datetime) -> Backlog:
    waits = TASKS.c.place > OUT
    stages, oldest = {}, {}
    for stage, count, came in connection.execute(
        sa.select(TASKS.c.stage, sa.func.count(), sa.func.min(TASKS.c.created_at)).where(waits).group_by(TASKS.c.stage)
    ):
        stages[stage], oldest[stage] = count, max(0.0, (now - came).total_seconds())
    reasons = _counted_rows(
        connection,
        sa.select(MARKS.c.value, sa.func.count()).join(TASKS, TASKS.c.certificate_id == MARKS.c.certificate_id)
        .where(waits, MARKS.c.kind == "reason").group_by(MARKS.c.value),
    )  # fmt: skip
    blind = connection.execute(sa.select(sa.func.count()).select_from(TASKS).where(waits, TASKS.c.audit)).scalar_one()
    held = connection.execute(
        sa.select(sa.func.count()).select_from(CLAIMS).where(CLAIMS.c.expires_at > now)
    ).scalar_one()
    unsent = connection.execute(sa.select(sa.func.count()).select_from(OUTBOX)).scalar_one()
    length = max(1, len(days))
    return Backlog(
        {stage.value: stages.get(stage.value, 0) for stage in Stage if stage in KINDS},
        {**reasons, BLIND: blind} if blind else reasons, held, unsent, max(oldest.values(), default=None), oldest,
        sum(day.came for day in days) / length, sum(day.done for day in days) / length, office.capacity_per_day,
    )  # fmt: skip


def _counted_rows(connection: Connection, chosen: sa.Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(chosen)}


def _audit(connection: Connection, since: datetime, until: datetime) -> Audit:
    """The audit of the certificates that the machine coded in the period."""
    columns = CODED.c
    period = sa.and_(columns.machine, ~columns.withdrawn, columns.machine_at >= since, columns.machine_at < until)
    audit = Audit()
    cell = (columns.route, columns.stratum, columns.inclusion)
    for route, stratum, inclusion, count in connection.execute(
        sa.select(*cell, sa.func.count()).where(period, ~columns.audit).group_by(*cell)
    ):
        audit.certificates[Cell(Route(route), stratum, inclusion)] += count
    rows = connection.execute(sa.select(CODED).where(period, columns.audit).order_by(columns.certificate_id)).all()
    decisions: dict[str, list[Correction]] = defaultdict(list)
    for row in _in_parts(
        connection, sa.select(*_COLUMNS), DECISIONS.c.certificate_id, (r.certificate_id for r in rows)
    ):
        decisions[row.certificate_id].append(_slim(row))
    for row in rows:
        found = sorted(decisions[row.certificate_id], key=lambda d: (d.decided_at, d.decision_id))
        audit.add(Case(row.certificate_id, row.version, _machine(row), decided=tuple(found)))
    return audit


def _machine(row: Found) -> CodedCertificate:
    return CodedCertificate(
        row.certificate_id, row.version, row.content_hash, CodedStatus.PROVISIONAL, Modality.MODEL,
        Underlying(row.code, 0.0), Targeting(Route(row.route), (), row.audit, row.inclusion, stratum=row.stratum),
        Versions(), row.machine_at, source=Source(row.source),
    )  # fmt: skip


def _slim(row: Found) -> Correction:
    return Correction(
        row.decision_id, DecisionKind(row.kind), row.certificate_id, row.version, row.coder, row.role, row.reason,
        row.decided_at, row.content_hash, row.supersedes, underlying_after=row.cause, blind=row.blind,
    )  # fmt: skip
