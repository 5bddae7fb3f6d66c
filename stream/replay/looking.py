"""Certificates' keys for a plan: those that there are, and for the others some that end with the process.

A plan codes a sample to tell how long a run takes, and what is coded is sealed, and thrown away. Nothing of it may be left
in the key store, nor a file of keys where there was none.
"""

from __future__ import annotations

from collections.abc import Sequence

from stream.sealing.sqlite import SqliteKeyStore
from stream.sealing.store import KeyStore, MemoryKeyStore, Row


class Looking(MemoryKeyStore):
    """A key store that is read and never written.

    Args:
        store: the real one.
    """

    def __init__(self, store: KeyStore) -> None:
        super().__init__()
        self._store = store

    def get_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        """See `KeyStore.get_or_put`; what is put ends with the process."""
        kept = self._kept([row.owner for row in rows])
        return kept | super().get_or_put([row for row in rows if row.owner not in kept])

    def get(self, owners: Sequence[str]) -> dict[str, Row]:
        """See `KeyStore.get`."""
        return super().get(owners) | self._kept(owners)

    def _kept(self, owners: Sequence[str]) -> dict[str, Row]:
        begun = not isinstance(self._store, SqliteKeyStore) or self._store.begun
        return self._store.get(owners) if begun else {}

    def close(self) -> None:
        """See `KeyStore.close`."""
        self._store.close()
