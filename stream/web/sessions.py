"""Sessions: a random id of 256 bits in the browser, its hash alone in the database.

A session ends when nobody used it for a while, after a time whether used or not, at logout, when it or its person is
revoked. Its id is drawn at login: what a browser carried before is never taken over.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from stream.database import reading, writing
from stream.errors import DatabaseUnavailable
from stream.web import tables
from stream.web.users import Origin, Role, User, read_roles, written_roles

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_TOUCH_S = 30.0
"""A session's last use is written down at most so often."""


def token() -> str:
    """A random id of 256 bits."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> str:
    """What the database keeps of an id."""
    return hashlib.sha256(value.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """A session, as lists show it.

    Attributes:
        hash: names it; the browser's id does not follow from it.
        pseudonym: whose it is.
        made: at login, seconds since 1970.
        seen: its last use, to half a minute.
        browser: kind of browser, in short.
        address: of the browser at login.
    """

    hash: str
    pseudonym: str
    made: float
    seen: float
    browser: str
    address: str


class Sessions:
    """The sessions of one service.

    Args:
        engine: its database.
        allowed: roles that the service knows.
        idle_s: unused for so long, it is over.
        absolute_s: it is over after so long.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        allowed: tuple[Role, ...],
        idle_s: float,
        absolute_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._allowed, self._clock = engine, allowed, clock
        self._idle_s, self._absolute_s = idle_s, absolute_s

    def begin(self, user: User, browser: str, address: str) -> str:
        """A new session's id, for the browser."""
        value, now = token(), self._clock()
        with writing(self._engine) as connection:
            connection.execute(tables.sessions.delete().where(self._over()))
            connection.execute(
                tables.sessions.insert().values(
                    hash=digest(value), pseudonym=user.pseudonym, roles=written_roles(user.roles), made=now, seen=now,
                    browser=kind(browser), address=address[:64],
                )
            )  # fmt: skip
        return value

    def find(self, value: str, used: bool = True) -> tuple[Session, User] | None:
        """The session of an id, if it is not over, and its person as they are now.

        Args:
            value: what the browser sent, whatever it is.
            used: whether this counts as a use: what a page asks by itself does not keep a session.
        """
        if not _TOKEN.fullmatch(value):
            return None
        session, person = tables.sessions, tables.people
        joined = sa.select(
            session, person.c.name, person.c.issuer, person.c.roles.label("now"), person.c.password_until
        ).join_from(session, person, session.c.pseudonym == person.c.pseudonym)
        with reading(self._engine) as connection:
            ask = joined.where(session.c.hash == digest(value), ~person.c.disabled, ~self._over())
            row = connection.execute(ask).first()
        if row is None:
            return None
        now = self._clock()
        if used and now - row.seen > _TOUCH_S:
            # Of two requests at once PostgreSQL takes one back: the other has written it, and the next one will.
            with suppress(DatabaseUnavailable), writing(self._engine) as connection:
                connection.execute(session.update().where(session.c.hash == row.hash).values(seen=now))
        local = not row.issuer
        # A local account's roles are what they are now; a provider told them at login.
        roles = read_roles(row.now if local else row.roles, self._allowed)
        origin = Origin.LOCAL if local else Origin.OIDC
        user = User(row.pseudonym, row.name, roles, origin, row.password_until is not None)
        return _session(row), user

    def of(self, pseudonym: str = "") -> list[Session]:
        """Sessions that are not over, the last used first; of one person or of all."""
        ask = sa.select(tables.sessions).where(~self._over()).order_by(tables.sessions.c.seen.desc())
        if pseudonym:
            ask = ask.where(tables.sessions.c.pseudonym == pseudonym)
        with reading(self._engine) as connection:
            return [_session(row) for row in connection.execute(ask)]

    def end(self, *, hash: str = "", pseudonym: str = "") -> int:
        """End sessions.

        Args:
            hash: of one; empty with a pseudonym means all of the person.
            pseudonym: whose; empty means whoever's.

        Returns:
            How many there were.
        """
        assert hash or pseudonym
        gone = tables.sessions.delete()
        if hash:
            gone = gone.where(tables.sessions.c.hash == hash)
        if pseudonym:
            gone = gone.where(tables.sessions.c.pseudonym == pseudonym)
        with writing(self._engine) as connection:
            return connection.execute(gone).rowcount

    def _over(self) -> sa.ColumnElement[bool]:
        now, column = self._clock(), tables.sessions.c
        return sa.or_(column.seen < now - self._idle_s, column.made < now - self._absolute_s)


def _session(row: Any) -> Session:
    return Session(row.hash, row.pseudonym, row.made, row.seen, row.browser, row.address)


_BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chromium"), ("Safari/", "Safari"))
_SYSTEMS = (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iOS"), ("Mac OS", "macOS"), ("Linux", "Linux"))


def kind(agent: str) -> str:
    """A browser and its system in two words of ours; nothing of what it says of itself is kept."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "?")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "?")
    return f"{browser}, {system}"
