"""Waiting out a server that is away: the batch is held, and nothing of it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol, TypeVar

import structlog

from stream.errors import InfrastructureError
from stream.sealing import Keyring
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.batch")
T = TypeVar("T")
HOLD_S = 1.0


class Keys(Protocol):
    """What a batch needs of a key store (`stream.sealing.vault`)."""

    async def keyring(self, owners: Collection[str]) -> Keyring:
        """The keys of some owners, made where there are none.

        Raises:
            KeysUnavailable: none can be had now.
        """


class Patience:
    """Does things again until the server that they ask is there.

    Args:
        hold_s: wait between two tries, seconds.
    """

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._rarely = Rarely()

    async def until_done(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        """What `work` gives, once it raises no InfrastructureError any more; `what` tells the log what is waited for."""
        while True:
            try:
                return await work()
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning("held: a server is asked in vain", stage=what, code=error.code, reason=error.message)
                await asyncio.sleep(self._hold_s)
