"""Rows of decisions as the figures want them: read in parts, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.desk.store import AT_ONCE
from stream.desk.tables import DECISIONS, Found

COLUMNS = (
    DECISIONS.c.decision_id, DECISIONS.c.certificate_id, DECISIONS.c.version, DECISIONS.c.kind, DECISIONS.c.coder,
    DECISIONS.c.reason, DECISIONS.c.decided_at, DECISIONS.c.blind, DECISIONS.c.seconds, DECISIONS.c.changed,
    DECISIONS.c.cause, DECISIONS.c.supersedes, DECISIONS.c.stands, DECISIONS.c.content_hash, DECISIONS.c.role,
)  # fmt: skip
"""What the figures read of a decision."""


def made_in(connection: Connection, since: datetime, until: datetime) -> Sequence[Found]:
    """Decisions from a moment up to another, by time."""
    return connection.execute(
        sa.select(*COLUMNS).where(DECISIONS.c.decided_at >= since, DECISIONS.c.decided_at < until)
        .order_by(DECISIONS.c.decided_at, DECISIONS.c.decision_id)
    ).all()  # fmt: skip


def counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value is there, the most frequent first."""
    return dict(Counter(values).most_common())


def in_parts(connection: Connection, chosen: sa.Select[Any], column: sa.Column[Any], ids: Iterable[str]) -> list[Any]:
    """Rows of many certificates, asked for some at a time."""
    given = sorted(set(ids))
    return [
        row
        for at in range(0, len(given), AT_ONCE)
        for row in connection.execute(chosen.where(column.in_(given[at : at + AT_ONCE])))
    ]
