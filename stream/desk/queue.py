"""The queue as one person sees it: which tasks he may do, in which order, how many of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from stream.certificate import Age, AgeUnit, Sex, Source
from stream.coding import DecisionKind, Reason
from stream.desk import store
from stream.desk.life import KINDS, Stage
from stream.desk.tables import ACTS, CLAIMS, DECISIONS, MARKS, TASKS, Found
from stream.desk.values import Act, Coder, Facets, Filters, Listing, Order, Page, TaskRow

_FIRST = [stage.value for stage in (Stage.OPEN, Stage.ESCALATED)]
_AGAIN = [stage.value for stage in (Stage.SECOND, Stage.DISPUTED)]
_MOST = 500
"""Rows on a page."""


def may_do(who: Coder) -> ColumnElement[bool]:
    """`life.may`, as a condition."""
    columns = TASKS.c

    def not_by(column: sa.Column[Any]) -> ColumnElement[bool]:
        return sa.or_(column.is_(None), column != who.pseudonym)

    allowed = sa.or_(
        sa.and_(columns.stage.in_(_FIRST), not_by(columns.second_by)),
        sa.and_(columns.stage.in_(_AGAIN), not_by(columns.first_by), not_by(columns.second_by)),
    )
    waits = sa.and_(columns.place > store.OUT, allowed)
    return waits if who.senior else sa.and_(waits, ~columns.senior)


def held(now: datetime) -> ColumnElement[bool]:
    """Whether a claim is live."""
    return CLAIMS.c.expires_at > now


def wanted(filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    """The filters, as conditions."""
    columns = TASKS.c
    found: list[ColumnElement[bool]] = []
    for column, values in (
        (columns.stage, filters.stages),
        (columns.stratum, filters.strata),
        (columns.source, filters.sources),
        (columns.department, filters.departments),
    ):
        if values:
            found.append(column.in_([str(value) for value in values]))
    for kind, marked in (
        ("reason", filters.reasons),
        ("group", filters.groups),
        ("flag", filters.flags),
        ("edit", filters.edits),
    ):
        if marked:
            found.append(
                sa.exists().where(
                    MARKS.c.certificate_id == columns.certificate_id,
                    MARKS.c.kind == kind,
                    MARKS.c.value.in_([str(value) for value in marked]),
                )
            )
    if filters.audit is not None:
        found.append(columns.audit if filters.audit else ~columns.audit)
    if filters.older_than is not None:
        found.append(columns.created_at <= now - filters.older_than)
    if filters.younger_than is not None:
        found.append(columns.created_at > now - filters.younger_than)
    return found


def _skipped(who: Coder) -> ColumnElement[bool]:
    return sa.exists().where(
        ACTS.c.certificate_id == TASKS.c.certificate_id,
        ACTS.c.version == TASKS.c.version,
        ACTS.c.act == Act.SKIP.value,
        ACTS.c.who == who.pseudonym,
        ACTS.c.holds,
    )


def _held_by_another(who: Coder, now: datetime) -> ColumnElement[bool]:
    return sa.exists().where(
        CLAIMS.c.certificate_id == TASKS.c.certificate_id, held(now), CLAIMS.c.coder != who.pseudonym
    )


def _order(who: Coder, order: Order) -> tuple[ColumnElement[Any], ...]:
    # What this person skipped comes last, and so comes again once nothing else is left.
    return (sa.case((_skipped(who), 1), else_=0), *_place(order))


def _place(order: Order) -> tuple[ColumnElement[Any], ...]:
    columns = TASKS.c
    first = (columns.place.desc(),) if order is Order.PRIORITY else ()
    return (*first, columns.created_at, columns.certificate_id)


def conditions(who: Coder, filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    """All that a task must meet to be in this person's queue."""
    found = [may_do(who), *wanted(filters, now)]
    return [*found, ~_held_by_another(who, now)] if filters.free else found


def listing(connection: Connection, who: Coder, filters: Filters, page: Page, now: datetime) -> Listing:
    """A page of the queue."""
    where = conditions(who, filters, now)
    total = connection.execute(sa.select(sa.func.count()).select_from(TASKS).where(*where)).scalar_one()
    holder = (
        sa.select(CLAIMS.c.coder)
        .where(CLAIMS.c.certificate_id == TASKS.c.certificate_id, held(now))
        .scalar_subquery()
    )  # fmt: skip
    amended = sa.exists().where(
        DECISIONS.c.certificate_id == TASKS.c.certificate_id,
        DECISIONS.c.version < TASKS.c.version,
        DECISIONS.c.kind != DecisionKind.UNDO.value,
    )
    size = min(max(1, page.size), _MOST)
    chosen = (
        sa.select(TASKS, holder.label("holder"), _skipped(who).label("skipped"), amended.label("amended"))
        .where(*where).order_by(*_order(who, filters.order)).limit(size).offset(max(0, page.number) * size)
    )  # fmt: skip
    rows = connection.execute(chosen).all()
    ids = [row.certificate_id for row in rows]
    marks: dict[tuple[str, str], list[str]] = {}
    for mark in connection.execute(sa.select(MARKS).where(MARKS.c.certificate_id.in_(ids)).order_by(MARKS.c.value)):
        marks.setdefault((mark.certificate_id, mark.kind), []).append(mark.value)
    return Listing(tuple(_row(row, marks, who) for row in rows), total)


def _row(row: Found, marks: dict[tuple[str, str], list[str]], who: Coder) -> TaskRow:
    def marked(kind: str) -> tuple[str, ...]:
        return tuple(marks.get((row.certificate_id, kind), ()))

    stage = Stage(row.stage)
    return TaskRow(
        row.certificate_id, row.version, stage, KINDS[stage], row.audit,
        None if row.audit else row.priority, tuple(Reason(value) for value in marked("reason")),
        marked("group"), marked("flag"), marked("edit"), row.stratum, Source(row.source), row.department, Sex(row.sex),
        None if row.age is None else Age(row.age, AgeUnit(row.age_unit)), row.proposed, row.confidence,
        row.created_at, row.since, row.holder, row.holder == who.pseudonym, bool(row.skipped), bool(row.amended),
    )  # fmt: skip


def candidate(connection: Connection, who: Coder, filters: Filters, now: datetime) -> str | None:
    """The first task of the queue that nobody holds, its row locked against other servers' hands; None if there is none."""
    nobody = ~sa.exists().where(CLAIMS.c.certificate_id == TASKS.c.certificate_id, held(now))
    chosen = sa.select(TASKS.c.certificate_id).where(*conditions(who, filters, now), nobody)
    # The index gives the order, and the first that fits ends the search: what was skipped is looked for only then.
    for skipped in (~_skipped(who), _skipped(who)):
        ordered = chosen.where(skipped).order_by(*_place(filters.order)).limit(1).with_for_update(skip_locked=True)
        found: str | None = connection.execute(ordered).scalar()
        if found is not None:
            return found
    return None


def facets(connection: Connection, who: Coder, filters: Filters, now: datetime) -> Facets:
    """How many tasks of the queue there are by each of the values that they can be filtered by."""
    where = conditions(who, filters, now)

    def by(column: ColumnElement[Any]) -> dict[str, int]:
        found = connection.execute(
            sa.select(column, sa.func.count()).select_from(TASKS).where(*where).group_by(column).order_by(column)
        )
        return {str(value): count for value, count in found if value not in (None, "")}

    marks: dict[str, dict[str, int]] = {"reason": {}, "group": {}, "flag": {}, "edit": {}}
    marked = (
        sa.select(MARKS.c.kind, MARKS.c.value, sa.func.count())
        .join(TASKS, TASKS.c.certificate_id == MARKS.c.certificate_id)
        .where(*where).group_by(MARKS.c.kind, MARKS.c.value).order_by(MARKS.c.kind, MARKS.c.value)
    )  # fmt: skip
    for kind, value, count in connection.execute(marked):
        marks[kind][value] = count
    columns = TASKS.c
    audit = {"true" if value in ("True", "1") else "false": n for value, n in by(columns.audit).items()}
    return Facets(
        by(columns.stage), marks["reason"], marks["group"], by(columns.stratum), by(columns.source),
        by(columns.department), marks["flag"], marks["edit"], audit,
    )  # fmt: skip
