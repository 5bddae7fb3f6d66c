"""The transactions of an input partition, on Kafka and in memory.

One producer for an input partition, named after group and partition number: whoever starts a producer of that name fences
the one before (KIP-98). Offsets are asked for behind the fence, through the admin client: the consumer's own call takes
an error of the whole group, as a coordinator gives while it loads, for "no offset", and would begin from the first record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IllegalOperation, KafkaError

from stream import failpoints
from stream.errors import BrokerUnavailable
from stream.pipeline.record import Outgoing

STOP_S = 5.0
PATIENCE_S = 60.0
"""Longest wait for one step of a transaction: what takes longer is given up and begun again."""
TRANSACTION_S = 45.0
"""After so long without an end the broker aborts a transaction by itself, and readers go on past it."""


LITTLE = 64 * 1024
"""Bytes that are fetched to see where the next record stands: the first record comes whole whatever its size."""
_UNKNOWN = (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError)
"""What leaves the end of a transaction unknown. aiokafka asserts its states: a call that comes behind an error which was
met in the background, such as a fence, finds a state that it does not expect."""


class KafkaTransactions:
    """See `lanes.Transactions`.

    Args:
        inputs: the co-partitioned input topics, as Kafka names them.
        partition: their partition.
        group: the consumer group whose offsets move.
        topics: output topic of each subject.
        options: connection options of aiokafka.
    """

    def __init__(
        self, inputs: Sequence[str], partition: int, group: str, topics: Mapping[str, str], options: Mapping[str, Any]
    ) -> None:
        self._places = {topic: TopicPartition(topic, partition) for topic in inputs}
        self._id = f"{group}-{partition}"
        self._group, self._topics, self._options = group, dict(topics), dict(options)
        self._producer: AIOKafkaProducer | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._open = False

    async def begin(self) -> dict[str, int]:
        """See `Transactions.begin`."""
        await self.close()
        self._producer = AIOKafkaProducer(
            **self._options, transactional_id=self._id, transaction_timeout_ms=round(TRANSACTION_S * 1000), acks="all",
            linger_ms=2, max_batch_size=256 * 1024, max_request_size=16 * 1024 * 1024,
        )  # fmt: skip
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._producer.start()
                await self._producer.begin_transaction()  # waits until the broker has fenced whoever was before us
                self._open = True
                return await self._committed()
        except _UNKNOWN as error:
            raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None

    async def _committed(self) -> dict[str, int]:
        places = list(self._places.values())
        admin = AIOKafkaAdminClient(**self._options)
        try:
            await admin.start()
            found = await admin.list_consumer_group_offsets(self._group, partitions=places)
        finally:
            with suppress(KafkaError):
                await admin.close()
        if any(place not in found for place in places):
            # The broker names every partition that it is asked for, with -1 where it has no offset. Silence is an error.
            raise BrokerUnavailable("the group's coordinator does not tell its offsets")
        return {topic: max(0, int(found[place].offset)) for topic, place in self._places.items()}

    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
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
                    topic = self._topics[record.subject]
                    queued.append(await producer.send(topic, record.value, key=record.key, headers=record.headers))
                await asyncio.gather(*queued)
                await failpoints.reach("before-offsets")
                moved = {self._places[topic]: offset for topic, offset in offsets.items() if offset}
                await producer.send_offsets_to_transaction(moved, self._group)
                await failpoints.reach("after-offsets")
                await producer.commit_transaction()
                await failpoints.reach("after-commit")
        except _UNKNOWN as error:
            # Whether it took effect is not known, and the protocol gives no way to ask this producer: the next begins anew.
            for sent in queued:
                sent.add_done_callback(_heard)  # one fault was told: those of the other records are the same
            raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None

    async def between(self, topic: str, first: int, last: int) -> bool:
        """See `Transactions.between`."""
        place = self._places[topic]
        try:
            async with asyncio.timeout(PATIENCE_S):
                reader = await self._reading()
                # What retention has deleted is no longer there to be coded.
                oldest = (await reader.beginning_offsets([place]))[place]
                if oldest >= last:
                    return False
                reader.seek(place, max(first, oldest))
                record = await reader.getone(place)
                return bool(record.offset < last)
        except (KafkaError, TimeoutError, OSError) as error:
            raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None

    async def _reading(self) -> AIOKafkaConsumer:
        """A reader of the inputs: producers with transactions leave a hole behind each, and so many questions."""
        if self._reader is None:
            self._reader = AIOKafkaConsumer(
                **self._options, group_id=None, enable_auto_commit=False, isolation_level="read_committed",
                auto_offset_reset="earliest", max_partition_fetch_bytes=LITTLE,
            )  # fmt: skip
            await self._reader.start()
            self._reader.assign(list(self._places.values()))
        return self._reader

    async def close(self) -> None:
        """See `Transactions.close`."""
        ends = [end for end in (self._producer, self._reader) if end is not None]
        self._producer, self._reader, self._open = None, None, False
        for end in ends:
            with suppress(*_UNKNOWN):
                await asyncio.wait_for(end.stop(), STOP_S)


def _heard(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()


class MemoryBroker:
    """In-memory twin of what transactions need of a broker: a log of results, offsets, and one owner for a partition.

    Attributes:
        results: (partition, record) of all that is committed.
        offsets: committed offset by (topic, partition).
        inputs: offsets that hold a record, by (topic, partition); where none are named every offset does.
        faults: what the next commits meet, one each: "" for none, "lost" (nothing happened, an error), "late" (it took
            effect, an error all the same), "fenced" (another owner began just before).
        epochs: how often each partition was begun.
    """

    def __init__(self) -> None:
        self.results: list[tuple[int, Outgoing]] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.inputs: dict[tuple[str, int], set[int]] = {}
        self.faults: list[str] = []
        self.epochs: dict[int, int] = {}


class MemoryTransactions:
    """In-memory twin of `KafkaTransactions`."""

    def __init__(self, broker: MemoryBroker, inputs: Sequence[str], partition: int) -> None:
        self._broker, self._inputs, self._partition = broker, tuple(inputs), partition
        self._epoch = -1

    async def begin(self) -> dict[str, int]:
        """See `Transactions.begin`."""
        broker, partition = self._broker, self._partition
        await asyncio.sleep(0)
        self._epoch = broker.epochs[partition] = broker.epochs.get(partition, 0) + 1
        await asyncio.sleep(0)
        return {topic: broker.offsets.get((topic, partition), 0) for topic in self._inputs}

    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
        """See `Transactions.commit`."""
        broker, partition = self._broker, self._partition
        await asyncio.sleep(0)
        fault = broker.faults.pop(0) if broker.faults else ""
        if fault == "fenced":
            broker.epochs[partition] += 1
        if self._epoch != broker.epochs[partition]:
            raise BrokerUnavailable("transaction: ProducerFenced")
        if fault == "lost":
            raise BrokerUnavailable("transaction: TimeoutError")
        broker.results += [(partition, record) for record in records]
        broker.offsets |= {(topic, partition): offset for topic, offset in offsets.items()}
        await asyncio.sleep(0)
        if fault == "late":
            raise BrokerUnavailable("transaction: TimeoutError")

    async def between(self, topic: str, first: int, last: int) -> bool:
        """See `Transactions.between`."""
        inputs = self._broker.inputs.get((topic, self._partition))
        return first < last if inputs is None else any(first <= offset < last for offset in inputs)

    async def close(self) -> None:
        """See `Transactions.close`."""
