"""Who did how much, and for what reasons."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk.decided import counted, in_parts
from stream.desk.tables import ACTS, MARKS, Found
from stream.desk.values import Act

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


def throughput(
    connection: Connection, made: Sequence[Found], since: datetime, until: datetime
) -> tuple[Throughput, ...]:
    """Each person's work from a moment up to another, of the decisions of that time; by pseudonym."""
    reasons: dict[str, list[str]] = defaultdict(list)
    chosen = sa.select(MARKS.c.certificate_id, MARKS.c.value).where(MARKS.c.kind == "reason")
    for row in in_parts(connection, chosen, MARKS.c.certificate_id, (row.certificate_id for row in made)):
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
        who, counted(row.kind for row in rows), len(proposals), sum(row.changed for row in proposals),
        sum(not row.stands for row in real), acts.get((who, Act.SKIP), 0), acts.get((who, Act.ESCALATE), 0),
        median(row.seconds for row in real) if real else None, sum(row.seconds for row in real) / 3600,
        dict(routed.most_common()), counted(row.reason for row in real),
    )  # fmt: skip
