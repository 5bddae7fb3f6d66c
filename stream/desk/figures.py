"""What a supervisor asks: who did how much, how far two coders agree, what waits, and whether the machine keeps its word.

Promises and agreement with the machine are those of `stream.quality`, on the audits that the desk has in its database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Connection

from stream.desk.audits import audit
from stream.desk.backlog import Backlog, Day, backlog, by_day
from stream.desk.decided import counted, made_in
from stream.desk.doubles import adjudicated, doubles
from stream.desk.throughput import Throughput, throughput
from stream.nomenclature.agreement import LEVELS, Level
from stream.quality.estimate import AUTOMATIC, Agreement, Promised, promises
from stream.quality.kappa import Kappa
from stream.targeting.policy import Rules


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
    made = made_in(connection, since, until)
    days = by_day(connection, made, start, end, since, until)
    drawn, asked = doubles(connection, made)
    kept = adjudicated(connection, made)
    blind = audit(connection, since, until)
    return Supervision(
        start, end, now, throughput(connection, made, since, until), counted(row.reason for row in made), days, drawn,
        asked, kept["all"], kept["first"], kept["second"], backlog(connection, days, office, now),
        blind.decided.total(), blind.awaited, {level: blind.agreement(level, AUTOMATIC) for level in LEVELS},
        tuple(promises(blind, office)),
    )  # fmt: skip
