"""Who may log in: local accounts, and people whom an OpenID provider has sent.

Events and the access log name people by pseudonym alone. A local account's is given or drawn, a provider's person gets
one drawn at the first login.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.database import reading, writing
from stream.errors import InvalidSettings
from stream.web import passwords, tables
from stream.web.users import Origin, Role, User, read_roles, written_roles

PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,39}")
LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
TEMPORARY_S = 7 * 86_400.0
"""How long a password that somebody else has set may wait for its first use."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Person:
    """A row of the table of people, without the password.

    Attributes:
        login: of a local account; a provider's subject otherwise.
        made: when it was made, seconds since 1970.
        seen: the last login; None where there was none.
        temporary: until when the password that somebody else has set is good; None for the person's own.
    """

    pseudonym: str
    name: str
    login: str
    origin: Origin
    roles: frozenset[Role]
    disabled: bool
    made: float
    seen: float | None
    temporary: float | None

    def user(self) -> User:
        """As who uses the pages."""
        return User(self.pseudonym, self.name, self.roles, self.origin, self.temporary is not None)


class People:
    """The people of one service.

    Args:
        engine: its database.
        allowed: roles that the service knows.
        least: characters of a password.
        service: its name, which a password must not hold.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        allowed: tuple[Role, ...],
        least: int,
        service: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._allowed, self._least, self._service, self._clock = engine, allowed, least, service, clock

    def add(
        self,
        login: str,
        password: str,
        roles: frozenset[Role],
        *,
        name: str = "",
        pseudonym: str = "",
        own: bool = False,
    ) -> Person:
        """Make a local account.

        Args:
            login: what is typed to log in, in any case.
            password: a first one, unless `own`: to be changed at the first login, within a week.
            roles: of the person.
            name: shown to the person alone; the login where empty.
            pseudonym: drawn where empty.
            own: whether the person has chosen the password.

        Raises:
            InvalidSettings: a login, pseudonym or role that cannot be, or that somebody has.
            WeakPassword: see `passwords.check`.
        """
        login = login.strip().lower()
        if not LOGIN.fullmatch(login):
            raise InvalidSettings("a login is made of letters a to z, digits and . _ @ + -")
        drawn = pseudonym or _drawn()
        if not PSEUDONYM.fullmatch(drawn):
            raise InvalidSettings("a pseudonym is made of 2 to 40 letters, digits and . _ -")
        passwords.check(password, self._least, (login, name, drawn, self._service))
        self._known(roles)
        until = None if own else self._clock() + TEMPORARY_S
        with writing(self._engine) as connection:
            column = tables.people.c
            same = sa.or_(sa.and_(column.issuer == "", column.subject == login), column.pseudonym == drawn)
            if connection.execute(sa.select(column.pseudonym).where(same)).first():
                raise InvalidSettings("there is somebody of this login or pseudonym already")
            connection.execute(
                tables.people.insert().values(
                    pseudonym=drawn, name=(name or login)[:200], issuer="", subject=login, roles=written_roles(roles),
                    password=passwords.hashed(password), password_until=until, disabled=False, made=self._clock(),
                )
            )  # fmt: skip
            return self._one(connection, drawn)

    def all(self) -> list[Person]:
        """Everybody, by pseudonym."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(tables.people).order_by(tables.people.c.pseudonym))
            return [self._person(row) for row in rows]

    def find(self, name: str) -> Person:
        """A person by login or pseudonym.

        Raises:
            InvalidSettings: there is nobody, or the pseudonym of one is the login of another.
        """
        with reading(self._engine) as connection:
            return self._named(connection, name)

    def set_roles(self, name: str, roles: frozenset[Role]) -> Person:
        """Give a local account other roles; open sessions have them at once.

        Raises:
            InvalidSettings: nobody, a role that the service does not know, or a provider's person.
        """
        self._known(roles)
        with writing(self._engine) as connection:
            person = self._named(connection, name)
            if person.origin is Origin.OIDC:
                raise InvalidSettings("the provider tells this person's roles", hint="change them there")
            self._change(connection, person.pseudonym, roles=written_roles(roles))
            return self._one(connection, person.pseudonym)

    def set_disabled(self, name: str, disabled: bool) -> Person:
        """Shut a person out, everywhere and at once, or let them in again."""
        with writing(self._engine) as connection:
            person = self._named(connection, name)
            self._change(connection, person.pseudonym, disabled=disabled)
            if disabled:
                self._forget(connection, person.pseudonym)
            return self._one(connection, person.pseudonym)

    def set_password(self, name: str, password: str, *, own: bool) -> Person:
        """Give a local account another password; all its sessions and known browsers end.

        Args:
            name: login or pseudonym.
            password: the new one.
            own: whether the person has chosen it; if not, it must be changed at the next login.

        Raises:
            InvalidSettings: nobody, or a provider's person.
            WeakPassword: see `passwords.check`.
        """
        person = self.find(name)
        if person.origin is Origin.OIDC:
            raise InvalidSettings("the provider keeps this person's password")
        passwords.check(password, self._least, (person.login, person.name, person.pseudonym, self._service))
        until = None if own else self._clock() + TEMPORARY_S
        with writing(self._engine) as connection:
            self._change(connection, person.pseudonym, password=passwords.hashed(password), password_until=until)
            self._forget(connection, person.pseudonym)
            return self._one(connection, person.pseudonym)

    def logged_in(self, login: str, password: str) -> Person | None:
        """The person of a login and a password; None for any that do not fit, as long as it takes for one that does."""
        found = self._stored(login)
        stored, until = (found.password, found.password_until) if found else ("", None)
        fits = passwords.verified(stored, password)
        late = until is not None and self._clock() > until
        if found is None or not fits or found.disabled or late:
            return None
        values: dict[str, Any] = {"seen": self._clock()}
        if passwords.outdated(stored):
            values["password"] = passwords.hashed(password)
        with writing(self._engine) as connection:
            self._change(connection, found.pseudonym, **values)
            return self._one(connection, found.pseudonym)

    def pseudonym_of(self, login: str) -> str:
        """Whose login it is; empty where nobody's. For the access log: what was typed might be a password."""
        found = self._stored(login)
        return found.pseudonym if found else ""

    def sent(self, issuer: str, subject: str, name: str, roles: frozenset[Role]) -> Person | None:
        """A person whom a provider has sent, met before or now; None where shut out here."""
        column = tables.people.c
        with writing(self._engine) as connection:
            ask = sa.select(column.pseudonym, column.disabled).where(column.issuer == issuer, column.subject == subject)
            found = connection.execute(ask).first()
            if found is not None and found.disabled:
                return None
            values = {"name": (name or subject)[:200], "roles": written_roles(roles), "seen": self._clock()}
            pseudonym = found.pseudonym if found else _drawn()
            if found:
                self._change(connection, pseudonym, **values)
            else:
                connection.execute(
                    tables.people.insert().values(
                        pseudonym=pseudonym, issuer=issuer, subject=subject, password="", disabled=False,
                        made=self._clock(), **values,
                    )
                )  # fmt: skip
            return self._one(connection, pseudonym)

    def _stored(self, login: str) -> Any:
        column = tables.people.c
        with reading(self._engine) as connection:
            ask = sa.select(tables.people).where(column.issuer == "", column.subject == login.strip().lower()[:255])
            return connection.execute(ask).first()

    def _known(self, roles: frozenset[Role]) -> None:
        unknown = roles.difference(self._allowed)
        if unknown or not roles:
            allowed = ", ".join(self._allowed)
            raise InvalidSettings(f"{self._service} has the roles {allowed}: one at least, and no other")

    def _named(self, connection: Connection, name: str) -> Person:
        column = tables.people.c
        local = sa.and_(column.issuer == "", column.subject == name.lower())
        rows = connection.execute(sa.select(tables.people).where(sa.or_(local, column.pseudonym == name))).all()
        if len(rows) != 1:
            raise InvalidSettings("there is nobody of this login or pseudonym" if not rows else "this names two people")
        return self._person(rows[0])

    def _one(self, connection: Connection, pseudonym: str) -> Person:
        ask = sa.select(tables.people).where(tables.people.c.pseudonym == pseudonym)
        return self._person(connection.execute(ask).one())

    def _person(self, row: Any) -> Person:
        return Person(
            row.pseudonym, row.name, row.subject, Origin.OIDC if row.issuer else Origin.LOCAL,
            read_roles(row.roles, self._allowed), row.disabled, row.made, row.seen, row.password_until,
        )  # fmt: skip

    @staticmethod
    def _change(connection: Connection, pseudonym: str, **values: Any) -> None:
        connection.execute(tables.people.update().where(tables.people.c.pseudonym == pseudonym).values(**values))

    @staticmethod
    def _forget(connection: Connection, pseudonym: str) -> None:
        for table in (tables.sessions, tables.devices):
            connection.execute(table.delete().where(table.c.pseudonym == pseudonym))


def _drawn() -> str:
    return "p-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))
