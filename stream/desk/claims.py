"""Claims: who holds a certificate, for how long, and how much of that time was work.

There is one row for each certificate, so that two people never hold one; a claim is taken over once its lease has run out.
A holder whose lease has run out and whose certificate nobody took keeps it: nothing that he does is lost.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk.refusals import ClaimLost, Held
from stream.desk.tables import CLAIMS, DRAFTS, OLDER, TASKS, Found
from stream.desk.values import Claim, Coder

SILENT_BEATS = 3.0
"""Heartbeats that may be missed before silence counts as idle time."""


def claim_of(row: Found) -> Claim:
    """A claim of its row."""
    return Claim(
        row.claim_id, row.certificate_id, row.version, row.coder, DecisionKind(row.kind), row.blind, row.claimed_at,
        row.expires_at,
    )  # fmt: skip


def row_of(connection: Connection, certificate_id: str) -> Found | None:
    """The claim's row on a certificate, live or not."""
    return connection.execute(sa.select(CLAIMS).where(CLAIMS.c.certificate_id == certificate_id)).one_or_none()


def mine(connection: Connection, who: Coder, claim_id: str) -> Found:
    """The row of a claim that its holder still has.

    Raises:
        ClaimLost: he has it no more, or it was never his.
    """
    chosen = sa.select(CLAIMS).where(CLAIMS.c.claim_id == claim_id, CLAIMS.c.coder == who.pseudonym)
    row = connection.execute(chosen).one_or_none()
    if row is None:
        raise ClaimLost("the certificate is in other hands")
    return row


def held_by(connection: Connection, who: Coder) -> list[Found]:
    """What a person holds, first come first."""
    chosen = sa.select(CLAIMS).where(CLAIMS.c.coder == who.pseudonym)
    return list(connection.execute(chosen.order_by(CLAIMS.c.claimed_at, CLAIMS.c.certificate_id)))


def take(connection: Connection, task: Found, kind: DecisionKind, who: Coder, now: datetime, lease: timedelta) -> Claim:
    """Take a certificate; the task's row is locked.

    Raises:
        Held: somebody else has it.
    """
    row = row_of(connection, task.certificate_id)
    if row is not None and row.coder != who.pseudonym and row.expires_at > now:
        raise Held("somebody else holds the certificate")
    # A lock alone leaves no trace: a reading of the topics that looked at the claims before this one must find the row
    # changed, and be done again, or it would not keep the version that is taken here (PostgreSQL).
    same_task = TASKS.c.certificate_id == task.certificate_id
    connection.execute(sa.update(TASKS).where(same_task).values(version=task.version))
    values = {
        "claim_id": uuid.uuid4().hex, "coder": who.pseudonym, "version": task.version, "kind": kind.value,
        "blind": task.audit, "claimed_at": now, "expires_at": now + lease, "beat_at": now, "idle_s": 0.0,
    }  # fmt: skip
    if row is None:
        connection.execute(CLAIMS.insert().values(certificate_id=task.certificate_id, **values))
    else:
        _forget_seen(connection, row)
        same = sa.and_(CLAIMS.c.certificate_id == task.certificate_id, CLAIMS.c.claim_id == row.claim_id)
        connection.execute(sa.delete(OLDER).where(OLDER.c.certificate_id == task.certificate_id))
        if connection.execute(CLAIMS.update().where(same).values(**values)).rowcount != 1:
            raise Held("somebody else was first")
    return Claim(
        str(values["claim_id"]), task.certificate_id, task.version, who.pseudonym, kind, task.audit, now, now + lease
    )


def renew(
    connection: Connection, row: Found, now: datetime, lease: timedelta, *, beat_s: float, idle_s: float = 0.0
) -> Claim:
    """Lengthen a lease; time since the last beat in which nothing was done is told apart.

    Args:
        connection: of a transaction that writes.
        row: the claim.
        now: moment of the beat.
        lease: its new length.
        beat_s: seconds between two beats.
        idle_s: seconds of these in which the browser saw neither key nor pointer.
    """
    expires = max(row.expires_at, now + lease)
    idle = row.idle_s + idle_since(row, now, beat_s=beat_s, told_s=idle_s)
    changed = connection.execute(
        CLAIMS.update().where(CLAIMS.c.claim_id == row.claim_id)
        .values(expires_at=expires, beat_at=max(now, row.beat_at), idle_s=idle)
    )  # fmt: skip
    if changed.rowcount != 1:
        raise ClaimLost("the certificate is in other hands")
    return Claim(
        row.claim_id, row.certificate_id, row.version, row.coder, DecisionKind(row.kind), row.blind, row.claimed_at,
        expires,
    )  # fmt: skip


def idle_since(row: Found, now: datetime, *, beat_s: float, told_s: float = 0.0) -> float:
    """Idle seconds since the last beat: those told, or what a silence has beyond the time that some beats take."""
    passed = max(0.0, (now - row.beat_at).total_seconds())
    silent = max(0.0, passed - SILENT_BEATS * beat_s)
    return float(max(min(max(0.0, told_s), passed), silent))


def seconds(row: Found, now: datetime, *, beat_s: float) -> float:
    """Seconds of work on a claim so far: from its beginning, less what was idle."""
    passed = max(0.0, (now - row.claimed_at).total_seconds())
    return float(round(max(0.0, passed - row.idle_s - idle_since(row, now, beat_s=beat_s)), 3))


def drop(connection: Connection, claim_id: str) -> None:
    """End a claim, and let go of what was kept for its holder."""
    row = connection.execute(sa.select(CLAIMS).where(CLAIMS.c.claim_id == claim_id)).one_or_none()
    if row is None:
        return
    _forget_seen(connection, row)
    connection.execute(sa.delete(CLAIMS).where(CLAIMS.c.claim_id == claim_id))
    connection.execute(sa.delete(OLDER).where(OLDER.c.certificate_id == row.certificate_id))


def _forget_seen(connection: Connection, row: Found) -> None:
    """Let go of a draft that was made with the machine's codes in sight, where its certificate is coded blind by now."""
    audit = sa.select(TASKS.c.audit).where(TASKS.c.certificate_id == row.certificate_id)
    if not row.blind and connection.execute(audit).scalar():
        mine = sa.and_(DRAFTS.c.certificate_id == row.certificate_id, DRAFTS.c.coder == row.coder)
        connection.execute(sa.delete(DRAFTS).where(mine))
