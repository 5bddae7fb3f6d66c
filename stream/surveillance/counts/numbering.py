"""Which group each number in the tables stands for, and the version of the groups that they were made with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.database import prepare, writing
from stream.errors import InvalidSettings
from stream.surveillance.counts.tables import DEATHS, FORM, GROUPS, STATE, TABLES
from stream.surveillance.groups import Groups

SERVICE = "counts"
_ONE = 1


def ready(engine: Engine, groups: Groups) -> None:
    """Make the tables where there are none.

    Raises:
        InvalidSettings: they count another version of the groups, or have another form.
        DatabaseUnavailable: the server is away.
    """
    prepare(engine, TABLES, service=SERVICE, version=FORM)
    with writing(engine) as connection:
        found = connection.execute(sa.select(STATE.c.groups_version)).scalar()
        if found == groups.version:
            return
        if found is not None and connection.execute(sa.select(DEATHS.c.since).limit(1)).first() is not None:
            raise InvalidSettings(
                f"the counts were made with version {found} of the groups; this software has {groups.version}",
                hint="causa counts rebuild",
            )
        number(connection, groups)


def number(connection: Connection, groups: Groups) -> None:
    """Number the groups anew; the tables that name numbers are to be empty, or to be filled in the same transaction."""
    connection.execute(sa.delete(GROUPS))
    connection.execute(sa.insert(GROUPS), [{"number": place, "id": group.id} for place, group in enumerate(groups)])
    turn = connection.execute(sa.select(STATE.c.turn)).scalar() or 0
    connection.execute(sa.delete(STATE))
    connection.execute(sa.insert(STATE).values(one=_ONE, groups_version=groups.version, turn=turn + 1))


def turn(connection: Connection) -> int:
    """A number that every change of the tables moves."""
    return int(connection.execute(sa.select(STATE.c.turn)).scalar() or 0)


def moved(connection: Connection, version: str | None = None) -> None:
    """Tell readers that the tables change. Of two transactions at once, PostgreSQL takes one back here.

    Args:
        connection: of a transaction that writes.
        version: of the groups that the tables must count; any when None.

    Raises:
        InvalidSettings: they count another one: somebody made them anew meanwhile.
    """
    chosen = sa.update(STATE).values(turn=STATE.c.turn + 1)
    if version is not None:
        chosen = chosen.where(STATE.c.groups_version == version)
    if not connection.execute(chosen).rowcount and version is not None:
        raise InvalidSettings("the counts were made anew with other groups meanwhile", hint="start it again")
