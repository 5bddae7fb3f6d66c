"""The row of who did what, in the transaction that does it: neither a decision without its row nor a row without its decision.

The desk knows what was done; who asked, from where and with what roles, whoever asks it knows (`stream.desk.console.trail`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy import Connection


class Trail(Protocol):
    """Writes rows for one person's request."""

    def begin(self, connection: Connection) -> None:
        """Take what a row needs before the transaction sees anything.

        Raises:
            DatabaseUnavailable: another writer is in the way.
        """

    def write(
        self, connection: Connection, act: str, certificate_id: str, version: int, detail: Mapping[str, str]
    ) -> None:
        """A row about what this transaction did.

        Raises:
            DatabaseUnavailable: it cannot be written; the transaction must not stand.
        """


class NoTrail:
    """For whoever answers to nobody: tests, tools."""

    def begin(self, connection: Connection) -> None:
        """See `Trail.begin`."""

    def write(
        self, connection: Connection, act: str, certificate_id: str, version: int, detail: Mapping[str, str]
    ) -> None:
        """See `Trail.write`."""


NO_TRAIL = NoTrail()
