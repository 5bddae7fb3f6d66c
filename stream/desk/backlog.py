"""What came, what was done, and what waits now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk.life import KINDS, Stage
from stream.desk.store import OUT
from stream.desk.tables import CLAIMS, MANUAL, MARKS, OUTBOX, TASKS, Found
from stream.desk.throughput import BLIND
from stream.targeting.policy import Rules


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


def by_day(
    connection: Connection, made: Sequence[Found], start: date, end: date, since: datetime, until: datetime
) -> tuple[Day, ...]:
    """Each day from `start` up to `end`, which is left out, of the decisions of that time."""
    came = Counter(
        moment.date()
        for moment in connection.execute(
            sa.select(MANUAL.c.created_at).where(MANUAL.c.created_at >= since, MANUAL.c.created_at < until)
        ).scalars()
    )
    done = Counter(row.decided_at.date() for row in made if row.kind == DecisionKind.FIRST and row.stands)
    whole = [start + timedelta(days=n) for n in range((end - start).days)]
    return tuple(Day(day, came[day], done[day]) for day in whole)


def backlog(connection: Connection, days: Sequence[Day], office: Rules, now: datetime) -> Backlog:
    """What waits now, against what came and was done on some days."""
    waits = TASKS.c.place > OUT
    stages, oldest = {}, {}
    for stage, count, came in connection.execute(
        sa.select(TASKS.c.stage, sa.func.count(), sa.func.min(TASKS.c.created_at)).where(waits).group_by(TASKS.c.stage)
    ):
        stages[stage], oldest[stage] = count, max(0.0, (now - came).total_seconds())
    reasons = _rows(
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


def _rows(connection: Connection, chosen: sa.Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(chosen)}
