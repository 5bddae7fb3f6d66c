"""Where decisions go: the seam between the worker and the broker.

`KafkaOutbox` returns when the broker has acknowledged every record of every decision, so that whoever called may move
the offsets. A transactional outbox (outputs and offsets in one transaction) takes the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream import kafka
from stream.errors import BrokerUnavailable
from stream.pipeline.record import Decision, Outgoing


class Outbox(Protocol):
    """What the worker needs to give results away."""

    async def start(self) -> None:
        """Connect."""

    async def deliver(self, decisions: Sequence[Decision]) -> None:
        """Write all records of all decisions; returns when each is acknowledged.

        Raises:
            BrokerUnavailable: some are not; none may be counted as written.
        """

    async def stop(self) -> None:
        """Flush and disconnect."""


class KafkaOutbox:
    """Idempotent producer that waits for all in-sync replicas.

    Args:
        topics: topic of each subject.
        options: connection options of aiokafka.
    """

    def __init__(self, topics: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._topics = dict(topics)
        self._options = dict(options)
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """See `Outbox.start`."""
        await self._connected()

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._options, acks="all", enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024,
                max_request_size=16 * 1024 * 1024,
            )  # fmt: skip
            try:
                await producer.start()
            except KafkaError as error:
                await kafka.stopped(producer)
                raise BrokerUnavailable(f"producer: {type(error).__name__}") from None
            self._producer = producer
        return self._producer

    async def deliver(self, decisions: Sequence[Decision]) -> None:
        """See `Outbox.deliver`."""
        producer = await self._connected()
        # Two awaits: the first queues the record, the second is the broker's acknowledgement.
        queued: list[asyncio.Future[Any]] = []
        fault: BaseException | None = None
        try:
            for record in (record for d in decisions for record in d.outgoing):
                queued.append(await self._send(producer, record))
        except KafkaError as error:
            fault = error
        answers = await asyncio.gather(*queued, return_exceptions=True)
        fault = fault or next((a for a in answers if isinstance(a, BaseException)), None)
        if fault is None:
            return
        # A producer that failed may be fenced or out of sequence for good: the next try gets a new one.
        self._producer = None
        await kafka.stopped(producer)
        if not isinstance(fault, KafkaError):
            raise fault
        raise BrokerUnavailable(f"producer: {type(fault).__name__}") from None

    async def _send(self, producer: AIOKafkaProducer, record: Outgoing) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = await producer.send(
            self._topics[record.subject], record.value, key=record.key, headers=record.headers
        )
        return future

    async def stop(self) -> None:
        """See `Outbox.stop`."""
        if self._producer is not None:
            await self._producer.stop()


class MemoryOutbox:
    """In-memory twin: keeps what it was given, and can refuse (`failures`)."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.failures = 0

    async def start(self) -> None:
        """See `Outbox.start`."""

    async def deliver(self, decisions: Sequence[Decision]) -> None:
        """See `Outbox.deliver`."""
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("the broker is down")
        self.records += [record for d in decisions for record in d.outgoing]

    async def stop(self) -> None:
        """See `Outbox.stop`."""
