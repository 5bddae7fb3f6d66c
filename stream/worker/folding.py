"""Coders' decisions to records of `coded`, beside certificates: the same lanes, the same transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from stream.certificate import utc_now
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming, Received
from stream.worker.holding import HOLD_S, Keys, Patience


class Processor(Protocol):
    """Makes decisions of a batch."""

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """Decisions in the batch's order, one for each record. Never raises for a record or a server at fault."""


class ByTopic:
    """Gives each batch to the processor of its topic; a batch comes from one.

    Args:
        processors: by the topic's name.
    """

    def __init__(self, processors: Mapping[str, Processor]) -> None:
        self._processors = dict(processors)

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """See `Processor.process`."""
        return await self._processors[batch[0].origin.topic].process(batch)


class Folder:
    """Processes corrections.

    Args:
        core: the pure core.
        keys: certificates' own keys, for the dead letters; None where there are none.
        clock: now, for tests.
        hold_s: wait between two tries while a schema or the keys cannot be asked for, seconds.
    """

    def __init__(
        self, core: Core, *, keys: Keys | None = None, clock: Callable[[], datetime] = utc_now, hold_s: float = HOLD_S
    ) -> None:
        self._core, self._keys, self._clock = core, keys, clock
        self._patience = Patience(hold_s)

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """See `Processor.process`."""
        return [await self._decided(incoming) for incoming in batch]

    async def _decided(self, incoming: Incoming) -> Decision:
        folded = await self._patience.until_done(partial(self._fold, incoming), "schema")
        return folded if isinstance(folded, Decision) else await self._dead(folded)

    async def _fold(self, incoming: Incoming) -> Decision | Received:
        if self._core.must_ask(incoming):
            return await asyncio.to_thread(self._core.fold, incoming)
        return self._core.fold(incoming)

    async def _dead(self, received: Received) -> Decision:
        keyring = None
        if self._keys is not None:
            asked = partial(self._keys.keyring, {received.owner})
            keyring = await self._patience.until_done(asked, "keys")
        dead = self._core.prepare(received, self._clock(), keyring)
        assert isinstance(dead, Decision)  # there is no certificate in it to be read
        return dead
