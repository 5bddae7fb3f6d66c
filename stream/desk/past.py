"""Decisions as somebody may see them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk import claims, store
from stream.desk.life import KINDS, Stage, standing
from stream.desk.records import correction_of
from stream.desk.tables import DECISIONS, OUTBOX, Found
from stream.desk.undoing import undoable
from stream.desk.values import Coder, Past

_MOST = 200


def past(connection: Connection, who: Coder, case: store.Case) -> tuple[Past, ...]:
    """All decisions on a certificate, by time."""
    return _told(connection, who, store.decisions_on(connection, case.certificate_id), {case.certificate_id: case})


def recent(connection: Connection, who: Coder, limit: int) -> tuple[Past, ...]:
    """A person's own decisions, the newest first."""
    rows = connection.execute(
        sa.select(DECISIONS).where(DECISIONS.c.coder == who.pseudonym)
        .order_by(DECISIONS.c.decided_at.desc(), DECISIONS.c.decision_id).limit(min(max(1, limit), _MOST))
    ).all()  # fmt: skip
    return _told(connection, who, rows, store.cases(connection, {row.certificate_id for row in rows}))


def visible(connection: Connection, who: Coder, case: store.Case, now: datetime) -> tuple[Past, ...]:
    """The decisions on a certificate that a person may see now.

    His own; all others once the task waits for nobody, or for a judgement that he may see: nobody who may still give a
    coding of his own is led by another's.
    """
    found = past(connection, who, case)
    if case.manual is None or case.gone:
        return found
    held = claims.row_of(connection, case.certificate_id)
    works = held is not None and held.coder == who.pseudonym and held.expires_at > now
    told = standing(case.known)
    stage = told.stage
    if stage not in KINDS and not works:
        return found
    by = {made.coder for made in (told.first, told.second) if made is not None}
    if stage is Stage.DISPUTED and (who.senior or who.pseudonym in by):
        return found
    blind = case.manual.audit
    version = case.manual.version
    return tuple(one for one in found if one.coder == who.pseudonym or (one.version < version and not blind))


def _told(connection: Connection, who: Coder, rows: Iterable[Found], cases: dict[str, store.Case]) -> tuple[Past, ...]:
    given = list(rows)
    ids = [row.decision_id for row in given]
    unsent = set(connection.execute(sa.select(OUTBOX.c.decision_id).where(OUTBOX.c.decision_id.in_(ids))).scalars())
    return tuple(_past(row, cases[row.certificate_id], who, sent=row.decision_id not in unsent) for row in given)


def _past(row: Found, case: store.Case, who: Coder, *, sent: bool) -> Past:
    mine = row.coder == who.pseudonym or who.senior
    made = correction_of(row.body)
    return Past(
        row.decision_id, DecisionKind(row.kind), row.certificate_id, row.version, row.coder, row.role, row.reason,
        row.decided_at, row.seconds, row.blind, made.after, made.underlying_after,
        row.changed and row.kind != DecisionKind.UNDO, row.stands, mine and undoable(case, row) is not None, sent,
    )  # fmt: skip
