"""What people do to a task beside deciding: leave it, hand it up or down, ask for a second opinion; each with a reason."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.desk import claims, opening, store
from stream.desk.context import Context
from stream.desk.life import Stage
from stream.desk.refusals import NotAllowed, NoTask
from stream.desk.tables import ACTS, TASKS
from stream.desk.trail import Trail
from stream.desk.values import Act, Coder

NOTE_CHARS = 500
"""Longest note."""
_TOLD = {Act.SKIP: "RELEASED", Act.RETURN: "RELEASED", Act.ESCALATE: "ESCALATED"}
"""Acts as the access log has them."""


def hand_on(context: Context, who: Coder, claim_id: str, act: Act, why: str, note: str, trail: Trail) -> None:
    """Give up a claim by an act that is not a decision; see `Desk.skip`, `Desk.escalate`, `Desk.send_back`."""
    held = context.read(lambda connection: claims.mine(connection, who, claim_id))
    identifier, version = held.certificate_id, held.version
    sealed = _sealed(context, note, identifier, version)

    def acted(connection: Connection) -> None:
        store.lock(connection, identifier)
        row = claims.mine(connection, who, claim_id)
        if act is not Act.SKIP and opening.banner_of(store.case(connection, identifier), row.version):
            raise NoTask("a newer version came")
        same = sa.and_(ACTS.c.certificate_id == identifier, ACTS.c.version == row.version)
        if act is Act.RETURN:
            connection.execute(sa.update(ACTS).where(same, ACTS.c.act == Act.ESCALATE).values(holds=False))
        connection.execute(
            ACTS.insert().values(
                certificate_id=identifier, version=row.version, act=act.value, who=who.pseudonym, why=why,
                note=sealed, at=context.clock(), holds=act is not Act.RETURN,
            )
        )  # fmt: skip
        claims.drop(connection, claim_id)
        store.refresh(connection, [identifier])
        trail.write(connection, _TOLD[act], identifier, row.version, {"why": why})

    context.write(acted, trail)


def ask_second(context: Context, who: Coder, certificate_id: str, why: str, note: str) -> None:
    """See `Desk.ask_second`."""
    context.offered("seconds", why)
    found = context.read(lambda connection: store.case(connection, certificate_id))
    if found.manual is None:
        raise NoTask("there is no such task")
    sealed = _sealed(context, note, certificate_id, found.manual.version)

    def asked(connection: Connection) -> None:
        task = store.lock(connection, certificate_id)
        if task is None or task.stage != Stage.DONE or task.second_by is not None or task.first_by is None:
            raise NoTask("there is no first coding to be held against a second")
        if not who.senior and task.first_by != who.pseudonym:
            raise NotAllowed("its author or a senior asks for a second opinion")
        connection.execute(
            ACTS.insert().values(
                certificate_id=certificate_id, version=task.version, act=Act.SECOND.value, who=who.pseudonym,
                why=why, note=sealed, at=context.clock(), holds=True,
            )
        )  # fmt: skip
        store.refresh(connection, [certificate_id])
        now = connection.execute(sa.select(TASKS.c.stage).where(TASKS.c.certificate_id == certificate_id)).scalar()
        if now != Stage.SECOND:
            raise NoTask("it was judged already")

    context.write(asked)


def _sealed(context: Context, note: str, certificate_id: str, version: int) -> bytes | None:
    words = note.strip()[:NOTE_CHARS]
    return context.opener.seal(words, certificate_id, version) if words else None
