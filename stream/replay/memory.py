"""A replay's broker in memory: logs of records, positions by group, and one owner for each name."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from stream.errors import BrokerUnavailable, InvalidSettings, Overtaken
from stream.replay.broker import AT_ONCE, Headers, NewTopic, Position, Record, Transactions, Written

Place = tuple[str, int]


class MemoryBroker:
    """In-memory twin of `KafkaBroker`.

    Attributes:
        logs: records by topic and partition.
        positions: how far a group's work is, by group, topic and partition.
        faults: what the next commits meet, one each: "" for none, "lost" (nothing happened, an error), "late" (it took
            effect, an error all the same), "fenced" (another owner began just before).
        now: timestamp of what is written next, milliseconds.
    """

    def __init__(self, partitions: int = 2) -> None:
        self.logs: dict[Place, list[Record]] = {}
        self.positions: dict[tuple[str, str, int], Position] = {}
        self.faults: list[str] = []
        self.now = 1_767_225_600_000
        self.epochs: dict[str, int] = {}
        self._partitions = partitions
        self._first: dict[Place, int] = {}

    def write(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> Record:
        """Put a record at the end of its partition, which is made where there is none."""
        if not any(name == topic for name, _ in self.logs):
            self.logs |= {(topic, number): [] for number in range(self._partitions)}
        number = sum(1 for name, _ in self.logs if name == topic)
        chosen = zlib.crc32(key or b"") % number if partition is None else partition
        log = self.logs[topic, chosen]
        record = Record(topic, chosen, len(log), self.now, key, value, headers)
        log.append(record)
        self.now += 1
        return record

    def cut(self, topic: str, records: int) -> None:
        """Retention takes the first records of each partition of a topic."""
        self._first |= {place: min(records, len(log)) for place, log in self.logs.items() if place[0] == topic}

    def all(self, topic: str) -> list[Record]:
        """Records of a topic, partition after partition."""
        return [record for (name, _), log in sorted(self.logs.items()) if name == topic for record in log]

    async def topics(self) -> set[str]:
        """See `Broker.topics`."""
        return {name for name, _ in self.logs}

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """See `Broker.bounds`."""
        found = {
            partition: (self._first.get((name, partition), 0), len(log))
            for (name, partition), log in sorted(self.logs.items())
            if name == topic
        }
        if not found:
            raise InvalidSettings(f"there is no topic {topic}")
        return found

    async def since(self, topic: str, moment: datetime) -> dict[int, int]:
        """See `Broker.since`."""
        wanted = moment.astimezone(UTC).timestamp() * 1000
        return {
            partition: next((r.offset for r in self.logs[topic, partition] if r.timestamp >= wanted), end)
            for partition, (_, end) in (await self.bounds(topic)).items()
        }

    async def read(
        self, topic: str, partition: int, start: int, end: int, at_once: int = AT_ONCE
    ) -> AsyncGenerator[list[Record]]:
        """See `Broker.read`."""
        for begin in range(max(start, self._first.get((topic, partition), 0)), end, at_once):
            await asyncio.sleep(0)
            if found := self.logs[topic, partition][begin : min(begin + at_once, end)]:
                yield found

    async def create(self, topics: Sequence[NewTopic]) -> None:
        """See `Broker.create`."""
        present = await self.topics()
        for topic in topics:
            if topic.name not in present:
                self.logs |= {(topic.name, number): [] for number in range(topic.partitions)}

    async def delete(self, topics: Sequence[str]) -> None:
        """See `Broker.delete`."""
        self.logs = {place: log for place, log in self.logs.items() if place[0] not in topics}

    async def position(self, group: str, topic: str, partition: int) -> Position | None:
        """See `Broker.position`."""
        return self.positions.get((group, topic, partition))

    def transactions(self, name: str, group: str = "", source: Place | None = None) -> Transactions:
        """See `Broker.transactions`."""
        return MemoryTransactions(self, name, group, source)


class MemoryTransactions:
    """In-memory twin of `KafkaTransactions`."""

    def __init__(self, broker: MemoryBroker, name: str, group: str, source: Place | None) -> None:
        self._broker, self._name, self._group, self._source = broker, name, group, source
        self._epoch = -1

    async def begin(self) -> Position | None:
        """See `Transactions.begin`."""
        self._epoch = self._broker.epochs[self._name] = self._broker.epochs.get(self._name, 0) + 1
        await asyncio.sleep(0)
        return self._broker.positions.get((self._group, *self._source)) if self._source else None

    async def commit(self, records: Sequence[Written], position: Position | None = None) -> None:
        """See `Transactions.commit`."""
        broker = self._broker
        await asyncio.sleep(0)
        fault = broker.faults.pop(0) if broker.faults else ""
        if fault == "fenced":
            broker.epochs[self._name] += 1
        if self._epoch != broker.epochs[self._name]:
            raise Overtaken("another process")
        if fault == "lost":
            raise BrokerUnavailable("transaction: TimeoutError")
        for record in records:
            broker.write(record.topic, record.value, record.key, record.headers)
        if position is not None and self._source is not None:
            broker.positions[self._group, *self._source] = position
        await asyncio.sleep(0)
        if fault == "late":
            raise BrokerUnavailable("transaction: TimeoutError")

    async def close(self) -> None:
        """See `Transactions.close`."""
