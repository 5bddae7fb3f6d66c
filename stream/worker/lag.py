"""How far a consumer group is behind, as the broker tells it: end of each input partition, less what is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from stream import kafka
from stream.errors import BrokerUnavailable

PATIENCE_S = 10.0
Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands.

    Attributes:
        behind: records of each partition of the inputs that are not committed, whoever holds the partition.
        missing: declared topics that the broker does not have.
    """

    behind: Mapping[Place, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


class Lag(Protocol):
    """Asks a broker how far a group is behind."""

    async def ask(self) -> Standing:
        """Where the group stands now.

        Raises:
            BrokerUnavailable: the broker does not tell.
        """

    async def close(self) -> None:
        """Disconnect."""


class KafkaLag:
    """See `Lag`. It joins no group, and connects when it is first asked.

    Args:
        inputs: topics that the group reads.
        declared: topics that must be there.
        group: the consumer group.
        options: connection options of aiokafka.
    """

    def __init__(self, inputs: Sequence[str], declared: Sequence[str], group: str, options: Mapping[str, Any]) -> None:
        self._inputs, self._declared, self._group, self._options = tuple(inputs), tuple(declared), group, dict(options)
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def ask(self) -> Standing:
        """See `Lag.ask`."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask()
        # aiokafka raises nearly anything when a connection goes under in the middle of an answer.
        except Exception as error:
            await self.close()
            raise BrokerUnavailable(f"lag: {type(error).__name__}") from None

    async def _ask(self) -> Standing:
        if self._admin is None:
            self._admin = AIOKafkaAdminClient(**self._options)
            await self._admin.start()
        described = await self._admin.describe_topics()
        there = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
        missing = tuple(topic for topic in self._declared if topic not in there)
        places = [TopicPartition(topic, n) for topic in self._inputs for n in range(there.get(topic, 0))]
        if not places:
            return Standing({}, missing)
        committed = await self._committed(places)
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(**self._options, group_id=None, enable_auto_commit=False)
            await self._consumer.start()
        ends = await self._consumer.end_offsets(places)
        # Where nothing is committed yet, the group begins with the oldest record that retention has left.
        begun = {place: offset for place, offset in committed.items() if offset >= 0}
        new = [place for place in places if place not in begun]
        begun |= await self._consumer.beginning_offsets(new) if new else {}
        return Standing({(p.topic, p.partition): max(0, ends[p] - begun[p]) for p in places}, missing)

    async def _committed(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        assert self._admin is not None
        found = await self._admin.list_consumer_group_offsets(self._group, partitions=places)
        if any(place not in found for place in places):
            raise for_code(15)  # the coordinator loads, and says nothing: aiokafka passes its error over
        return {place: int(found[place].offset) for place in places}

    async def close(self) -> None:
        """See `Lag.close`."""
        admin, self._admin = self._admin, None
        consumer, self._consumer = self._consumer, None
        for closing in (admin.close() if admin else None, consumer.stop() if consumer else None):
            if closing is not None:
                await kafka.ended(closing)


class MemoryLag:
    """In-memory twin: tells what it was given; `down` plays an outage."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.down = False

    async def ask(self) -> Standing:
        """See `Lag.ask`."""
        await asyncio.sleep(0)
        if self.down:
            raise BrokerUnavailable("lag: KafkaConnectionError")
        return self.standing

    async def close(self) -> None:
        """See `Lag.close`."""
