"""The key store: for each certificate one wrapped key, which can be destroyed.

What it keeps is of no use without the key-encryption key, and what the topics keep is of no use without it. A key that was
shredded leaves an empty row behind, so that no later record of the certificate is given a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A wrapped key.

    Attributes:
        owner: certificate_id, or the place of a record that has none.
        kek: full name of the key-encryption key (`envelope.Wrapping`); empty once shredded.
        wrapped: nonce and ciphertext; empty once shredded.
    """

    owner: str
    kek: str
    wrapped: bytes

    @property
    def shredded(self) -> bool:
        """Whether the key was destroyed."""
        return not self.wrapped


@dataclass(frozen=True, slots=True)
class Act:
    """What was done to a key, by whom and why; `readmitted` undoes the refusal, never the loss."""

    owner: str
    what: str
    who: str
    why: str
    at: datetime


class KeyStore(Protocol):
    """What the vault needs of a store. Calls block, may come from several threads, and raise KeysUnavailable alone."""

    def get_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        """What is kept for the owners of `rows`; for an owner of whom nothing was kept, durably, the row given."""

    def get(self, owners: Sequence[str]) -> dict[str, Row]:
        """What is kept for some owners; those of whom nothing is are left out."""

    def page(self, kek: str, after: str, count: int) -> list[Row]:
        """The first rows, by owner, behind `after` that are wrapped under another key than `kek`."""

    def replace(self, old: Sequence[Row], new: Sequence[Row]) -> int:
        """Each row by another of the same owner, unless it changed meanwhile; how many were replaced."""

    def shred(self, acts: Sequence[Act]) -> int:
        """Destroy keys and keep the acts; how many keys there were to destroy."""

    def readmit(self, acts: Sequence[Act]) -> int:
        """Let shredded owners have new keys, and keep the acts; how many were shredded."""

    def acts(self) -> list[Act]:
        """All acts, oldest first."""

    def counts(self) -> dict[str, int]:
        """Number of keys by the name of the key that wraps them; shredded ones under an empty name."""

    def close(self) -> None:
        """Let go of the connection."""


class MemoryKeyStore:
    """In-memory twin; it ends with the process, and so do its keys.

    Attributes:
        failures: errors to raise on the next calls, first one first.
        trips: calls so far that a real store would be asked for.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._acts: list[Act] = []
        self.failures: list[Exception] = []
        self.trips = 0

    def _asked(self) -> None:
        self.trips += 1
        if self.failures:
            raise self.failures.pop(0)

    def get_or_put(self, rows: Sequence[Row]) -> dict[str, Row]:
        """See `KeyStore.get_or_put`."""
        self._asked()
        return {row.owner: self._rows.setdefault(row.owner, row) for row in rows}

    def get(self, owners: Sequence[str]) -> dict[str, Row]:
        """See `KeyStore.get`."""
        self._asked()
        return {owner: self._rows[owner] for owner in owners if owner in self._rows}

    def page(self, kek: str, after: str, count: int) -> list[Row]:
        """See `KeyStore.page`."""
        self._asked()
        found = (row for row in self._rows.values() if row.owner > after and not row.shredded and row.kek != kek)
        return sorted(found, key=lambda row: row.owner)[:count]

    def replace(self, old: Sequence[Row], new: Sequence[Row]) -> int:
        """See `KeyStore.replace`."""
        self._asked()
        same = [fresh for was, fresh in zip(old, new, strict=True) if self._rows.get(was.owner) == was]
        self._rows |= {row.owner: row for row in same}
        return len(same)

    def shred(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.shred`."""
        self._asked()
        return self._change(acts, shred=True)

    def readmit(self, acts: Sequence[Act]) -> int:
        """See `KeyStore.readmit`."""
        self._asked()
        return self._change(acts, shred=False)

    def _change(self, acts: Iterable[Act], *, shred: bool) -> int:
        count = 0
        for act in acts:
            row = self._rows.get(act.owner)
            count += row is not None and row.shredded is not shred
            if shred:
                self._rows[act.owner] = Row(act.owner, "", b"")
            elif row is not None and row.shredded:
                del self._rows[act.owner]
            self._acts.append(act)
        return count

    def acts(self) -> list[Act]:
        """See `KeyStore.acts`."""
        self._asked()
        return list(self._acts)

    def counts(self) -> dict[str, int]:
        """See `KeyStore.counts`."""
        self._asked()
        found: dict[str, int] = {}
        for row in self._rows.values():
            found[row.kek] = found.get(row.kek, 0) + 1
        return found

    def close(self) -> None:
        """See `KeyStore.close`."""
