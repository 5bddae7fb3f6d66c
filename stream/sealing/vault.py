"""The vault: certificates' keys out of the store, unwrapped for a batch; wrapped anew; destroyed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stream.certificate import utc_now
from stream.errors import InvalidSettings, KeysUnavailable
from stream.sealing.envelope import KEY_BYTES, Wrapping
from stream.sealing.keyring import Keyring
from stream.sealing.sqlite import SqliteKeyStore
from stream.sealing.store import Act, KeyStore, Row
from stream.settings import Sealing, Settings

ROTATED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rotation:
    """How far a rotation is: keys wrapped anew, and those that changed meanwhile (another rotation, or shredded)."""

    wrapped: int = 0
    passed: int = 0


class Vault:
    """Certificates' keys.

    Args:
        settings: key-encryption keys and static keys.
        store: where the wrapped keys are.
        clock: now, for tests.
    """

    def __init__(self, settings: Sealing, store: KeyStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Raises InvalidSettings when a key is not 32 bytes in base64, or there is no key-encryption key."""
        if not settings.keks:
            raise InvalidSettings("there is no key-encryption key", hint="set CAUSA_SEALING__KEKS")
        self._wrapping = Wrapping(settings.keks, settings.kek)
        self._ring = Keyring(settings)
        self._store, self._clock = store, clock

    async def keyring(self, owners: Collection[str]) -> Keyring:
        """The keys of a batch, made where there are none, in one trip to the store and off the event loop.

        Raises:
            KeysUnavailable: the store does not answer, or its keys do not open.
        """
        return await asyncio.to_thread(self.get_or_make, owners) if owners else self._ring

    def get_or_make(self, owners: Collection[str]) -> Keyring:
        """As `keyring`, at once."""
        wrapping = self._wrapping
        fresh = {owner: os.urandom(KEY_BYTES) for owner in owners}
        given = [Row(owner, wrapping.active, wrapping.wrap(key, owner)) for owner, key in fresh.items()]
        kept = self._store.get_or_put(given)
        keys: dict[str, AESGCM | None] = {}
        for row in given:
            # What was stored as given needs no unwrapping.
            known = fresh[row.owner] if kept[row.owner] == row else self._unwrapped(kept[row.owner])
            keys[row.owner] = AESGCM(known) if known else None
        return self._ring.holding(keys)

    def get(self, owners: Collection[str]) -> Keyring:
        """The keys that there are, to open with; none is made. Raises as `keyring` does."""
        rows = self._store.get(list(owners))
        unwrapped = {owner: self._unwrapped(row) for owner, row in rows.items()}
        return self._ring.holding({owner: AESGCM(key) if key else None for owner, key in unwrapped.items()})

    def _unwrapped(self, row: Row) -> bytes | None:
        return None if row.shredded else self._wrapping.unwrap(row.wrapped, row.kek, row.owner)

    def rotate(self, tell: Callable[[Rotation], None] = lambda _: None, *, at_once: int = ROTATED_AT_ONCE) -> Rotation:
        """Wrap every key under the active key-encryption key; begun again, it goes on where it stopped.

        Args:
            tell: told after each batch.
            at_once: keys in a batch.

        Raises:
            KeysUnavailable: the store does not answer, or a key does not open; its certificate is named.
        """
        after, done = "", Rotation()
        while old := self._store.page(self._wrapping.active, after, at_once):
            new = [self._wrapped_anew(row) for row in old]
            count = self._store.replace(old, new)
            done = Rotation(done.wrapped + count, done.passed + len(old) - count)
            tell(done)
            after = old[-1].owner
        return done

    def _wrapped_anew(self, row: Row) -> Row:
        wrapping = self._wrapping
        try:
            key = wrapping.unwrap(row.wrapped, row.kek, row.owner)
        except KeysUnavailable as error:
            raise KeysUnavailable(f"{error.message}: {row.owner}", hint=error.hint) from None
        return Row(row.owner, wrapping.active, wrapping.wrap(key, row.owner))

    def shred(self, owners: Sequence[str], who: str, why: str) -> int:
        """Destroy keys: no text sealed under them opens again, and no new key is made; how many there were."""
        return self._store.shred(self._acts(owners, "shredded", who, why))

    def readmit(self, owners: Sequence[str], who: str, why: str) -> int:
        """Let shredded certificates have new keys; what was sealed before stays unreadable. How many were shredded."""
        return self._store.readmit(self._acts(owners, "readmitted", who, why))

    def _acts(self, owners: Sequence[str], what: str, who: str, why: str) -> list[Act]:
        return [Act(owner, what, who, why, self._clock()) for owner in dict.fromkeys(owners)]

    def acts(self) -> list[Act]:
        """What was shredded and readmitted, by whom and why."""
        return self._store.acts()

    def counts(self) -> tuple[str, dict[str, int]]:
        """The active key-encryption key's name, and the number of keys by name; shredded ones under an empty name."""
        return self._wrapping.active, self._store.counts()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()


def open_store(settings: Settings) -> KeyStore:
    """The store of the settings, not connected yet.

    Raises:
        InvalidSettings: PostgreSQL is named, and its client is not installed.
    """
    sealing = settings.sealing
    if sealing.store.startswith("postgres"):
        try:
            from stream.sealing.postgres import PostgresKeyStore
        except ImportError:
            raise InvalidSettings("sealing.store needs psycopg", hint="pip install 'causa[postgres]'") from None
        return PostgresKeyStore(sealing.store, sealing.store_password.get_secret_value(), sealing.store_timeout_s)
    if sealing.store:
        return SqliteKeyStore(Path(sealing.store.removeprefix("sqlite:///")))
    return SqliteKeyStore(settings.root / "keys" / "keys.sqlite")


def open_vault(settings: Settings) -> Vault | None:
    """The vault of the settings; None where there is no key-encryption key. Raises as `Vault` and `open_store` do."""
    return Vault(settings.sealing, open_store(settings)) if settings.sealing.keks else None
