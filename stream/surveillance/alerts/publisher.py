"""Alerts into their topic, each revision once, whatever is killed when.

Revisions stand in the database before they are published. Whoever publishes first starts a producer of one transactional
name, which fences every other one (KIP-98), then reads behind the last offset known what stands in the topic already:
what another process wrote and could not note is noted, what a new database does not know is taken in from there. Only
what is still missing is written then, some revisions in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from stream import failpoints
from stream.certificate import utc_now
from stream.coding import Origin
from stream.database import reading, upsert, writing
from stream.errors import BrokerUnavailable, InfrastructureError
from stream.reader import MemoryReader, Place, Read, Reader
from stream.surveillance.alerts import gauges, store
from stream.surveillance.alerts.alert import SUBJECT, Alert, alert_record, read_alert
from stream.surveillance.alerts.tables import ALERTS, PLACES, REVISIONS
from stream.transaction import Keyed, TransactionalWriter
from stream.wire import Wire

log = structlog.get_logger("causa.alerts")
AT_ONCE = 200
"""Revisions in one transaction."""
IDLE_S, BUSY_S = 1.0, 0.02
"""Between two looks at the outbox, and while something is about to be there."""
BUSY_LOOKS = 100
RETRY_S, MOST_S = 1.0, 30.0


class Topic(Protocol):
    """The topic of alerts, as its only writer sees it."""

    async def begin(self) -> None:
        """Fence every writer before; nothing is written by them from now on.

        Raises:
            BrokerUnavailable: Kafka does not answer.
        """

    async def put(self, alerts: Sequence[Alert]) -> dict[Place, int]:
        """Write revisions, all or none; offset behind the last one, by place.

        Raises:
            BrokerUnavailable: they may or may not be there: begin again, and read.
        """

    async def close(self) -> None:
        """Disconnect."""


class KafkaTopic:
    """See `Topic`.

    Args:
        wire: codec of the subject `alerts`.
        topic: its name.
        name: transactional id, the same for all processes that publish alerts.
        options: connection options of aiokafka.
    """

    def __init__(self, wire: Wire, topic: str, name: str, options: Mapping[str, Any]) -> None:
        self._wire, self._topic = wire, topic
        self._writer = TransactionalWriter(name, options, linger_ms=0)

    async def begin(self) -> None:
        """See `Topic.begin`."""
        await self._writer.begin()
        await self._writer.commit([])  # it may be long until there is something to write

    async def put(self, alerts: Sequence[Alert]) -> dict[Place, int]:
        """See `Topic.put`."""
        records = [
            (self._topic, Keyed(alert.alert_id.encode(), self._wire.encode(SUBJECT, alert_record(alert))))
            for alert in alerts
        ]
        try:
            written = await self._writer.commit(records)
        except InfrastructureError as error:
            await self._writer.close()
            raise BrokerUnavailable(f"alerts: {error.message}") from None
        return {(answer.topic, answer.partition): answer.offset + 1 for answer in written}

    async def close(self) -> None:
        """See `Topic.close`."""
        await self._writer.close()


class MemoryTopic:
    """In-memory twin, and the reader of what it holds.

    Attributes:
        written: all revisions, in their order.
        faults: what the next writes meet, one each: "" for none, "lost" (nothing happened), "late" (it was written, and an
            error told all the same).
    """

    def __init__(self) -> None:
        self.written: list[Alert] = []
        self.faults: list[str] = []
        self._epoch = 0

    async def begin(self) -> None:
        """See `Topic.begin`."""
        await asyncio.sleep(0)
        self._epoch += 1

    async def put(self, alerts: Sequence[Alert]) -> dict[Place, int]:
        """See `Topic.put`."""
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise BrokerUnavailable("alerts: down")
        self.written += alerts
        if fault == "late":
            raise BrokerUnavailable("alerts: TimeoutError")
        return {(SUBJECT, 0): len(self.written)}

    async def close(self) -> None:
        """See `Topic.close`."""

    def reader(self) -> MemoryReader:
        """Of what is written by now."""
        return MemoryReader(
            Read(SUBJECT, alert_record(alert), Origin(SUBJECT, 0, offset)) for offset, alert in enumerate(self.written)
        )


class Publisher:
    """Publishes what the database holds, for as long as it runs.

    Args:
        engine: the surveillance database.
        topic: where alerts go.
        open_reader: makes a reader of it.

    Attributes:
        ready: set once the database knows all that stands in the topic.
        against: why nothing can be published just now; empty where it can.
    """

    def __init__(self, engine: Engine, topic: Topic, open_reader: Callable[[], Reader]) -> None:
        self._engine, self._topic, self._open_reader = engine, topic, open_reader
        self.ready = asyncio.Event()
        self.against = "not begun"
        self._wake = asyncio.Event()
        self._busy = 0

    def wake(self) -> None:
        """Something is about to be in the outbox: look often for a while."""
        self._busy = BUSY_LOOKS
        self._wake.set()

    async def run(self) -> None:
        """Publish until cancelled; a fault of Kafka or database is waited for.

        Raises:
            InvalidSettings: the topic is missing, or was made anew behind the database's back.
        """
        wait = RETRY_S
        try:
            while True:
                try:
                    await self.begin()
                    wait, self.against = RETRY_S, ""
                    while True:
                        if not await self.publish():
                            await self._pause()
                except InfrastructureError as error:
                    self.against = error.message
                    log.warning("alerts cannot be published yet", code=error.code, reason=error.message, wait_s=wait)
                    await asyncio.sleep(wait)
                    wait = min(MOST_S, 2 * wait)
        finally:
            await self._topic.close()

    async def begin(self) -> None:
        """Become the only writer, and learn what stands in the topic.

        Raises:
            InfrastructureError: Kafka, registry or database do not answer.
        """
        await self._topic.begin()
        starts = await asyncio.to_thread(self._places)
        async with aclosing(self._open_reader().batches((SUBJECT,), starts=starts)) as batches:
            async for batch in batches:
                await asyncio.to_thread(self._adopt, batch.reads, batch.next)
        self.ready.set()

    async def publish(self) -> int:
        """Publish what waits, at most `AT_ONCE`; how many.

        Raises:
            InfrastructureError: begin again.
        """
        waiting = await asyncio.to_thread(self._waiting)
        if waiting:
            behind = await self._topic.put(waiting)
            await failpoints.reach("after-commit")
            await asyncio.to_thread(self._note, waiting, behind)
            for alert in waiting:
                gauges.REVISIONS.labels(alert.kind.value, alert.status.value).inc()
                took = utc_now() - (alert.updated_at or alert.raised_at)
                gauges.PUBLISHED.labels(alert.kind.value).observe(max(0.0, took.total_seconds()))
        return len(waiting)

    async def _pause(self) -> None:
        if self._busy:
            self._busy -= 1
            await asyncio.sleep(BUSY_S)
            return
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), IDLE_S)

    def _places(self) -> dict[Place, int]:
        with reading(self._engine) as connection:
            return {(row.topic, row.partition): row.next for row in connection.execute(sa.select(PLACES))}

    def _adopt(self, reads: Sequence[Read], behind: Mapping[Place, int]) -> None:
        with writing(self._engine) as connection:
            for read in reads:
                self._known(connection, read_alert(read.value))
            _move(connection, behind)

    def _known(self, connection: Connection, alert: Alert) -> None:
        """What stands in the topic is published; what the database does not know is taken in as it is."""
        own = sa.and_(REVISIONS.c.alert_id == alert.alert_id, REVISIONS.c.revision == alert.revision)
        if connection.execute(REVISIONS.update().where(own).values(published=1)).rowcount:
            return
        newest = connection.execute(
            sa.select(ALERTS.c.revision).where(ALERTS.c.alert_id == alert.alert_id)
        ).scalar()  # fmt: skip
        if newest is None or newest < alert.revision:
            store.put(connection, [alert], published=True, fed=True)

    def _waiting(self) -> list[Alert]:
        chosen = (
            sa.select(REVISIONS.c.record).where(REVISIONS.c.published == 0).order_by(REVISIONS.c.seq).limit(AT_ONCE)
        )
        with reading(self._engine) as connection:
            return [store.alert_of(text) for text in connection.execute(chosen).scalars()]

    def _note(self, alerts: Sequence[Alert], behind: Mapping[Place, int]) -> None:
        with writing(self._engine) as connection:
            for alert in alerts:
                own = sa.and_(REVISIONS.c.alert_id == alert.alert_id, REVISIONS.c.revision == alert.revision)
                connection.execute(REVISIONS.update().where(own).values(published=1))
            _move(connection, behind)


def _move(connection: Connection, behind: Mapping[Place, int]) -> None:
    rows = [{"topic": topic, "partition": partition, "next": offset} for (topic, partition), offset in behind.items()]
    upsert(connection, PLACES, rows)
