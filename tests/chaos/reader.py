"""What a reader of committed records sees, all partitions of some topics from their beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

STOP_S = 10.0
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Read:
    """A record as it lies on the broker."""

    offset: int
    key: bytes | None
    value: bytes | None


@dataclass
class Reader:
    """Reads while others write, and survives the broker's absence.

    Attributes:
        options: connection.
        parts: partitions to be read.
        records: what was read, by partition, in order of reading.
    """

    options: Mapping[str, Any]
    parts: Sequence[TopicPartition]
    records: dict[TopicPartition, list[Read]] = field(default_factory=dict)

    async def start(self) -> None:
        self.records = {part: [] for part in self.parts}
        self._consumer = AIOKafkaConsumer(
            **self.options, enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=100,
            max_partition_fetch_bytes=20 * 1024 * 1024,
        )  # fmt: skip
        await self._consumer.start()
        self._consumer.assign(self.parts)
        await self._consumer.seek_to_beginning(*self.parts)
        self._task = asyncio.create_task(self._read(), name="reader")

    async def _read(self) -> None:
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=200)
            except KafkaError:
                await asyncio.sleep(0.2)
                continue
            for part, records in found.items():
                self.records[part] += [Read(record.offset, record.key, record.value) for record in records]

    async def to_the_end(self) -> None:
        """Returns once everything that is committed now is read.

        Raises:
            TimeoutError: the broker does not let the reader get there.
        """
        async with asyncio.timeout(PATIENCE_S):
            # Ends as a reader of committed records is told them: below every transaction that is still open.
            ends = await self._consumer.end_offsets(self.parts)
            for part, end in ends.items():
                while await self._consumer.position(part) < end:
                    if self._task.done():
                        self._task.result()
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0)

    def count(self, topic: str) -> int:
        """Records of a topic so far."""
        return sum(len(records) for part, records in self.records.items() if part.topic == topic)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with suppress(KafkaError, TimeoutError):
            await asyncio.wait_for(self._consumer.stop(), STOP_S)


async def read_all(options: Mapping[str, Any], parts: Sequence[TopicPartition]) -> Mapping[TopicPartition, list[Read]]:
    """Everything that is committed in these partitions."""
    reader = Reader(options, parts)
    await reader.start()
    try:
        await reader.to_the_end()
        return reader.records
    finally:
        await reader.stop()
