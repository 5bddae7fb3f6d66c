"""Topics into a database, each record once: what is made of a batch and the offsets behind it are one transaction.

Offsets move by compare-and-set. Of two processes on one database one is first with each batch; the other finds the
offsets moved, throws its batch away and goes on from there. So a second process may stand by, and a kill at any moment
leaves either all of a batch or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine

from stream import metrics
from stream.database import lock, prepare, reading, writing
from stream.errors import CausaError, InfrastructureError, Overtaken
from stream.reader import Batch, Place, Read, Reader

log = structlog.get_logger("causa.intake")
AGAIN_S = 1.0
"""First wait after a fault; it doubles with each one that follows, up to `MOST_S`."""
MOST_S = 30.0
LAG_S = 1.0

TABLES = sa.MetaData()
OFFSETS = sa.Table(
    "causa_offsets", TABLES,
    sa.Column("service", sa.String(40), primary_key=True),
    sa.Column("topic", sa.String(249), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("next", sa.BigInteger, nullable=False),
)  # fmt: skip

Fold = Callable[[Connection, Sequence[Read]], None]
"""What a service makes of records, in the transaction that moves the offsets; it may be called again with the same
records after a transaction that was taken back."""


def positions(connection: Connection, service: str) -> dict[Place, int]:
    """Offset of the next record of each place that a service has read of."""
    chosen = sa.select(OFFSETS.c.topic, OFFSETS.c.partition, OFFSETS.c.next).where(OFFSETS.c.service == service)
    return {(topic, partition): offset for topic, partition, offset in connection.execute(chosen)}


def went_back(known: Mapping[Place, int], found: Mapping[Place, int]) -> bool:
    """Whether the topics were begun again: some place stands before where it was known to be."""
    return any(found.get(place, 0) < offset for place, offset in known.items())


def forget(connection: Connection, service: str) -> None:
    """Begin at the first records again; what was made of them is the caller's to delete, in the same transaction."""
    lock(connection, OFFSETS)
    connection.execute(sa.delete(OFFSETS).where(OFFSETS.c.service == service))


class Intake:
    """Reads topics into a database.

    Args:
        engine: the database.
        service: whose offsets they are.
        subjects: topics by their role.
        fold: what is made of the records.

    Attributes:
        caught_up: set while all that was there when reading began is in the database; another process that has the
            topics begun again (`forget`) clears it, from the next record on.
        against: why reading is interrupted just now, where it follows; empty where it goes on.
        kept: offset of the next record of each place, as this process knows it.
        folded: records so far.
    """

    def __init__(self, engine: Engine, service: str, subjects: Sequence[str], fold: Fold) -> None:
        prepare(engine, TABLES, service="intake", version=1)
        self._engine, self._service, self._subjects, self._fold = engine, service, tuple(subjects), fold
        self.caught_up = asyncio.Event()
        self.against = ""
        self.kept: dict[Place, int] = {}
        self.folded = self._held = 0

    async def run(self, open_reader: Callable[[], Reader], *, follow: bool = False) -> None:
        """Read from the kept offsets to the ends as they are now, or for ever.

        With `follow`, a fault of Kafka, registry or database is waited for; otherwise it is raised.

        Args:
            open_reader: makes a reader; a new one after each fault.
            follow: wait for more at the end.

        Raises:
            InfrastructureError: a server is away, and `follow` is off.
            InvalidSettings: a topic is missing, or was made anew.
        """
        wait = AGAIN_S
        while True:
            before = self.folded
            try:
                return await self._read(open_reader(), follow)
            except Overtaken:
                log.info("another process reads into this database too", service=self._service)
            except InfrastructureError as error:
                if not follow:
                    raise
                self.against = error.message
                log.warning("reading is interrupted", service=self._service, code=error.code, wait_s=wait)
            wait = AGAIN_S if self.folded > before else min(MOST_S, wait * 2)
            await asyncio.sleep(wait)

    async def _read(self, reader: Reader, follow: bool) -> None:
        kept = await asyncio.to_thread(self._kept)
        if went_back(self.kept, kept):
            self.caught_up.clear()
        self.kept = kept
        watches = [asyncio.create_task(self._caught_up(reader)), asyncio.create_task(self._told(reader))]
        try:
            async with aclosing(reader.batches(self._subjects, starts=kept, follow=follow)) as batches:
                async for batch in batches:
                    self._held = len(batch.reads)
                    await asyncio.to_thread(self._put, batch, kept)
                    self._held = 0
                    kept |= batch.next
                    self.against = ""
                    self.folded += len(batch.reads)
                    metrics.TAKEN.labels(self._service).inc(len(batch.reads))
            self.caught_up.set()
        finally:
            for watch in watches:
                watch.cancel()
            # Not each in its turn under a suppress: a stop that comes just now would be taken for theirs, and lost.
            await asyncio.gather(*watches, return_exceptions=True)

    async def _told(self, reader: Reader) -> None:
        """Records that wait, those of a batch that the database has not taken among them."""
        while True:
            metrics.BEHIND.labels(self._service).set(reader.behind + self._held)
            await asyncio.sleep(LAG_S)

    async def _caught_up(self, reader: Reader) -> None:
        """A topic that has nothing new brings no batch that could tell."""
        await reader.caught_up.wait()
        self.caught_up.set()
        self.against = ""

    def _kept(self) -> dict[Place, int]:
        with reading(self._engine) as connection:
            return positions(connection, self._service)

    def _put(self, batch: Batch, kept: Mapping[Place, int]) -> None:
        with writing(self._engine) as connection:
            # One batch after the other: what two partitions tell of one thing may come at once to two processes.
            lock(connection, OFFSETS)
            for place, offset in batch.next.items():
                self._move(connection, place, kept.get(place), offset)
            try:
                self._fold(connection, batch.reads)
            except CausaError:
                raise
            except Exception:
                places = [f"{topic}-{partition}:{offset}" for (topic, partition), offset in batch.next.items()]
                log.error("records cannot be folded", service=self._service, at=places)  # noqa: TRY400 - no record
                raise

    def _move(self, connection: Connection, place: Place, was: int | None, offset: int) -> None:
        key = {"service": self._service, "topic": place[0], "partition": place[1]}
        if was is None:
            try:
                with connection.begin_nested():
                    connection.execute(OFFSETS.insert().values(**key, next=offset))
            except sa.exc.IntegrityError:
                raise Overtaken(f"offsets of {self._service}") from None
            return
        same = sa.and_(*(OFFSETS.c[name] == value for name, value in key.items()), OFFSETS.c.next == was)
        if connection.execute(OFFSETS.update().where(same).values(next=offset)).rowcount != 1:
            raise Overtaken(f"offsets of {self._service}")
