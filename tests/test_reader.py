"""Topics read without a group: the twin, and the real broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer
from quality.records import coded, decision

from stream import topics
from stream.certificate import utc_now
from stream.coding import Origin, coded_record, correction_record
from stream.embedded.kafka import KafkaServer
from stream.errors import BrokerUnavailable, InvalidSettings
from stream.reader import KafkaReader, MemoryReader, Place, Read, records
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SUBJECTS = ("coded", "corrections")


def row(number: int, subject: str = "coded") -> Read:
    return Read(subject, {"n": number}, Origin(subject, 0, number))


async def test_the_twin_ends_or_follows() -> None:
    reader = MemoryReader([row(0), row(1, "manual"), row(2, "corrections")])
    assert [r.value["n"] async for r in reader.read(SUBJECTS)] == [0, 2]
    reader = MemoryReader([row(0)])
    async with aclosing(reader.read(SUBJECTS, follow=True)) as found:
        assert (await anext(found)).value["n"] == 0
        waiting = asyncio.ensure_future(anext(found))
        await reader.caught_up.wait()
        reader.write(row(1))
        assert (await waiting).value["n"] == 1


@pytest.fixture
async def broker(kafka_server: KafkaServer) -> AsyncIterator[tuple[Settings, str, AIOKafkaProducer]]:
    """Settings with topics of the test's own, the address, and a producer with transactions."""
    run = uuid.uuid4().hex[:8]
    settings = Settings()
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    options = {"bootstrap_servers": kafka_server.bootstrap}
    await topics.create(options, topics.declared(settings), 1)
    async with AIOKafkaProducer(**options, transactional_id=run) as producer:
        yield settings, kafka_server.bootstrap, producer


@pytest.mark.servers
async def test_kafka_is_read_as_committed_from_a_moment_on(broker: tuple[Settings, str, AIOKafkaProducer]) -> None:
    settings, bootstrap, producer = broker
    names = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, names))

    async def write(*ids: str) -> None:
        for name in ids:
            for subject, value in (
                ("coded", coded_record(coded(name))),
                ("corrections", correction_record(decision(name))),
            ):
                await producer.send_and_wait(names[subject], wire.encode(subject, value), key=name.encode())

    async def ids(reader: KafkaReader, **options: object) -> set[tuple[str, str]]:
        found = reader.read(SUBJECTS, **options)  # type: ignore[arg-type]
        return {(r.subject, r.value["certificate_id"]) async for r in found}

    assert await ids(KafkaReader(settings, bootstrap)) == set()
    async with producer.transaction():
        await write("a", "b")
        await producer.send_and_wait(names["coded"], b"nonsense", key=b"c")
    moment = utc_now() + timedelta(milliseconds=2)
    await asyncio.sleep(0.01)
    with pytest.raises(LookupError):
        async with producer.transaction():
            await write("lost")
            raise LookupError
    async with producer.transaction():
        await write("d")

    reader = KafkaReader(settings, bootstrap)
    assert await ids(reader) == {(s, i) for s in SUBJECTS for i in "abd"}
    assert reader.undecoded == 1 and reader.caught_up.is_set()
    assert await ids(KafkaReader(settings, bootstrap), since=moment) == {(s, "d") for s in SUBJECTS}

    follower = KafkaReader(settings, bootstrap)
    async with asyncio.timeout(30), aclosing(follower.read(["coded"], follow=True)) as found:
        assert {(await anext(found)).value["certificate_id"] for _ in range(3)} == set("abd")
        waiting = asyncio.ensure_future(anext(found))
        await follower.caught_up.wait()
        async with producer.transaction():
            await write("e")
        assert (await waiting).value["certificate_id"] == "e"

    last = [record.key async for _, record in records(settings, bootstrap, ["corrections"], last=2)]
    assert set(last) <= {b"a", b"b", b"d", b"e"} and last


@pytest.mark.servers
async def test_batches_go_on_from_the_offsets_that_are_kept(broker: tuple[Settings, str, AIOKafkaProducer]) -> None:
    settings, bootstrap, producer = broker
    wire = Wire(open_registry(settings.registry, subject_topics(settings)))
    topic = subject_topics(settings)["coded"]

    async def write(*values: bytes) -> None:
        async with producer.transaction():
            for value in values:
                await producer.send_and_wait(topic, value, key=b"one place")

    async def read(starts: dict[Place, int]) -> tuple[list[str], dict[Place, int]]:
        ids, after = [], dict(starts)
        async for batch in KafkaReader(settings, bootstrap).batches(["coded"], starts=starts):
            ids += [one.value["certificate_id"] for one in batch.reads]
            after |= batch.next
        return ids, after

    a, b = (wire.encode("coded", coded_record(coded(name))) for name in "ab")
    await write(a, b"nonsense")
    ids, after = await read({})
    assert ids == ["a"]
    ((place, offset),) = after.items()
    assert (place[0], offset) == (topic, 2), "what does not decode is passed over"
    await write(b)
    assert await read(after) == (["b"], {place: 4})
    assert await read({place: 4}) == ([], {place: 4})
    reader = KafkaReader(settings, bootstrap)
    async with asyncio.timeout(30), aclosing(reader.batches(["coded"], starts={}, follow=True)) as found:
        await anext(found)
        waiting = asyncio.ensure_future(anext(found))
        # A transaction's last mark is no record that waits.
        while reader.behind or not reader.caught_up.is_set():  # noqa: ASYNC110 - a number sets no event
            await asyncio.sleep(0.05)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    with pytest.raises(InvalidSettings, match="made anew"):
        await read({place: 40})


@pytest.mark.servers
async def test_a_topic_that_is_not_there_is_told(kafka_server: KafkaServer) -> None:
    settings = Settings()
    settings.kafka.topics.coded = "nowhere"
    with pytest.raises(InvalidSettings, match="nowhere"):
        _ = [r async for r in KafkaReader(settings, kafka_server.bootstrap).read(["coded"])]


async def test_a_broker_that_does_not_answer_is_told() -> None:
    settings = Settings()
    settings.kafka.request_timeout_s = 0.5
    with pytest.raises(BrokerUnavailable):
        _ = [r async for r in KafkaReader(settings, "127.0.0.1:1").read(["coded"])]
