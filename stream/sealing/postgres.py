"""Keys in PostgreSQL: for workers on several machines. Needs `pip install causa[postgres]`.

One statement a batch gets or makes its keys. A shredded key is overwritten by an update, and the row's old version is
vacuumed away at once; backups and archived logs keep it until they expire, or until the key-encryption key is rotated and
the old one destroyed (docs/security.md).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

from stream.errors import KeysUnavailable
from stream.sealing.store import Act, Row

T = TypeVar("T")
ROUNDS = 5
_TABLES = """
CREATE TABLE IF NOT EXISTS causa_keys (owner text COLLATE "C" PRIMARY KEY, kek text NOT NULL, wrapped bytea NOT NULL);
CREATE TABLE IF NOT EXISTS causa_key_acts (
    number bigint GENERATED ALWAYS AS IDENTITY, owner text, what text, who text, why text, at timestamptz
);
"""
_GET_OR_PUT = """
WITH given AS (SELECT * FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS g (owner, kek, wrapped)),
made AS (INSERT INTO causa_keys SELECT * FROM given ON CONFLICT (owner) DO NOTHING RETURNING owner, kek, wrapped)
SELECT owner, kek, wrapped FROM made
UNION ALL
SELECT k.owner, k.kek, k.wrapped FROM causa_keys k JOIN given USING (owner)
"""
_REPLACE = """
UPDATE causa_keys k SET kek = g.kek, wrapped = g.wrapped
FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::bytea[]) AS g (owner, was, kek, wrapped)
WHERE k.owner = g.owner AND k.wrapped = g.was
"""
_SHRED = """
WITH given AS (SELECT unnest(%s::text[]) AS owner),
were AS (SELECT k.owner FROM causa_keys k JOIN given USING (owner) WHERE k.kek <> '' FOR UPDATE OF k),
done AS (
    INSERT INTO causa_keys SELECT owner, '', ''::bytea FROM given
    ON CONFLICT (owner) DO UPDATE SET kek = '', wrapped = ''::bytea
)
SELECT count(*) FROM were
"""
_ACTS = """
INSERT INTO causa_key_acts (owner, what, who, why, at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
"""


class PostgresKeyStore:
    """See `KeyStore`.

    Args:
        url: ``postgresql://user@host:port/base?sslmode=verify-full``, without the password.
        password: of the user; empty where the server asks for none.
        timeout_s: longest wait for the connection and for each statement, seconds.
    """

    def __init__(self, url: str, password: str, timeout_s: float) -> None:
        self._url, self._password, self._timeout_s = url, password, timeout_s
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def _do(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """In one transaction; a connection that broke is made anew by the next call."""
        with self._lock:
            try:
                connection = self._connection = self._connection or self._opened()
                with connection.transaction():
                    return work(connection)
            except (psycopg.Error, OSError) as error:
                self._drop()
                raise KeysUnavailable(f"key store: {type(error).__name__}") from None

    def _opened(self) -> psycopg.Connection[Any]:
        patience = round(self._timeout_s * 1000)
        connection = psycopg.connect(
            self._url, password=self._password or None, autocommit=True, client_encoding="utf8",
            connect_timeout=max(1, round(self._timeout_s)),
            options=f"-c statement_timeout={patience} -c lock_timeout={patience}",
            # A host that vanished with the question acknowledged says nothing ever: seen after 5 + 3 * 2 s.
            tcp_user_timeout=patience, keepalives_idle=5, keepalives_interval=2, keepalives_count=3,
        )  # fmt: skip
        # Who may not make tables uses those that an operator made.
        if connection.execute("SELECT to_regclass('causa_key_acts')").fetchone() == (None,):
            connection.execute(_TABLES)
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def get_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        """See `KeyStore.get_or_put`."""
        found: dict[str, Row] = {}
        # A row that another worker made during the statement is neither made by it nor visible to it: asked again.
        for _ in range(ROUNDS):
            found |= self._got_or_put([row for row in rows if row.owner not in found])
            if len(found) == len(rows):
                return found
        raise KeysUnavailable("key store: it does not keep what it is given")

    def _got_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        given = [r.owner for r in rows], [r.kek for r in rows], [r.wrapped for r in rows]
        return self._do(lambda c: _rows(c.execute(_GET_OR_PUT, given)))

    def get(self, owners: Sequence[str]) -> dict[str, Row]:
        """See `KeyStore.get`."""
        ask = "SELECT owner, kek, wrapped FROM causa_keys WHERE owner = ANY(%s)"
        return self._do(lambda c: _rows(c.execute(ask, (list(owners),))))

    def page(self, kek: str, after: str, count: int) -> list[Row]:
        """See `KeyStore.page`."""
        ask = """SELECT owner, kek, wrapped FROM causa_keys WHERE owner > %s AND kek NOT IN ('', %s)
            ORDER BY owner LIMIT %s"""
        return list(self._do(lambda c: _rows(c.execute(ask, (after, kek, count)))).values())

    def replace(self, old: Sequence[Row], new: Sequence[Row]) -> int:
        """See `KeyStore.replace`."""
        given = [r.owner for r in old], [r.wrapped for r in old], [r.kek for r in new], [r.wrapped for r in new]
        return self._do(lambda c: c.execute(_REPLACE, given).rowcount)

    def shred(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.shred`."""

        def destroy(connection: psycopg.Connection[Any]) -> int:
            _keep(connection, acts)
            row = connection.execute(_SHRED, ([act.owner for act in acts],)).fetchone()
            return int(row[0]) if row else 0

        count = self._do(destroy)
        with self._lock, suppress(psycopg.Error):
            if self._connection is not None:
                self._connection.execute("VACUUM causa_keys")
        return count

    def readmit(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.readmit`."""

        def forget(connection: psycopg.Connection[Any]) -> int:
            _keep(connection, acts)
            owners = [act.owner for act in acts]
            return connection.execute("DELETE FROM causa_keys WHERE kek = '' AND owner = ANY(%s)", (owners,)).rowcount

        return self._do(forget)

    def acts(self) -> list[Act]:
        """See `KeyStore.acts`."""
        ask = "SELECT owner, what, who, why, at FROM causa_key_acts ORDER BY number"
        return self._do(lambda c: [Act(*row) for row in c.execute(ask)])

    def counts(self) -> dict[str, int]:
        """See `KeyStore.counts`."""
        return self._do(lambda c: dict(c.execute("SELECT kek, count(*) FROM causa_keys GROUP BY kek").fetchall()))

    def close(self) -> None:
        """See `KeyStore.close`."""
        with self._lock:
            self._drop()


def _rows(found: psycopg.Cursor[Any]) -> dict[str, Row]:
    return {owner: Row(owner, kek, bytes(wrapped)) for owner, kek, wrapped in found}


def _keep(connection: psycopg.Connection[Any], acts: Sequence[Act]) -> None:
    columns = zip(*((act.owner, act.what, act.who, act.why, act.at) for act in acts), strict=True)
    connection.execute(_ACTS, [list(column) for column in columns])
