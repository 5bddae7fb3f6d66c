"""Decisions to their topic: in order, until acknowledged, each once whatever is killed when.

A decision and its outbox row are one transaction, so that what was decided is sent. Of all desks on a database one sends,
the holder of a short lease. It begins by starting a producer of one transactional name, which fences every other (KIP-98);
then it reads what the topic holds behind the desk's offsets, and drops from the outbox what it finds there: a sender that
was killed between Kafka's commit and its own note had sent it. Consumers hold by `decision_id` besides.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from stream.coding import Correction, Origin, correction_record
from stream.desk.context import Context
from stream.desk.rebuild import SERVICE
from stream.desk.records import correction_of
from stream.desk.tables import DECISIONS, LEASES, OUTBOX
from stream.errors import BrokerUnavailable, InfrastructureError
from stream.intake import positions
from stream.reader import MemoryReader, Place, Read, Reader
from stream.transaction import Keyed, TransactionalWriter
from stream.wire import Wire

log = structlog.get_logger("causa.desk")
SUBJECT = "corrections"
AT_ONCE = 200
"""Decisions in one transaction."""
LEASE = timedelta(seconds=5)
KEEP_S = LEASE.total_seconds() / 3
"""Between two looks at the lease while a sender begins."""
MOST_KEPT = 360
"""Such looks (ten minutes): whoever has not begun by then may be cut off from Kafka, and lets another try."""
LOOK_S = 0.1
"""Between two looks at the outbox."""
RETRY_S, MOST_S = 0.5, 15.0
_SENDER = "sender"


class Topic(Protocol):
    """The topic of corrections, as its only writer sees it."""

    async def begin(self) -> None:
        """Fence every writer before: nothing is written by them from now on.

        Raises:
            BrokerUnavailable: Kafka does not answer.
        """

    async def put(self, corrections: Sequence[Correction]) -> None:
        """Write decisions in this order, all or none.

        Raises:
            BrokerUnavailable: they may or may not be there: begin again, and read.
        """

    async def close(self) -> None:
        """Disconnect."""


class KafkaTopic:
    """See `Topic`.

    Args:
        wire: codec of the subject `corrections`.
        topic: its name.
        name: transactional id, the same for all desks on a database.
        options: connection options of aiokafka.
    """

    def __init__(self, wire: Wire, topic: str, name: str, options: Mapping[str, Any]) -> None:
        self._wire, self._topic = wire, topic
        self._writer = TransactionalWriter(name, options, linger_ms=0)

    async def begin(self) -> None:
        """See `Topic.begin`."""
        await self._writer.begin()
        await self._writer.commit([])  # it may be long until there is something to write

    async def put(self, corrections: Sequence[Correction]) -> None:
        """See `Topic.put`."""
        records = [
            (self._topic, Keyed(made.certificate_id.encode(), self._wire.encode(SUBJECT, correction_record(made))))
            for made in corrections
        ]
        try:
            await self._writer.commit(records)
        except InfrastructureError as error:
            await self._writer.close()
            raise BrokerUnavailable(f"corrections: {error.message}") from None

    async def close(self) -> None:
        """See `Topic.close`."""
        await self._writer.close()


class MemoryTopic:
    """In-memory twin, and the reader of what it holds.

    Attributes:
        written: all decisions, in their order.
        faults: what the next writes meet, one each: "" for none, "lost" (nothing happened), "late" (it was written, and an
            error told all the same).
    """

    def __init__(self) -> None:
        self.written: list[Correction] = []
        self.faults: list[str] = []

    async def begin(self) -> None:
        """See `Topic.begin`."""
        await asyncio.sleep(0)

    async def put(self, corrections: Sequence[Correction]) -> None:
        """See `Topic.put`."""
        await asyncio.sleep(0)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            raise BrokerUnavailable("corrections: down")
        self.written += corrections
        if fault == "late":
            raise BrokerUnavailable("corrections: TimeoutError")

    async def close(self) -> None:
        """See `Topic.close`."""

    def reader(self) -> MemoryReader:
        """Of what is written by now."""
        return MemoryReader(
            Read(SUBJECT, correction_record(made), Origin(SUBJECT, 0, offset))
            for offset, made in enumerate(self.written)
        )


class Sender:
    """Sends what the outbox holds, for as long as it runs.

    Args:
        context: the desk's.
        topic: where decisions go.
        open_reader: makes a reader of it.

    Attributes:
        against: why nothing can be sent just now; empty where it can, or where another desk sends.
        sent: decisions sent so far.
    """

    def __init__(self, context: Context, topic: Topic, open_reader: Callable[[], Reader]) -> None:
        self._context, self._topic, self._open_reader = context, topic, open_reader
        self._me = uuid.uuid4().hex
        self._until: datetime | None = None
        self.against = "not begun"
        self.sent = 0

    async def run(self) -> None:
        """Send until cancelled; a fault of Kafka or database is waited for.

        Raises:
            InvalidSettings: the topic is missing, or was made anew behind the database's back.
        """
        wait = RETRY_S
        try:
            while True:
                try:
                    await self._turn()
                    wait = RETRY_S
                except InfrastructureError as error:
                    self.against = error.message
                    log.warning("decisions cannot be sent yet", code=error.code, reason=error.message, wait_s=wait)
                    await asyncio.sleep(wait)
                    wait = min(MOST_S, 2 * wait)
        finally:
            await self._topic.close()
            with suppress(InfrastructureError):
                await asyncio.to_thread(self._give_up)

    async def _turn(self) -> None:
        """Send for as long as the lease is ours; wait for it while it is another's."""
        while not await asyncio.to_thread(self._held):
            self.against = ""
            await asyncio.sleep(RETRY_S)
        await self._begun()
        self.against = ""
        try:
            while await asyncio.to_thread(self._held):
                if not await self.send():
                    await asyncio.sleep(LOOK_S)
        finally:
            await self._topic.close()

    async def _begun(self) -> None:
        """Begin with the lease in hand: fencing and reading may take longer than it lasts."""
        keeping = asyncio.create_task(self._keep())
        try:
            await self.begin()
        finally:
            keeping.cancel()
            # Not under a suppress: a stop that comes just now would be taken for its own, and lost.
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep(self) -> None:
        for _ in range(MOST_KEPT):
            await asyncio.sleep(KEEP_S)
            with suppress(InfrastructureError):  # whoever begins meets it too
                await asyncio.to_thread(self._held)

    async def begin(self) -> None:
        """Become the only writer, and drop from the outbox what stands in the topic.

        Raises:
            InfrastructureError: Kafka, registry or database do not answer.
        """
        await self._topic.begin()
        starts = await asyncio.to_thread(self._places)
        async with aclosing(self._open_reader().batches((SUBJECT,), starts=starts)) as batches:
            async for batch in batches:
                found = [str(read.value["decision_id"]) for read in batch.reads]
                await asyncio.to_thread(self._drop, found)
        await asyncio.to_thread(self._drop_read)

    async def send(self) -> int:
        """Send what waits, at most `AT_ONCE`; how many.

        Raises:
            InfrastructureError: begin again.
        """
        waiting = await asyncio.to_thread(self._waiting)
        if waiting:
            await self._topic.put(waiting)
            await asyncio.to_thread(self._drop, [made.decision_id for made in waiting])
            self.sent += len(waiting)
        return len(waiting)

    def _held(self) -> bool:
        """Whether the lease is ours; it is taken where it has run out."""
        now = self._context.clock()
        if self._until is not None and self._until - now > LEASE / 2:
            return True

        def asked(connection: Connection) -> bool:
            row = connection.execute(sa.select(LEASES).where(LEASES.c.name == _SENDER).with_for_update()).one_or_none()
            if row is None:
                connection.execute(LEASES.insert().values(name=_SENDER, holder=self._me, expires_at=now + LEASE))
                return True
            if row.holder != self._me and row.expires_at > now:
                return False
            connection.execute(
                LEASES.update().where(LEASES.c.name == _SENDER).values(holder=self._me, expires_at=now + LEASE)
            )
            return True

        held = self._context.write(asked)
        self._until = now + LEASE if held else None
        return held

    def _give_up(self) -> None:
        self._context.write(
            lambda connection: connection.execute(
                sa.delete(LEASES).where(LEASES.c.name == _SENDER, LEASES.c.holder == self._me)
            )
        )

    def _places(self) -> dict[Place, int]:
        """Where the desk has read `corrections` up to; what stands before is known to be there."""
        return self._context.read(lambda connection: positions(connection, SERVICE))

    def _waiting(self) -> list[Correction]:
        chosen = (
            sa.select(DECISIONS.c.body).join(OUTBOX, OUTBOX.c.decision_id == DECISIONS.c.decision_id)
            .order_by(OUTBOX.c.number).limit(AT_ONCE)
        )  # fmt: skip
        return self._context.read(lambda c: [correction_of(body) for body in c.execute(chosen).scalars()])

    def _drop(self, decision_ids: Sequence[str]) -> None:
        if decision_ids:
            self._context.write(
                lambda c: c.execute(sa.delete(OUTBOX).where(OUTBOX.c.decision_id.in_(list(decision_ids))))
            )

    def _drop_read(self) -> None:
        seen = sa.select(DECISIONS.c.decision_id).where(DECISIONS.c.read)
        self._context.write(lambda c: c.execute(sa.delete(OUTBOX).where(OUTBOX.c.decision_id.in_(seen))))
