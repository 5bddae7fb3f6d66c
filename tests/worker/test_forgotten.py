"""A group whose offsets Kafka has forgotten does not begin anew where its results tell that it had been further."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from stream.certificate import utc_now
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Modality,
    Origin,
    Route,
    Targeting,
    Underlying,
    Versions,
    coded_record,
    dead_letter_record,
)
from stream.embedded.kafka import KafkaServer
from stream.errors import BadFrame, BrokerUnavailable, InvalidSettings
from stream.pipeline.letters import dead_letter
from stream.pipeline.record import Incoming, Outgoing, Received
from stream.registry import MemoryRegistry, load_schemas
from stream.sealing import Keyring
from stream.settings import REPOSITORY, Sealing
from stream.wire import Wire
from stream.worker.forgotten import Forgotten, going_on
from stream.worker.transactions import KafkaTransactions

WIRE = Wire(MemoryRegistry(load_schemas(REPOSITORY / "schemas")))


def coded(origin: Origin) -> Outgoing:
    found = CodedCertificate(
        "c1", 1, "0" * 32, CodedStatus.FINAL, Modality.RULES, Underlying("I10", 1.0), Targeting(Route.AUTO, policy="p"),
        Versions(), utc_now(), origin=origin,
    )  # fmt: skip
    return Outgoing("coded", b"c1", WIRE.encode("coded", coded_record(found)))


def dead(origin: Origin) -> Outgoing:
    fault = BadFrame("nothing")
    letter = dead_letter(Received(Incoming(b"x", b"k", origin), None), fault, utc_now(), Keyring(Sealing()))
    return Outgoing("dead-letters", b"k", WIRE.encode("dead-letters", dead_letter_record(letter)))


async def until_known(ask: Callable[[], Awaitable[Any]]) -> None:
    """A young broker is given time."""
    async with asyncio.timeout(60):
        while True:
            try:
                await ask()
                break
            except BrokerUnavailable:
                await asyncio.sleep(0.2)


def test_a_partition_goes_on_behind_its_last_record_that_has_a_result() -> None:
    a, b, c, d = (TopicPartition("a", n) for n in range(4))
    origins = [Origin("a", 0, 3), Origin("a", 0, 7), Origin("a", 0, 5), Origin("a", 1, 9), Origin("a", 2, 4), Origin()]
    retained = {a: (2, 20), b: (10, 20), c: (0, 4), d: (0, 9)}
    assert going_on(origins, retained) == {a: 8}, "b: no longer retained; c: another topic's of that name; d: none"


@pytest.mark.servers
class TestKafka:
    @pytest.fixture(autouse=True)
    async def topics(self, kafka_server: KafkaServer) -> AsyncIterator[None]:
        self.group = uuid.uuid4().hex[:8]
        self.source, self.other, self.coded, self.dead = (
            f"{self.group}-{name}" for name in ("a", "b", "coded", "dead")
        )
        self.options = {"bootstrap_servers": kafka_server.bootstrap}
        self.admin = AIOKafkaAdminClient(**self.options)
        await self.admin.start()
        await self.admin.create_topics(
            [NewTopic(name, 2, 1) for name in (self.source, self.other, self.coded, self.dead)]
        )
        producer = AIOKafkaProducer(**self.options)
        await producer.start()
        for partition in (0, 0, 0, 0, 1):
            await producer.send_and_wait(self.source, b"certificate", partition=partition)
        await producer.stop()
        yield
        await self.admin.close()

    async def check(self, group: str = "") -> None:
        names = {"coded": self.coded, "dead-letters": self.dead}
        one = Forgotten((self.source, self.other), group or self.group, names, WIRE, self.options)
        await until_known(one.check)

    async def write(self, *records: Outgoing, upto: int) -> None:
        topics = {"coded": self.coded, "dead-letters": self.dead}
        one = KafkaTransactions((self.source, self.other), 0, self.group, topics, self.options)
        await until_known(one.begin)
        await one.commit(records, {self.source: upto, self.other: 0})
        await one.close()

    async def test_a_group_without_its_offsets_is_told_where_to_go_on(self) -> None:
        await self.check()  # nothing was ever coded
        results = [coded(Origin(self.source, 0, 0)), coded(Origin(self.source, 0, 1)), dead(Origin(self.source, 0, 2))]
        await self.write(*results, upto=3)
        await self.check()  # its offset is known
        with pytest.raises(InvalidSettings, match=f"{self.source}/0 at 3$"):
            await self.check("forgotten")
        await self.admin.delete_records({TopicPartition(self.source, 0): RecordsToDelete(before_offset=3)})
        await self.check("forgotten")  # nothing is retained that would be coded twice


async def test_a_broker_that_is_not_there_is_told() -> None:
    options = {"bootstrap_servers": "127.0.0.1:9", "request_timeout_ms": 1000}
    with pytest.raises(BrokerUnavailable):
        await Forgotten(("a",), "g", {"coded": "coded", "dead-letters": "dead"}, WIRE, options).check()
