"""Certificates into and out of hands: each act one transaction on the certificate's claim."""

from __future__ import annotations

from sqlalchemy import Connection

from stream.desk import claims, opening, queue, rebuild, store
from stream.desk.context import Context
from stream.desk.life import KINDS, Stage, may
from stream.desk.refusals import NotAllowed, NoTask, TooMany
from stream.desk.tables import Found
from stream.desk.values import Claim, Coder, Filters, Renewed


def next_claim(context: Context, who: Coder, filters: Filters) -> Claim | None:
    """See `Desk.next`."""

    def taken(connection: Connection) -> Claim | None:
        rebuild.check_ready(connection)
        for row in claims.held_by(connection, who):
            return _renewed(connection, context, row, 0.0)
        chosen = queue.candidate(connection, who, filters, context.clock())
        task = store.lock(connection, chosen) if chosen else None
        return _taken(connection, context, task, who) if task is not None else None

    return context.write(taken)


def take(context: Context, who: Coder, certificate_id: str) -> Claim:
    """See `Desk.take`."""

    def taken(connection: Connection) -> Claim:
        task = store.lock(connection, certificate_id)
        rebuild.check_ready(connection)
        held = claims.held_by(connection, who)
        for row in held:
            if row.certificate_id == certificate_id:
                return _renewed(connection, context, row, 0.0)
        if len(held) >= context.settings.most_held:
            raise TooMany("finish or give back what you hold first")
        if task is None:
            raise NoTask("there is no such task")
        return _taken(connection, context, task, who)

    return context.write(taken)


def renew(context: Context, who: Coder, claim_id: str, idle_s: float, seen: int | None = None) -> Renewed:
    """See `Desk.renew`."""

    def renewed(connection: Connection) -> Renewed:
        row = claims.mine(connection, who, claim_id)
        banner = opening.banner_of(store.case(connection, row.certificate_id), row.version, None if row.blind else seen)
        return Renewed(_renewed(connection, context, row, idle_s), banner)

    return context.write(renewed)


def refresh(context: Context, who: Coder, claim_id: str) -> Claim:
    """See `Desk.refresh`."""

    def refreshed(connection: Connection) -> Claim | NoTask | NotAllowed:
        row = claims.mine(connection, who, claim_id)
        task = store.lock(connection, row.certificate_id)
        if task is not None and task.version == row.version and Stage(task.stage) in KINDS:
            return _renewed(connection, context, row, 0.0)
        claims.drop(connection, claim_id)
        if task is None:
            return NoTask("there is no task any more")
        try:
            return _taken(connection, context, task, who)
        except (NoTask, NotAllowed) as refusal:
            # Told as a value: raised here it would take back that the claim is over.
            return refusal

    found = context.write(refreshed)
    if isinstance(found, Claim):
        return found
    raise found


def release(context: Context, who: Coder, claim_id: str) -> None:
    """See `Desk.release`."""

    def released(connection: Connection) -> None:
        claims.mine(connection, who, claim_id)
        claims.drop(connection, claim_id)

    context.write(released)


def revoke(context: Context, who: Coder, certificate_id: str) -> None:
    """See `Desk.revoke`."""
    if not who.senior:
        raise NotAllowed("a senior takes claims away")

    def revoked(connection: Connection) -> None:
        row = claims.row_of(connection, certificate_id)
        if row is None:
            raise NoTask("nobody holds it")
        claims.drop(connection, row.claim_id)

    context.write(revoked)


def _taken(connection: Connection, context: Context, task: Found, who: Coder) -> Claim:
    stage = Stage(task.stage)
    if stage not in KINDS:
        raise NoTask(f"the task waits for nobody: {stage}")
    if not may(stage, senior_only=task.senior, first_by=task.first_by, second_by=task.second_by,
               who=who.pseudonym, senior=who.senior):  # fmt: skip
        raise NotAllowed("the task is for somebody else")
    return claims.take(connection, task, KINDS[stage], who, context.clock(), context.lease)


def _renewed(connection: Connection, context: Context, row: Found, idle_s: float) -> Claim:
    beat_s = context.settings.beat_s
    return claims.renew(connection, row, context.clock(), context.lease, beat_s=beat_s, idle_s=idle_s)
