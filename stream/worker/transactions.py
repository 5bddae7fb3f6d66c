"""The transactions of an input partition, on Kafka and in memory.

One producer for an input partition, named after group and partition number: whoever starts a producer of that name fences
the one before (KIP-98). Offsets are asked for behind the fence, through the admin client: the consumer's own call takes
an error of the whole group, as a coordinator gives while it loads, for "no offset", and would begin from the first record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream import kafka
from stream.errors import BrokerUnavailable, Overtaken
from stream.pipeline.record import Outgoing
from stream.transaction import PATIENCE_S, TransactionalWriter, unknown

LITTLE = 64 * 1024
"""Bytes that are fetched to see where the next record stands: the first record comes whole whatever its size."""


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
        self._group, self._topics, self._options = group, dict(topics), dict(options)
        self._writer = TransactionalWriter(f"{group}-{partition}", options, linger_ms=2, max_batch_size=256 * 1024)
        self._reader: AIOKafkaConsumer | None = None

    async def begin(self) -> dict[str, int]:
        """See `Transactions.begin`."""
        await self.close()
        await self._writer.begin()
        with unknown():
            async with asyncio.timeout(PATIENCE_S):
                return await self._committed()

    async def _committed(self) -> dict[str, int]:
        found = await kafka.committed(self._options, self._group, list(self._places.values()))
        return {topic: max(0, int(found[place].offset)) for topic, place in self._places.items()}

    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
        """See `Transactions.commit`."""
        moved = {self._places[topic]: offset for topic, offset in offsets.items() if offset}
        try:
            await self._writer.commit(
                [(self._topics[record.subject], record) for record in records], moved, self._group
            )
        except Overtaken as error:
            raise BrokerUnavailable(error.message) from None

    async def between(self, topic: str, first: int, last: int) -> bool:
        """See `Transactions.between`."""
        place = self._places[topic]
        with unknown():
            async with asyncio.timeout(PATIENCE_S):
                reader = await self._reading()
                # What retention has deleted is no longer there to be coded.
                oldest = (await reader.beginning_offsets([place]))[place]
                if oldest >= last:
                    return False
                reader.seek(place, max(first, oldest))
                record = await reader.getone(place)
                return bool(record.offset < last)

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
        reader, self._reader = self._reader, None
        await self._writer.close()
        if reader is not None:
            await kafka.ended(reader.stop())


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
