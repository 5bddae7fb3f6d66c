"""What the bench itself does on the broker: topics of a run's own, a producer, a reader, and a group's generations."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from stream import topics
from stream.settings import Settings

OFFSETS = "__consumer_offsets"
PATIENCE_S = 15.0
_SHORT, _INT = struct.Struct(">h"), struct.Struct(">i")
_GROUP_KEY = 2
_FLEXIBLE = 4


@asynccontextmanager
async def created(
    settings: Settings, options: Mapping[str, Any], group: str
) -> AsyncIterator[tuple[topics.Topic, ...]]:
    """The topics of a run, deleted at the end with its consumer group, whatever happened."""
    declared = topics.declared(settings)
    try:
        await topics.create(options, declared, 1)
        yield declared
    finally:
        async with topics.connected(options) as admin:
            await admin.delete_topics([t.name for t in declared])
            # aiokafka has the request but no method for it; an empty group would go by itself after a week.
            with suppress(KafkaError):
                await admin._send_request(DeleteGroupsRequest([group]), await admin.find_coordinator(group))


@asynccontextmanager
async def producer(options: Mapping[str, Any]) -> AsyncIterator[Any]:
    """A producer that waits for the broker."""
    made = AIOKafkaProducer(**options, acks="all", linger_ms=2)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def reader(options: Mapping[str, Any], parts: Sequence[TopicPartition]) -> AsyncIterator[Any]:
    """A consumer of committed records of some partitions, from their beginning."""
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, isolation_level="read_committed",
        auto_offset_reset="earliest", fetch_max_wait_ms=200,
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign(list(parts))
        for part in parts:
            consumer.seek(part, 0)
        yield consumer
    finally:
        await consumer.stop()


async def generation(options: Mapping[str, Any], group: str) -> int:
    """The last generation of a consumer group; each rebalance begins another. 0 where the broker knows none.

    The broker writes it down for itself in the topic of offsets, whatever the members' client tells.
    """
    async with topics.connected(options) as admin:
        described = await admin.describe_topics([OFFSETS])
    parts = [TopicPartition(OFFSETS, p["partition"]) for topic in described for p in topic["partitions"]]
    if not parts:
        return 0
    consumer = AIOKafkaConsumer(**options, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    last = 0
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        behind = {part for part, end in ends.items() if end > 0}
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while behind:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        last = max([last, *(generation_of(r.key, r.value, group) for r in records)])
                    behind = {part for part in behind if await consumer.position(part) < ends[part]}
        return last
    finally:
        await consumer.stop()


def generation_of(key: bytes | None, value: bytes | None, group: str) -> int:
    """The generation that a record of the topic of offsets tells of a group; 0 for any other record.

    Source: Kafka's GroupMetadataKey.json (version 2) and GroupMetadataValue.json.
    """
    if not key or not value or _SHORT.unpack_from(key)[0] != _GROUP_KEY:
        return 0
    (length,) = _SHORT.unpack_from(key, 2)
    if key[4 : 4 + length] != group.encode():
        return 0
    # The protocol's type stands first, its length as a short, or from version 4 on as a byte one too large.
    flexible = _SHORT.unpack_from(value)[0] >= _FLEXIBLE
    at = 2 + value[2] if flexible else 4 + int(_SHORT.unpack_from(value, 2)[0])
    return int(_INT.unpack_from(value, at)[0])
