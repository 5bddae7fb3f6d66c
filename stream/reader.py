"""Whole topics, read without a group: no offset moves, and nobody's work is taken away.

Records come as the partitions give them: in order within a partition, and so within a certificate, in no order between
topics. What is built from them must not depend on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream import kafka
from stream.coding import Origin
from stream.errors import BrokerUnavailable, InputError, InvalidSettings
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

FETCH_BYTES = 20 * 1024 * 1024
"""More than the largest record that a topic takes."""
AT_ONCE = 500
"""Records held in memory."""
TRIES = 20
"""Looks for a topic that a young broker may not show yet."""

Place = tuple[str, int]
"""A topic's name and a partition."""


@dataclass(frozen=True, slots=True)
class Read:
    """A record: the subject it belongs to, its mapping in this software's schema, where it stands."""

    subject: str
    value: dict[str, Any]
    place: Origin


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that came together.

    Attributes:
        reads: those that decode.
        next: offset behind them, by place; records that do not decode are counted over.
    """

    reads: tuple[Read, ...]
    next: Mapping[Place, int]


class Reader(Protocol):
    """Reads topics from a moment on.

    Attributes:
        undecoded: records so far that did not decode; they are left out.
        caught_up: set once all that was there at the start has been given.
        behind: records that are there and have not been given, as of the last look.
    """

    undecoded: int
    caught_up: asyncio.Event
    behind: int

    def read(
        self, subjects: Sequence[str], *, since: datetime | None = None, follow: bool = False
    ) -> AsyncGenerator[Read]:
        """Records of some subjects, up to the ends as they are now, or for ever.

        A caller that stops early closes the generator (`contextlib.aclosing`).

        Args:
            subjects: topics by their role.
            since: leave out what was written before; None begins at the first record.
            follow: wait for more at the end.

        Raises:
            BrokerUnavailable, RegistryUnavailable: a server does not answer.
            InvalidSettings: the broker has no such topic.
        """

    def batches(
        self, subjects: Sequence[str], *, starts: Mapping[Place, int], follow: bool = False
    ) -> AsyncGenerator[Batch]:
        """The same as they come, from given offsets on; a place without one begins at its first record.

        Raises:
            BrokerUnavailable, RegistryUnavailable: a server does not answer.
            InvalidSettings: the broker has no such topic, or one that ends before its offset.
        """


class KafkaReader:
    """Reads Kafka's topics, of committed transactions only; memory does not grow with their length.

    Args:
        settings: names of topics, TLS and login, registry.
        bootstrap: where the broker answers.
    """

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._settings, self._bootstrap = settings, bootstrap
        self.undecoded = self.behind = 0
        self.caught_up = asyncio.Event()

    async def read(
        self, subjects: Sequence[str], *, since: datetime | None = None, follow: bool = False
    ) -> AsyncGenerator[Read]:
        """See `Reader.read`."""
        wire = self._wire()
        found = records(self._settings, self._bootstrap, subjects, since=since, follow=follow, caught_up=self.caught_up)
        async with aclosing(found):
            async for subject, record in found:
                read = await self._decoded(wire, subject, record)
                if read is not None:
                    yield read

    async def batches(
        self, subjects: Sequence[str], *, starts: Mapping[Place, int], follow: bool = False
    ) -> AsyncGenerator[Batch]:
        """See `Reader.batches`."""
        wire = self._wire()
        found = fetches(
            self._settings, self._bootstrap, subjects, starts=starts, follow=follow, caught_up=self.caught_up,
            looked=self._looked,
        )  # fmt: skip
        async with aclosing(found):
            async for fetched in found:
                reads = [await self._decoded(wire, subject, record) for subject, record in fetched]
                ends = {(record.topic, record.partition): record.offset + 1 for _, record in fetched}
                yield Batch(tuple(read for read in reads if read is not None), ends)

    def _looked(self, behind: int) -> None:
        self.behind = behind

    def _wire(self) -> Wire:
        return Wire(open_registry(self._settings.registry, subject_topics(self._settings)))

    async def _decoded(self, wire: Wire, subject: str, record: Any) -> Read | None:
        try:
            # A registry that is asked over the network must not hold whatever else runs here.
            asked = wire.must_ask(record.value)
            decode = asyncio.to_thread(wire.decode, subject, record.value) if asked else None
            value = await decode if decode else wire.decode(subject, record.value)
        except InputError:
            self.undecoded += 1
            return None
        return Read(subject, value, Origin(record.topic, record.partition, record.offset))


class MemoryReader:
    """In-memory twin; what is written while it is read with `follow` comes too."""

    def __init__(self, written: Iterable[Read] = ()) -> None:
        self._written = list(written)
        self._more = asyncio.Event()
        self.undecoded = self.behind = 0
        self.caught_up = asyncio.Event()

    def write(self, *read: Read) -> None:
        """Put records at the end."""
        self._written += read
        self._more.set()

    async def read(
        self, subjects: Sequence[str], *, since: datetime | None = None, follow: bool = False
    ) -> AsyncGenerator[Read]:
        """See `Reader.read`; a record bears no time here, so that `since` leaves nothing out."""
        del since
        end, position = len(self._written), 0
        while True:
            if position >= end:
                self.caught_up.set()
                if not follow:
                    return
            if position == len(self._written):
                self._more.clear()
                await self._more.wait()
            position += 1
            if self._written[position - 1].subject in subjects:
                yield self._written[position - 1]

    async def batches(
        self, subjects: Sequence[str], *, starts: Mapping[Place, int], follow: bool = False
    ) -> AsyncGenerator[Batch]:
        """See `Reader.batches`; a batch holds at most `AT_ONCE` records."""
        end, position = len(self._written), 0
        while True:
            if position >= end:
                self.caught_up.set()
                if not follow:
                    return
            if position == len(self._written):
                self._more.clear()
                await self._more.wait()
            came = self._written[position : position + AT_ONCE]
            position += len(came)
            self.behind = len(self._written) - position
            reads = [
                read for read in came
                if read.subject in subjects and read.place.offset >= starts.get(_place(read), 0)
            ]  # fmt: skip
            if reads:
                yield Batch(tuple(reads), {_place(read): read.place.offset + 1 for read in reads})


def _place(read: Read) -> Place:
    return read.place.topic, read.place.partition


async def records(
    settings: Settings,
    bootstrap: str,
    subjects: Sequence[str],
    *,
    since: datetime | None = None,
    last: int | None = None,
    follow: bool = False,
    caught_up: asyncio.Event | None = None,
) -> AsyncGenerator[tuple[str, Any]]:
    """Records of some subjects as Kafka holds them, each with its subject: see `fetches`."""
    found = fetches(settings, bootstrap, subjects, since=since, last=last, follow=follow, caught_up=caught_up)
    async with aclosing(found):
        async for fetched in found:
            for subject, record in fetched:
                yield subject, record


async def fetches(
    settings: Settings,
    bootstrap: str,
    subjects: Sequence[str],
    *,
    since: datetime | None = None,
    last: int | None = None,
    starts: Mapping[Place, int] | None = None,
    follow: bool = False,
    caught_up: asyncio.Event | None = None,
    looked: Callable[[int], None] | None = None,
) -> AsyncGenerator[list[tuple[str, Any]]]:
    """Records of some subjects as they come from Kafka, each with its subject.

    Args:
        settings: names of topics, TLS and login.
        bootstrap: where the broker answers.
        subjects: topics by their role.
        since: leave out what was written before.
        last: begin so many records before the end of each partition; None begins at the first, or at `since`.
        starts: begin there instead; places that it does not name begin at their first record.
        follow: wait for more at the end; else it stops at the ends as they are now.
        caught_up: set when those ends are reached.
        looked: is told how many committed records lie behind what has been given, whenever the broker was asked.

    Raises:
        BrokerUnavailable: Kafka does not answer.
        InvalidSettings: the broker has no such topic, or one that ends before its offset in `starts`.
    """
    names = {subject_topics(settings)[subject]: subject for subject in subjects}
    consumer = AIOKafkaConsumer(
        **kafka.client_options(settings, bootstrap), group_id=None, enable_auto_commit=False,
        auto_offset_reset="earliest", isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES,
    )  # fmt: skip
    try:
        await consumer.start()
        parts = await _assigned(consumer, names)
        ends = await consumer.end_offsets(parts)
        left = set(parts)
        for part, offset in (await _starts(consumer, parts, ends, since, last, starts or {})).items():
            consumer.seek(part, offset)
        while True:
            for part in [p for p in left if await consumer.position(p) >= ends[p]]:
                left.remove(part)
                if not follow:
                    consumer.pause(part)
            if not left:
                if caught_up is not None:
                    caught_up.set()
                if not follow:
                    return
            fetched = await consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
            if looked is not None:
                # A partition that has not answered yet ends where it did at the start.
                stable = {part: consumer.last_stable_offset(part) or ends[part] for part in parts}
                looked(sum([max(0, stable[part] - await consumer.position(part)) for part in parts]))
            came = [
                (names[part.topic], record)
                for part, batch in fetched.items()
                for record in batch
                if follow or record.offset < ends[part]
            ]
            if came:
                yield came
    except KafkaError as error:
        raise await kafka.refusal(kafka.client_options(settings, bootstrap), error) from None
    finally:
        await kafka.ended(consumer.stop())


async def _assigned(consumer: AIOKafkaConsumer, names: Iterable[str]) -> list[TopicPartition]:
    """All partitions of the topics."""
    wanted = set(names)
    for _ in range(TRIES):
        missing = wanted - await consumer.topics()
        if not missing:
            break
        await asyncio.sleep(0.2)
    else:
        raise InvalidSettings(f"there is no topic {', '.join(sorted(missing))}", hint="causa topics create")
    consumer.subscribe(sorted(wanted))
    # Without a group aiokafka assigns every partition by itself, once it has heard where they are.
    for _ in range(TRIES * 10):
        if {part.topic for part in consumer.assignment()} == wanted:
            break
        await asyncio.sleep(0.02)
    else:
        raise BrokerUnavailable("Kafka does not tell the partitions of its topics", hint="causa status")
    return sorted(consumer.assignment())


async def _starts(
    consumer: AIOKafkaConsumer,
    parts: Sequence[TopicPartition],
    ends: dict[TopicPartition, int],
    since: datetime | None,
    last: int | None,
    starts: Mapping[Place, int],
) -> dict[TopicPartition, int]:
    first = await consumer.beginning_offsets(parts)
    if starts:
        places = {part: starts.get((part.topic, part.partition), 0) for part in parts}
        if made_anew := sorted({part.topic for part, offset in places.items() if offset > ends[part]}):
            raise InvalidSettings(
                f"topic {', '.join(made_anew)} ends before the offset kept for it: it was made anew",
                hint="rebuild the database from the topic",
            )
        return {part: max(first[part], offset) for part, offset in places.items()}
    if last is not None:
        return {part: max(first[part], ends[part] - last) for part in parts}
    if since is None:
        return dict(first)
    moment = max(0, round(since.timestamp() * 1000))
    at = await consumer.offsets_for_times(dict.fromkeys(parts, moment))
    return {part: at[part].offset if at[part] else ends[part] for part in parts}
