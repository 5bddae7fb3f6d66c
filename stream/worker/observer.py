"""Looks at a worker's surroundings now and then, off the path of the certificates: what its metrics and its health tell.

Nothing that goes wrong here reaches the worker: a question that is not answered is itself what there is to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream import metrics
from stream.errors import BrokerUnavailable, InfrastructureError
from stream.health import Health, beating
from stream.worker.lag import Lag, Place
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.observer")
EVERY_S = 5.0
CONDITIONS = ("broker", "topics", "coder", "ranker", "keys", "group", "trust")
"""What must hold before a worker is ready: see docs/observability.md."""
NOBODY = "no certificate"
"""No owner of a key: an id has no blank."""
KEYS_S = 10.0
"""Longest wait for the key store in one look, seconds: twice what its statements may take unless set otherwise."""


class Served(Protocol):
    """A model that can be asked whether it is served."""

    async def served(self) -> bool:
        """Whether the pinned version is served now."""


class Keys(Protocol):
    """A key store (`stream.sealing.vault`)."""

    def get(self, owners: Collection[str], /) -> object:
        """The keys of some owners; it blocks.

        Raises:
            KeysUnavailable: it does not answer.
        """


class Guard(Protocol):
    """A breaker that may hold its callers."""

    @property
    def open(self) -> bool:
        """Whether it does."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A model, the breaker around it, and the condition that both make."""

    condition: str
    model: Served
    breaker: Guard


class Observer:
    """Tells a worker's health and what only the broker and the model server know.

    Args:
        health: where it is told; it has `CONDITIONS`.
        models: asked whether they are served.
        lag: asked how far the group is behind.
        versions: of all that could change an answer, by name, as they are now.
        keys: the store of the certificates' keys; None where there is none.
        every_s: between two looks, seconds.
        keys_s: longest wait for `keys` in one look, seconds.
    """

    def __init__(
        self,
        health: Health,
        models: Iterable[Watched],
        lag: Lag,
        versions: Callable[[], Mapping[str, str]],
        *,
        keys: Keys | None = None,
        every_s: float = EVERY_S,
        keys_s: float = KEYS_S,
    ) -> None:
        self.health = health
        self._models, self._lag, self._versions, self._every_s = tuple(models), lag, versions, every_s
        self._keys, self._keys_s = keys, keys_s
        self._asking: asyncio.Task[object] | None = None
        self._places: set[Place] = set()
        self._rarely = Rarely()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in tasks of its own."""
        self._tasks = [asyncio.create_task(beating(self.health)), asyncio.create_task(self._run())]

    async def close(self) -> None:
        """Look no longer."""
        self._closing = True
        tasks = [*self._tasks, *([self._asking] if self._asking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._lag.close()

    def assigned(self, places: Iterable[Place]) -> None:
        """The worker has joined its group, and holds these partitions, which may be none."""
        self.health.tell("group")
        for topic, partition in places:
            metrics.ASSIGNED.labels(topic, partition).set(1)

    def revoked(self, places: Iterable[Place]) -> None:
        """The group is sharing its partitions out anew."""
        self.health.tell("group", "the group shares its partitions out anew")
        for topic, partition in places:
            metrics.ASSIGNED.labels(topic, partition).set(0)

    async def _run(self) -> None:
        while not self._closing:
            try:
                await self.look()
            except Exception as fault:
                # A look that fails costs one look; the certificates go on.
                if self._rarely.due("INTERNAL"):
                    log.warning("a look at the worker's surroundings failed", exc_info=fault)
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """One look."""
        metrics.VERSIONS.info(dict(self._versions()))
        models = (self._ask_model(watched) for watched in self._models)
        await asyncio.gather(self._ask_broker(), self._ask_keys(), *models)

    async def _ask_model(self, watched: Watched) -> None:
        served = await watched.model.served()
        against = "" if served else "the model server does not serve the pinned version"
        if watched.breaker.open:
            against = "its breaker is open: it did not answer, and the stream is held"
        self.health.tell(watched.condition, against)

    async def _ask_keys(self) -> None:
        if self._keys is None:
            self.health.tell("keys")
            return
        # A thread that waits cannot be called off, and the batches need the few that there are: one question at a time.
        asking = self._asking = self._asking or asyncio.create_task(asyncio.to_thread(self._keys.get, (NOBODY,)))
        if asking not in (await asyncio.wait([asking], timeout=self._keys_s))[0]:
            self.health.tell("keys", f"the key store does not answer within {self._keys_s:g} s")
            return
        self._asking = None
        against = ""
        try:
            asking.result()
        except InfrastructureError as error:
            against = f"they cannot be had ({error.message})"
        self.health.tell("keys", against)

    async def _ask_broker(self) -> None:
        try:
            standing = await self._lag.ask()
        except BrokerUnavailable as error:
            self.health.tell("broker", f"it does not answer ({error.message})")
            return
        self.health.tell("broker")
        absent = ", ".join(standing.missing)
        self.health.tell("topics", f"the broker has no topic {absent}" if absent else "")
        for topic, partition in self._places - set(standing.behind):
            metrics.LAG.remove(topic, str(partition))
        for (topic, partition), records in standing.behind.items():
            metrics.LAG.labels(topic, partition).set(records)
        self._places = set(standing.behind)
        metrics.ASKED.set_to_current_time()
