"""A replay's broker by Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin import NewTopic as KafkaTopic
from aiokafka.errors import (
    IllegalOperation,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    TopicAlreadyExistsError,
    for_code,
)
from aiokafka.structs import OffsetAndMetadata

from stream import failpoints, kafka
from stream import topics as declared
from stream.errors import BrokerUnavailable, InvalidSettings
from stream.replay.broker import AT_ONCE, NewTopic, Overtaken, Position, Record, Transactions, Written
from stream.settings import Settings

STOP_S = 5.0
PATIENCE_S = 60.0
TRANSACTION_S = 45.0
"""After so long without an end the broker aborts a transaction by itself, and readers go on past it."""
FETCH_BYTES = 20 * 1024 * 1024
TRIES, TRY_S = 50, 0.1
"""Looks for a topic that the broker may not show yet."""
_UNKNOWN = (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError)
"""What leaves the end of a transaction unknown (see `stream.worker.transactions`)."""
_FENCED = (ProducerFenced, InvalidProducerEpoch)


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
            isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES, **more,
        )  # fmt: skip
        try:
            await consumer.start()
            yield consumer
        except KafkaError as error:
            raise await kafka.refusal(self._options, error) from None
        finally:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(consumer.stop(), STOP_S)

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
                fetched = await consumer.getmany(place, timeout_ms=500, max_records=at_once)
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
        except _UNKNOWN as error:
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
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group, partitions=[place])
    finally:
        with suppress(KafkaError):
            await admin.close()
    if place not in found:
        # The broker names every partition that it is asked for, with -1 where it has no offset. Silence is an error.
        raise BrokerUnavailable("the group's coordinator does not tell its offsets")
    known = found[place]
    return None if known.offset < 0 else Position(known.offset, known.metadata or "")


def _record(found: Any) -> Record:
    headers = tuple((str(key), bytes(value or b"")) for key, value in found.headers or ())
    return Record(found.topic, found.partition, found.offset, found.timestamp, found.key, found.value, headers)


class KafkaTransactions:
    """See `Transactions`. Whoever starts a producer of the name fences the one before (KIP-98)."""

    def __init__(self, name: str, group: str, place: TopicPartition | None, options: Mapping[str, Any]) -> None:
        self._name, self._group, self._place, self._options = name, group, place, dict(options)
        self._producer: AIOKafkaProducer | None = None
        self._open = False

    async def begin(self) -> Position | None:
        """See `Transactions.begin`."""
        await self.close()
        self._producer = AIOKafkaProducer(
            **self._options, transactional_id=self._name, transaction_timeout_ms=round(TRANSACTION_S * 1000), acks="all",
            linger_ms=2, max_batch_size=256 * 1024, max_request_size=16 * 1024 * 1024, compression_type=kafka.compression(),
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._producer.start()
                await self._producer.begin_transaction()  # waits until the broker has fenced whoever was before us
                self._open = True
                return await _position(self._options, self._group, self._place) if self._place else None
        except _UNKNOWN as error:
            raise await kafka.refusal(self._options, error) from None

    async def commit(self, records: Sequence[Written], position: Position | None = None) -> None:
        """See `Transactions.commit`."""
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("transaction: not begun")
        queued: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                if not self._open:
                    await producer.begin_transaction()
                self._open = False
                for number, record in enumerate(records):
                    if number == len(records) // 2:
                        await failpoints.reach("mid-produce")
                    sent = await producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))
                    queued.append(sent)
                await asyncio.gather(*queued)
                await failpoints.reach("before-offsets")
                if position is not None and self._place is not None:
                    moved = {self._place: OffsetAndMetadata(position.offset, position.note)}
                    await producer.send_offsets_to_transaction(moved, self._group)
                await failpoints.reach("after-offsets")
                await producer.commit_transaction()
                await failpoints.reach("after-commit")
        except _UNKNOWN as error:
            for sent in queued:
                sent.add_done_callback(_heard)  # one fault was told: those of the other records are the same
            if isinstance(error, _FENCED) or any(_fenced(sent) for sent in queued):
                raise Overtaken(f"another process writes as {self._name}", hint="wait for it, or stop it") from None
            raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None

    async def close(self) -> None:
        """See `Transactions.close`."""
        producer, self._producer, self._open = self._producer, None, False
        if producer is not None:
            with suppress(*_UNKNOWN):
                await asyncio.wait_for(producer.stop(), STOP_S)


def _fenced(sent: asyncio.Future[Any]) -> bool:
    return sent.done() and not sent.cancelled() and isinstance(sent.exception(), _FENCED)


def _heard(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()
