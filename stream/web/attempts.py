"""Failed logins: who guesses is stopped, and cannot stop anybody else by it.

Failures count by address, by account and address, and by account for all browsers that this account was never logged in
from. A browser that it was logged in from carries a device cookie, and is counted by itself: however many strangers fail,
it goes on (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). Accounts that do not exist are counted alike.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Engine

from stream.database import again, reading, upsert, writing
from stream.web import tables
from stream.web.sessions import digest, token

WINDOW_S = 900
"""Failures of this window and the last one count."""
DEVICE_S = 180 * 86_400.0
BY_ADDRESS, BY_BOTH, BY_STRANGERS, BY_DEVICE = 60, 8, 100, 10
"""Failures that are allowed."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to log in.

    Attributes:
        login: as typed.
        address: where it comes from.
        device: the browser's device cookie, whatever it is.
    """

    login: str
    address: str
    device: str = ""


class Attempts:
    """The failed logins of one service.

    Args:
        engine: its database.
        clock: seconds since 1970.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine, self._clock = engine, clock

    def wait_s(self, attempt: Attempt, pseudonym: str) -> float:
        """Seconds until this attempt may be made; 0 is now.

        Args:
            attempt: the try.
            pseudonym: whose login it is; empty for nobody's.
        """
        limits = self._limits(attempt, self._known(attempt.device, pseudonym))
        slot = self._slot()
        column = tables.failures.c
        ask = (
            sa.select(column.hash, sa.func.sum(column.count))
            .where(column.hash.in_(list(limits)), column.slot >= slot - 1)
            .group_by(column.hash)
        )
        with reading(self._engine) as connection:
            full = any(count >= limits[key] for key, count in connection.execute(ask))
        return (slot + 1) * WINDOW_S - self._clock() if full else 0.0

    def failed(self, attempt: Attempt, pseudonym: str) -> None:
        """Count a failure.

        Raises:
            DatabaseUnavailable: the server is away.
        """
        keys = self._limits(attempt, self._known(attempt.device, pseudonym))
        slot = self._slot()
        rows = [{"hash": key, "slot": slot, "count": 1} for key in sorted(keys)]

        def count() -> None:
            with writing(self._engine) as connection:
                connection.execute(tables.failures.delete().where(tables.failures.c.slot < slot - 1))
                upsert(connection, tables.failures, rows, add=["count"])

        again(count)  # of two that count the same at once, PostgreSQL takes one back

    def succeeded(self, attempt: Attempt, pseudonym: str) -> str:
        """Forget the failures of this browser with this account; a new device cookie, or empty where it has a good one."""
        known = self._known(attempt.device, pseudonym)
        own = [key for key, limit in self._limits(attempt, known).items() if limit in (BY_BOTH, BY_DEVICE)]
        now, fresh = self._clock(), "" if known else token()
        with writing(self._engine) as connection:
            connection.execute(tables.failures.delete().where(tables.failures.c.hash.in_(own)))
            if fresh:
                connection.execute(tables.devices.delete().where(tables.devices.c.made < now - DEVICE_S))
                connection.execute(tables.devices.insert().values(hash=digest(fresh), pseudonym=pseudonym, made=now))
        return fresh

    def _known(self, device: str, pseudonym: str) -> bool:
        if not device or not pseudonym:
            return False
        column = tables.devices.c
        good = sa.and_(
            column.hash == digest(device), column.pseudonym == pseudonym, column.made >= self._clock() - DEVICE_S
        )
        with reading(self._engine) as connection:
            return connection.execute(sa.select(column.hash).where(good)).first() is not None

    def _limits(self, attempt: Attempt, known: bool) -> dict[str, int]:
        """Allowed failures, by the key they are counted under."""
        login = attempt.login.strip().lower()
        if known:
            return {_key("device", attempt.device, login): BY_DEVICE}
        where = network(attempt.address)
        return {
            _key("address", where): BY_ADDRESS,
            _key("both", login, where): BY_BOTH,
            _key("strangers", login): BY_STRANGERS,
        }

    def _slot(self) -> int:
        return int(self._clock() // WINDOW_S)


def network(address: str) -> str:
    """What one customer of a provider holds: an IPv4 address, or the first 64 bits of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "?"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _key(*parts: str) -> str:
    # What was typed as a login may be a password: its hash alone is kept.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
