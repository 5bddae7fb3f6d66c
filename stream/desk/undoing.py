"""Undoing: an event of its own that takes the last decision back, written with the row that sends it.

Its id is made from what it undoes: asked for twice, it is written once.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import CodedCertificate, Correction, DecisionKind
from stream.desk import checking, claims, store
from stream.desk.context import Context
from stream.desk.deciding import after, enter
from stream.desk.drafts import Draft, DraftCode, DraftLine
from stream.desk.life import KINDS, Stage, Standing, may, standing
from stream.desk.records import correction_of
from stream.desk.refusals import Held, NotAllowed, NoTask, StandsOn
from stream.desk.tables import CLAIMS, DECISIONS, Found
from stream.desk.trail import Trail
from stream.desk.typed import forget, proposed, put_draft
from stream.desk.values import Claim, Coder, Undone

_UNDO = uuid.UUID("6f1b1c0e-6f0a-4d43-8d0f-0c5f6f9a7c55")


def undo(context: Context, who: Coder, decision_id: str, why: str, trail: Trail) -> Undone:
    """Take a decision back; see `Desk.undo`."""
    context.offered("undos", why)
    return context.write(lambda connection: _undone(connection, context, who, decision_id, why, trail), trail)


def undo_id(decision_id: str) -> str:
    """Id of the undo of a decision."""
    return uuid.uuid5(_UNDO, decision_id).hex


def _undone(connection: Connection, context: Context, who: Coder, decision_id: str, why: str, trail: Trail) -> Undone:
    row = connection.execute(sa.select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)).one_or_none()
    if row is None:
        raise NoTask("there is no such decision")
    if row.coder != who.pseudonym and not who.senior:
        raise NotAllowed("a decision is undone by its author or by a senior")
    identifier = row.certificate_id
    task = store.lock(connection, identifier)
    case = store.case(connection, identifier)
    made = undo_id(decision_id)
    if any(one.decision_id == made for one in case.made):
        held = claims.row_of(connection, identifier)
        mine = claims.claim_of(held) if held is not None and held.coder == who.pseudonym else None
        return Undone(made, identifier, row.version, mine)
    now = undoable(case, row)
    if task is None or now is None:
        raise StandsOn("something stands on the decision")
    base = case.base()
    if base is None:
        raise StandsOn("the machine's record is not there")
    at = after(case, context.clock())
    held = claims.row_of(connection, identifier)
    if held is not None and held.coder != who.pseudonym and held.expires_at > at:
        raise Held("somebody works on the certificate")
    undone = correction_of(row.body)
    correction = Correction(
        made, DecisionKind.UNDO, identifier, row.version, who.pseudonym, who.role, why, at, base.content_hash,
        supersedes=decision_id, before=undone.after, underlying_before=undone.underlying_after, blind=row.blind,
        result=_left(connection, row, now, base, at),
    )  # fmt: skip
    enter(connection, correction)
    draft = _draft_of(undone, len(base.part1))
    accepted = row.kind != DecisionKind.ADJUDICATION and not row.blind
    # Without places where the decision holds none, as a second opinion.
    if accepted and proposed(draft, base, places=undone.result is not None):
        forget(connection, who, identifier)  # as the machine has it: what it proposes later takes its place
    else:
        put_draft(connection, who, identifier, row.version, draft, at)
    store.refresh(connection, [identifier])
    trail.write(connection, "UNDONE", identifier, row.version, {"decision": decision_id, "by": made})
    return Undone(made, identifier, row.version, _taken(connection, context, who, identifier, at))


def undoable(case: store.Case, row: Found) -> Standing | None:
    """What stands, if a decision is the last of it and nothing came after; else None."""
    if case.manual is None or case.gone or row.version != case.manual.version or row.kind == DecisionKind.UNDO:
        return None
    now = standing(case.known)
    return now if now.last is not None and now.last.decision_id == row.decision_id else None


def _left(
    connection: Connection, row: Found, now: Standing, base: CodedCertificate, at: datetime
) -> CodedCertificate | None:
    """The record that an undo leaves: the machine's codes; of an adjudication, the first coding's, disputed again."""
    if row.kind == DecisionKind.SECOND:
        return None
    if row.kind == DecisionKind.ADJUDICATION and now.first is not None:
        chosen = sa.select(DECISIONS.c.body).where(DECISIONS.c.decision_id == now.first.decision_id)
        body = connection.execute(chosen).scalar()
        first = correction_of(body).result if body is not None else None
        return checking.given_back(first or base, at)
    return checking.given_back(base, at)


def _draft_of(undone: Correction, part1: int) -> Draft:
    """What was decided, as a draft; of a second opinion without places."""
    if undone.result is not None:
        kept = Draft.of(undone.result)
        return Draft(kept.part1, kept.part2, kept.underlying, undone.reason)
    lines = tuple(DraftLine(tuple(DraftCode(code) for code in line)) for line in undone.after)
    return Draft(lines[:part1], lines[part1:], undone.underlying_after or "", undone.reason)


def _taken(connection: Connection, context: Context, who: Coder, identifier: str, at: datetime) -> Claim | None:
    """The certificate in the hands of who undid, where he may code it."""
    task = store.lock(connection, identifier)
    stage = Stage(task.stage) if task is not None else Stage.GONE
    if task is None or not may(
        stage, senior_only=task.senior, first_by=task.first_by, second_by=task.second_by, who=who.pseudonym,
        senior=who.senior,
    ):  # fmt: skip
        return None
    held = claims.row_of(connection, identifier)
    if held is not None and held.coder == who.pseudonym:
        connection.execute(sa.delete(CLAIMS).where(CLAIMS.c.claim_id == held.claim_id))
    return claims.take(connection, task, KINDS[stage], who, at, context.lease)
