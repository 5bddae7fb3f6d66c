"""What a person wants to see above every page."""

from __future__ import annotations

from datetime import datetime
from statistics import median

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk import claims, queue
from stream.desk.life import Stage
from stream.desk.tables import DECISIONS, OUTBOX, TASKS
from stream.desk.values import Coder, Status


def status(connection: Connection, who: Coder, now: datetime) -> Status:
    """Counts of what a person may do, holds and did today (UTC)."""
    columns = TASKS.c
    stages = {
        stage: (count, oldest)
        for stage, count, oldest in connection.execute(
            sa.select(columns.stage, sa.func.count(), sa.func.min(columns.created_at))
            .where(queue.may_do(who)).group_by(columns.stage)
        )
    }  # fmt: skip
    oldest = min((came for _, came in stages.values()), default=None)
    unsent = connection.execute(sa.select(sa.func.count()).select_from(OUTBOX)).scalar_one()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    seconds = connection.execute(
        sa.select(DECISIONS.c.seconds).where(
            DECISIONS.c.coder == who.pseudonym, DECISIONS.c.decided_at >= midnight,
            DECISIONS.c.kind != DecisionKind.UNDO.value,
        )
    ).scalars().all()  # fmt: skip

    def count(stage: Stage) -> int:
        return int(stages.get(stage.value, (0, None))[0])

    return Status(
        count(Stage.OPEN), count(Stage.ESCALATED), count(Stage.SECOND), count(Stage.DISPUTED),
        len(claims.held_by(connection, who)), unsent,
        None if oldest is None else max(0.0, (now - oldest).total_seconds()), len(seconds),
        median(seconds) if seconds else None,
    )  # fmt: skip
