"""The desk's tables made anew from the topics.

Meanwhile a task may look undecided whose decision is still to be read, so that nobody is given work until all that was
there has been read (`begin_catching_up`, `caught_up`): on a new database, and after `rebuild`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.desk.refusals import NotReady
from stream.desk.tables import DECISIONS, DERIVED, FACTS, LEASES, OUTBOX
from stream.intake import forget, positions, went_back
from stream.reader import Place

SERVICE = "desk"
_CATCHING_UP = "catching-up"


def rebuild(connection: Connection, now: datetime) -> None:
    """Empty what comes from the topics and begin them again.

    Kept are decisions that the topic may not have yet, and what no topic tells: claims, acts, drafts, the index.
    """
    forget(connection, SERVICE)  # first: who reads the topics meanwhile is waited for before anything is seen of them
    for table in (*DERIVED, *FACTS):
        connection.execute(sa.delete(table))
    connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.decision_id.in_(_read())))
    connection.execute(sa.delete(DECISIONS).where(DECISIONS.c.read))
    begin_catching_up(connection, now)


def _read() -> sa.Select[tuple[str]]:
    return sa.select(DECISIONS.c.decision_id).where(DECISIONS.c.read)


def begin_catching_up(connection: Connection, now: datetime) -> None:
    """Give nobody work until the topics have been read."""
    # Written where it stands already too: who takes it away just now must not do so for what is begun here.
    again = LEASES.update().where(LEASES.c.name == _CATCHING_UP).values(expires_at=now)
    if connection.execute(again).rowcount == 0:
        connection.execute(LEASES.insert().values(name=_CATCHING_UP, holder="", expires_at=now))


def begin(connection: Connection, now: datetime) -> None:
    """The same where the database has read nothing yet."""
    if not positions(connection, SERVICE):
        begin_catching_up(connection, now)


def caught_up(connection: Connection, read: Mapping[Place, int] | None = None) -> None:
    """The topics have been read: work is given again.

    Args:
        connection: of a transaction that writes.
        read: offsets up to which they were; where they were begun anew since, nothing is done.
    """
    if went_back(read or {}, positions(connection, SERVICE)):
        return
    connection.execute(sa.delete(LEASES).where(LEASES.c.name == _CATCHING_UP))


def catching_up(connection: Connection) -> bool:
    """Whether the topics are still being read."""
    return connection.execute(sa.select(LEASES.c.name).where(LEASES.c.name == _CATCHING_UP)).scalar() is not None


def check_ready(connection: Connection) -> None:
    """Refuse while the topics are being read.

    Raises:
        NotReady: they are.
    """
    if catching_up(connection):
        raise NotReady("the topics are still being read")
