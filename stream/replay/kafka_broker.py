"""A replay's broker by Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic as KafkaTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import OffsetAndMetadata

from stream import kafka
from stream import topics as declared
from stream.errors import BrokerUnavailable, InvalidSettings, Overtaken
from stream.replay.broker import AT_ONCE, NewTopic, Position, Record, Transactions, Written
from stream.settings import Settings
from stream.transaction import EXPECTED, PATIENCE_S, TransactionalWriter

FETCH_BYTES = 20 * 1024 * 1024
LOOK_MS = 50
"""A fetch waits so long for records. A connection answers in order, so that every other question waits behind it; and behind
the last record may stand only a marker, of which nobody is told."""
TRIES, TRY_S = 50, 0.1
"""Looks for a topic that the broker may not show yet."""


class KafkaBroker:
    """See `Broker`.

    Args:
        settings: TLS and login.
        bootstrap: where the broker answers.
    """

    def __init__(self, settings: Settings, bootstrap: str) -> None:
        self._options = kafka.client_options(settings, bootstrap)
        self._replication = settings.kafka.replication

    @asynccontextmanager
    async def _consumer(self, **more: Any) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **self._options, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
            isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES, fetch_max_wait_ms=LOOK_MS, **more,
        )  # fmt: skip
        try:
            await consumer.start()
            yield consumer
        except KafkaError as error:
            raise await kafka.refusal(self._options, error) from None
        finally:
            await kafka.ended(consumer.stop())

    async def topics(self) -> set[str]:
        """See `Broker.topics`."""
        async with self._consumer() as consumer:
            return set(await consumer.topics())

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """See `Broker.bounds`."""
        async with self._consumer() as consumer:
            parts = await _partitions(consumer, topic)
            first, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
            return {part.partition: (first[part], ends[part]) for part in parts}

    async def since(self, topic: str, moment: datetime) -> dict[int, int]:
        """See `Broker.since`."""
        async with self._consumer() as consumer:
            parts = await _partitions(consumer, topic)
            ends = await consumer.end_offsets(parts)
            at = await consumer.offsets_for_times(dict.fromkeys(parts, max(0, round(moment.timestamp() * 1000))))
            return {part.partition: at[part].offset if at[part] else ends[part] for part in parts}

    async def read(
        self, topic: str, partition: int, start: int, end: int, at_once: int = AT_ONCE
    ) -> AsyncGenerator[list[Record]]:
        """See `Broker.read`."""
        if start >= end:
            return
        place = TopicPartition(topic, partition)
        async with self._consumer() as consumer:
            consumer.assign([place])
            first = (await consumer.beginning_offsets([place]))[place]
            consumer.seek(place, max(start, first))
            # Markers of transactions leave offsets without a record: the position goes past them, no record tells.
            while await consumer.position(place) < end:
                fetched = await consumer.getmany(place, timeout_ms=LOOK_MS, max_records=at_once)
                found = [_record(one) for one in fetched.get(place, ()) if one.offset < end]
                if found:
                    yield found

    async def create(self, topics: Sequence[NewTopic]) -> None:
        """See `Broker.create`."""
        async with declared.connected(self._options) as admin:
            wanted = [KafkaTopic(t.name, t.partitions, self._replication, topic_configs=dict(t.config)) for t in topics]
            answer = await admin.create_topics(wanted)
            for name, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise BrokerUnavailable(f"topic {name} cannot be created: {for_code(code).__name__}")
        async with self._consumer() as consumer:
            for topic in topics:
                await _partitions(consumer, topic.name)

    async def delete(self, topics: Sequence[str]) -> None:
        """See `Broker.delete`."""
        await declared.delete(self._options, topics)

    async def position(self, group: str, topic: str, partition: int) -> Position | None:
        """See `Broker.position`."""
        try:
            return await _position(self._options, group, TopicPartition(topic, partition))
        except EXPECTED as error:
            raise await kafka.refusal(self._options, error) from None

    def transactions(self, name: str, group: str = "", source: tuple[str, int] | None = None) -> Transactions:
        """See `Broker.transactions`."""
        return KafkaTransactions(name, group, TopicPartition(*source) if source else None, self._options)


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    for _ in range(TRIES):
        if topic in await consumer.topics():
            break
        await asyncio.sleep(TRY_S)
    else:
        raise InvalidSettings(f"there is no topic {topic}", hint="causa topics create, causa replay list")
    consumer.subscribe([topic])
    # Without a group aiokafka assigns every partition by itself, once it has heard where they are.
    for _ in range(TRIES * 5):
        if found := consumer.assignment():
            return sorted(found)
        await asyncio.sleep(TRY_S / 5)
    raise BrokerUnavailable("Kafka does not tell the partitions of its topics", hint="causa status")


async def _position(options: Mapping[str, Any], group: str, place: TopicPartition) -> Position | None:
    known = (await kafka.committed(options, group, [place]))[place]
    return None if known.offset < 0 else Position(known.offset, known.metadata or "")


def _record(found: Any) -> Record:
    headers = tuple((str(key), bytes(value or b"")) for key, value in found.headers or ())
    return Record(found.topic, found.partition, found.offset, found.timestamp, found.key, found.value, headers)


class KafkaTransactions:
    """See `Transactions`. Whoever starts a producer of the name fences the one before (KIP-98)."""

    def __init__(self, name: str, group: str, place: TopicPartition | None, options: Mapping[str, Any]) -> None:
        self._name, self._group, self._place, self._options = name, group, place, dict(options)
        self._writer = TransactionalWriter(
            name, options, linger_ms=2, max_batch_size=256 * 1024, compression_type=kafka.compression()
        )

    async def begin(self) -> Position | None:
        """See `Transactions.begin`."""
        try:
            await self._writer.begin()
            async with asyncio.timeout(PATIENCE_S):
                return await _position(self._options, self._group, self._place) if self._place else None
        except (BrokerUnavailable, *EXPECTED) as error:
            # The writer tells its own error; behind it stands the client's.
            cause = error.__context__ if isinstance(error.__context__, Exception) else error
            raise await kafka.refusal(self._options, cause) from None

    async def commit(self, records: Sequence[Written], position: Position | None = None) -> None:
        """See `Transactions.commit`."""
        moved = {}
        if position is not None and self._place is not None:
            moved[self._place] = OffsetAndMetadata(position.offset, position.note)
        try:
            await self._writer.commit([(record.topic, record) for record in records], moved, self._group)
        except Overtaken as error:
            raise Overtaken(error.message, hint="wait for it, or stop it") from None

    async def close(self) -> None:
        """See `Transactions.close`."""
        await self._writer.close()
