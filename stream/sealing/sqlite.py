"""Keys in an SQLite file: for the workers of one machine.

Write-ahead log, so that workers read while one writes; each batch is on the disk (fsync) before it is answered, because a
key that a crash takes away takes its texts with it. A shredded key is overwritten in the file and in the log.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from stream.errors import KeysUnavailable
from stream.sealing.store import Act, Row

T = TypeVar("T")
BUSY_S = 5.0
AT_ONCE = 500
_TABLES = """
CREATE TABLE IF NOT EXISTS causa_keys (owner TEXT PRIMARY KEY, kek TEXT NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS causa_keys_kek ON causa_keys (kek, owner);
CREATE TABLE IF NOT EXISTS causa_key_acts (owner TEXT, what TEXT, who TEXT, why TEXT, at TEXT);
"""


class SqliteKeyStore:
    """See `KeyStore`.

    Args:
        path: the file; it and its folder are made with rights for their owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a file yet: whoever asks for a key makes one."""
        return self._path.exists()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One writer at a time, in this process and among processes; all or nothing."""
        with self._lock:
            try:
                connection = self._connection = self._connection or self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                if self._connection is not None:
                    with suppress(sqlite3.Error):
                        self._connection.close()
                    self._connection = None
                raise KeysUnavailable(f"key store: {type(error).__name__}") from None

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        connection.executescript(_TABLES)
        return connection

    def get_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        """See `KeyStore.get_or_put`."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO causa_keys VALUES (?, ?, ?)", [(r.owner, r.kek, r.wrapped) for r in rows]
            )
            return _found(connection, [row.owner for row in rows])

    def get(self, owners: Sequence[str]) -> dict[str, Row]:
        """See `KeyStore.get`."""
        with self._transaction() as connection:
            return _found(connection, owners)

    def page(self, kek: str, after: str, count: int) -> list[Row]:
        """See `KeyStore.page`."""
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT owner, kek, wrapped FROM causa_keys WHERE owner > ? AND kek NOT IN ('', ?) ORDER BY owner LIMIT ?",
                (after, kek, count),
            )
            return [Row(*row) for row in found]

    def replace(self, old: Sequence[Row], new: Sequence[Row]) -> int:
        """See `KeyStore.replace`."""
        pairs = zip(old, new, strict=True)
        with self._transaction() as connection:
            done = connection.executemany(
                "UPDATE causa_keys SET kek = ?, wrapped = ? WHERE owner = ? AND wrapped = ?",
                [(fresh.kek, fresh.wrapped, was.owner, was.wrapped) for was, fresh in pairs],
            )
            return done.rowcount

    def shred(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.shred`."""

        def destroy(connection: sqlite3.Connection) -> int:
            owners = [(act.owner,) for act in acts]
            were = connection.executemany(
                "UPDATE causa_keys SET kek = '', wrapped = x'' WHERE owner = ? AND kek <> ''", owners
            )
            connection.executemany("INSERT OR IGNORE INTO causa_keys VALUES (?, '', x'')", owners)
            return were.rowcount

        count = self._acted(acts, destroy)
        with self._lock, suppress(sqlite3.Error):
            # The log still holds the page as it was; while another process reads, the next one to close empties it.
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def readmit(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.readmit`."""

        def forget(connection: sqlite3.Connection) -> int:
            owners = [(act.owner,) for act in acts]
            return connection.executemany("DELETE FROM causa_keys WHERE owner = ? AND kek = ''", owners).rowcount

        return self._acted(acts, forget)

    def _acted(self, acts: Sequence[Act], change: Callable[[sqlite3.Connection], T]) -> T:
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO causa_key_acts VALUES (?, ?, ?, ?, ?)",
                [(act.owner, act.what, act.who, act.why, act.at.isoformat()) for act in acts],
            )
            return change(connection)

    def acts(self) -> list[Act]:
        """See `KeyStore.acts`."""
        with self._transaction() as connection:
            found = connection.execute("SELECT owner, what, who, why, at FROM causa_key_acts ORDER BY rowid")
            return [Act(owner, what, who, why, datetime.fromisoformat(at)) for owner, what, who, why, at in found]

    def counts(self) -> dict[str, int]:
        """See `KeyStore.counts`."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT kek, count(*) FROM causa_keys GROUP BY kek").fetchall())

    def close(self) -> None:
        """See `KeyStore.close`."""
        with self._lock, suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def _found(connection: sqlite3.Connection, owners: Sequence[str]) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for start in range(0, len(owners), AT_ONCE):
        some = owners[start : start + AT_ONCE]
        marks = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT owner, kek, wrapped FROM causa_keys WHERE owner IN ({marks})", some)  # noqa: S608
        found |= {row[0]: Row(*row) for row in rows}
    return found
