"""Who hears of which alert: one message for each occasion of an alert, to each sink, once.

An occasion is settled in the database (`alerts_deliveries`) when a revision is looked at, and sent from there, so that
neither a restart nor a later revision makes a second message of it. A message whose answer a kill cut off is sent again
under the same id: only its receiver could know that it came.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.database import upsert
from stream.errors import CausaError, InfrastructureError
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.alerts.clauses import Hearing
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.store import alert_of
from stream.surveillance.alerts.tables import DELIVERIES, REVISIONS, micros

RAISED, VERIFIED, ESCALATED, ENDED = "RAISED", "VERIFIED", "ESCALATED", "ENDED"
WAITING, SENDING, SENT, FAILED = "WAITING", "SENDING", "SENT", "FAILED"
AT_ONCE = 500
"""Revisions looked at in one transaction."""
CLAIM = timedelta(seconds=90)
"""Longer than any sink takes: what is still being sent after it was cut off."""
FIRST_S, MOST_S = 2.0, 900.0
"""First and longest wait between two tries."""
PATIENCE = timedelta(hours=24)
"""After so long a message is given up."""


class NotTaken(InfrastructureError):
    """A sink did not take a message; it is sent again."""

    code = "NOT_TAKEN"

    def __init__(self, message: str, *, again_s: float = 0.0) -> None:
        super().__init__(message)
        self.again_s = again_s


class Refused(CausaError):
    """A sink refuses a message for good."""

    code = "REFUSED"


@dataclass(frozen=True, slots=True)
class Message:
    """What a sink is told.

    Attributes:
        sink: its name.
        alert: the revision that gave occasion.
        occasion: RAISED, VERIFIED, ENDED, or ESCALATED with the level.
        attempt: 1 for the first.
    """

    sink: str
    alert: Alert
    occasion: str
    attempt: int = 1

    @property
    def id(self) -> str:
        """The same for the same message sent again."""
        return f"{self.sink}:{self.alert.alert_id}:{self.occasion}"


class Sink(Protocol):
    """Somewhere that alerts are told.

    Attributes:
        name: as rules and settings have it.
        most: messages that it takes at once.
    """

    name: str
    most: int

    async def send(self, messages: Sequence[Message]) -> None:
        """Send messages, all or none.

        Raises:
            NotTaken: again later.
            Refused: never again.
        """

    async def close(self) -> None:
        """Let go of connections."""


def occasion(alert: Alert, told: Mapping[str, Alert], hearing: Hearing) -> str | None:
    """What a revision gives a sink occasion to hear of; None for nothing new.

    Args:
        alert: the revision; that the sink hears of this group and place is settled.
        told: revisions that the sink was told of this alert, by occasion.
        hearing: what it hears of.
    """
    quiet = (
        alert.held
        or alert.muted
        or alert.level < hearing.level
        or not (alert.verified or hearing.unverified or alert.kind is Kind.STATISTICAL)
    )
    found = None
    if RAISED not in told:
        found = RAISED if alert.open and not quiet else None
    elif alert.status is AlertStatus.ENDED:
        # Whoever was told that it began is told that it is over, muted or not; what is done about an ended one is not told.
        found = ENDED if ENDED not in told else None
    elif quiet:
        found = None
    elif alert.verified and VERIFIED not in told and not told[RAISED].verified:
        found = VERIFIED
    elif alert.level > max(known.level for known in told.values()):
        found = f"{ESCALATED}-{alert.level}"
    kind = (found or "").partition("-")[0]
    # What a sink does not care to hear of by name, it is not told under another.
    return found if kind in hearing.occasions else None


def unfed(connection: Connection) -> bool:
    """Whether there is a revision that nobody has looked at."""
    return connection.execute(sa.select(REVISIONS.c.seq).where(REVISIONS.c.fed == 0).limit(1)).scalar() is not None


def waiting(connection: Connection, sink: str, now: datetime) -> bool:
    """Whether anything is due for a sink."""
    return connection.execute(_due(sink, now).limit(1)).first() is not None


def feed(connection: Connection, sinks: Collection[str], rules: Rules, now: datetime) -> int:
    """Settle what the sinks hear of revisions that nobody has looked at; how many were looked at."""
    rows = connection.execute(
        sa.select(REVISIONS.c.seq, REVISIONS.c.record)
        .where(REVISIONS.c.fed == 0)
        .order_by(REVISIONS.c.seq)
        .limit(AT_ONCE)
    ).all()
    for seq, text in rows:
        alert = alert_of(text)
        for sink in sinks:
            hearing = rules.hearing(sink)
            if not rules.holds(hearing, alert.kind, alert.group, alert.place):
                continue
            found = occasion(alert, _told(connection, sink, alert.alert_id), hearing)
            if found is not None:
                upsert(connection, DELIVERIES, [{
                    "sink": sink, "alert_id": alert.alert_id, "occasion": found, "revision": alert.revision,
                    "state": WAITING, "attempts": 0, "due": micros(now), "made_at": micros(now), "ended_at": None,
                    "error": "",
                }], keep=True)  # fmt: skip
        connection.execute(REVISIONS.update().where(REVISIONS.c.seq == seq).values(fed=1))
    return len(rows)


def _told(connection: Connection, sink: str, alert_id: str) -> dict[str, Alert]:
    joined = DELIVERIES.join(
        REVISIONS, sa.and_(REVISIONS.c.alert_id == DELIVERIES.c.alert_id, REVISIONS.c.revision == DELIVERIES.c.revision)
    )
    rows = connection.execute(
        sa.select(DELIVERIES.c.occasion, REVISIONS.c.record).select_from(joined)
        .where(DELIVERIES.c.sink == sink, DELIVERIES.c.alert_id == alert_id)
    )  # fmt: skip
    return {name: alert_of(text) for name, text in rows}


def claim(connection: Connection, sink: str, most: int, now: datetime) -> list[Message]:
    """Take what is due for a sink; nobody else takes it until `CLAIM` is over."""
    due = _due(sink, now).limit(most)
    if connection.dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True, of=DELIVERIES)
    taken: list[Message] = []
    for row in connection.execute(due).all():
        alert_id, name, attempts, revision = row.alert_id, row.occasion, row.attempts, row.revision
        connection.execute(DELIVERIES.update().where(_own(sink, alert_id, name)).values(
            state=SENDING, attempts=attempts + 1, due=micros(now + CLAIM)
        ))  # fmt: skip
        text = connection.execute(
            sa.select(REVISIONS.c.record).where(REVISIONS.c.alert_id == alert_id, REVISIONS.c.revision == revision)
        ).scalar_one()
        taken.append(Message(sink, alert_of(text), name, attempts + 1))
    return taken


def settle(connection: Connection, messages: Sequence[Message], fault: CausaError | None, now: datetime) -> None:
    """What became of messages that were claimed: sent, to be sent again, or given up."""
    for message in messages:
        own = _own(message.sink, message.alert.alert_id, message.occasion)
        values: dict[str, object] = {"state": SENT, "ended_at": micros(now), "error": ""}
        if fault is not None:
            # A process that hung may tell of its try after another has taken the message, or has sent it.
            own = sa.and_(own, DELIVERIES.c.attempts == message.attempt, DELIVERIES.c.ended_at.is_(None))
            made = connection.execute(sa.select(DELIVERIES.c.made_at).where(own)).scalar()
            if made is None:
                continue
            over = isinstance(fault, Refused) or micros(now - PATIENCE) >= made
            again = now + timedelta(seconds=wait_s(message.attempt, getattr(fault, "again_s", 0.0)))
            values = {"state": FAILED if over else WAITING, "error": fault.message[:40], "due": micros(again)}
            values["ended_at"] = micros(now) if over else None
        connection.execute(DELIVERIES.update().where(own).values(**values))


def wait_s(attempt: int, least: float = 0.0) -> float:
    """Seconds until the next try: exponential, with jitter, so that many senders do not come together."""
    longest: float = min(MOST_S, FIRST_S * 2.0 ** min(attempt - 1, 20))
    return max(least, longest * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _due(sink: str, now: datetime) -> sa.Select[Any]:
    # An alert's messages come in their order: while one waits to be sent again, those behind it wait too.
    before = DELIVERIES.alias()
    behind = sa.exists().where(
        before.c.sink == DELIVERIES.c.sink, before.c.alert_id == DELIVERIES.c.alert_id,
        before.c.revision < DELIVERIES.c.revision, before.c.ended_at.is_(None),
    )  # fmt: skip
    return (
        sa.select(DELIVERIES.c.alert_id, DELIVERIES.c.occasion, DELIVERIES.c.attempts, DELIVERIES.c.revision)
        .where(DELIVERIES.c.sink == sink, DELIVERIES.c.state.in_((WAITING, SENDING)), DELIVERIES.c.due <= micros(now))
        .where(~behind)
        .order_by(DELIVERIES.c.due, DELIVERIES.c.alert_id)
    )  # fmt: skip


def _own(sink: str, alert_id: str, name: str) -> sa.ColumnElement[bool]:
    own = DELIVERIES.c.sink == sink, DELIVERIES.c.alert_id == alert_id, DELIVERIES.c.occasion == name
    return sa.and_(*own)
