"""The producer that publishing drives: what it needs of one, a bound on what is under way, and an in-memory twin."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka.errors import KafkaError, MessageSizeTooLargeError

IN_FLIGHT = 5_000


class Producer(Protocol):
    """What publishing needs of aiokafka's producer."""

    async def send(self, topic: str, *, value: bytes, key: bytes) -> asyncio.Future[Any]:
        """Take a record in; the future is the broker's acknowledgement."""


@dataclass(slots=True)
class MemoryProducer:
    """In-memory twin: keeps what it is sent, refuses values over `largest` bytes, fails once `fails_after` is reached.

    Attributes:
        sent: (topic, key, value) in order.
        latency_s: time until a record is acknowledged.
        most_in_flight: most records that waited for their acknowledgement at once.
    """

    largest: int = 1_000_000
    fails_after: int | None = None
    latency_s: float = 0.0
    sent: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    most_in_flight: int = 0
    _in_flight: int = 0

    async def send(self, topic: str, *, value: bytes, key: bytes) -> asyncio.Future[Any]:
        """See `Producer.send`."""
        if len(value) > self.largest:
            raise MessageSizeTooLargeError("too large")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        fails = self.fails_after is not None and len(self.sent) >= self.fails_after
        if not fails:
            self.sent.append((topic, key, value))
        loop.call_later(self.latency_s, self._acknowledge, future, fails)
        return future

    def _acknowledge(self, future: asyncio.Future[Any], fails: bool) -> None:
        self._in_flight -= 1
        if not future.done():
            future.set_exception(KafkaError("down")) if fails else future.set_result(None)


class Window:
    """Records sent and not yet acknowledged: counts them, bounds them, remembers the first failure.

    Attributes:
        acknowledged: records that the broker has acknowledged.
    """

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self.acknowledged = 0
        self._most, self._waiting = most, 0
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()

    def add(self, record: asyncio.Future[Any]) -> None:
        """Count a record that was just sent."""
        self._waiting += 1
        record.add_done_callback(self._done)

    async def room(self) -> None:
        """Waits until one more record may be sent.

        Raises:
            KafkaError: a record was not acknowledged.
        """
        await self._below(self._most)

    async def drained(self) -> None:
        """Waits until all are acknowledged; raises as `room` does."""
        await self._below(1)

    async def _below(self, most: int) -> None:
        while self._failure is None and self._waiting >= most:
            self._changed.clear()
            await self._changed.wait()
        if self._failure is not None:
            raise self._failure

    def _done(self, record: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if record.cancelled():
            self._failure = self._failure or KafkaError("cancelled")
        elif (failure := record.exception()) is not None:
            self._failure = self._failure or failure
        else:
            self.acknowledged += 1
        self._changed.set()
