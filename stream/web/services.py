"""The services that have pages, as commands name them: their databases, people, sessions and access logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from stream.database import open_database
from stream.errors import InvalidSettings
from stream.settings import Settings
from stream.web import tables
from stream.web.access import AccessLog
from stream.web.people import People
from stream.web.sessions import Sessions
from stream.web.users import ROLES, Role


@dataclass(frozen=True, slots=True)
class Office:
    """What commands reach of a service: see the classes."""

    service: str
    roles: tuple[Role, ...]
    people: People
    sessions: Sessions
    access: AccessLog


@contextmanager
def open_office(settings: Settings, service: str) -> Iterator[Office]:
    """A service's people and logs, from its database.

    Args:
        settings: of the machine.
        service: `desk` or `dashboard`.

    Raises:
        InvalidSettings: no such service, or a database that holds something else.
        DatabaseUnavailable: the database is away.
    """
    if service not in ROLES:
        raise InvalidSettings(f"there is no service of this name: {' or '.join(ROLES)}")
    engine = _engine(settings, service)
    try:
        tables.make(engine)
        roles, web = ROLES[service], settings.web
        yield Office(
            service, roles, People(engine, roles, web.password_chars, service),
            Sessions(engine, roles, web.idle_s, web.absolute_s), AccessLog(engine),
        )  # fmt: skip
    finally:
        engine.dispose()


def _engine(settings: Settings, service: str) -> Engine:
    if service == "desk":
        return open_database(settings.desk.database, settings.root / "desk.sqlite")
    return open_database(settings.surveillance.database, settings.root / "surveillance.sqlite")
