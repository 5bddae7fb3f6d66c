"""Letting go of Kafka's clients: within a time, whatever they do, and without missing a stop."""

from __future__ import annotations

import asyncio
import gc

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from stream import kafka, transaction
from stream.transaction import TransactionalWriter
from stream.worker.lanes import Lane
from stream.worker.transactions import MemoryBroker, MemoryTransactions


async def never() -> None:
    await asyncio.Event().wait()


async def stubborn() -> None:
    """As aiokafka's clients are: a cancellation in the midst of closing goes unheard."""
    for _ in range(3):
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue


async def failing() -> None:
    raise KeyError("pendaison")


@pytest.mark.parametrize(("closing", "in_time"), [(stubborn, True), (failing, True), (never, False)])
async def test_a_close_is_waited_for_so_long_and_its_faults_are_passed_over(closing: object, in_time: bool) -> None:
    assert callable(closing)
    assert await kafka.ended(closing(), 0.05) is in_time


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_stop_while_a_client_closes_is_heard(turns: int) -> None:
    async def work() -> None:
        while True:
            await kafka.ended(stubborn())

    working = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working}, timeout=5)
    assert working.cancelled()


class Producer:
    """As much of aiokafka's as is begun and let go."""

    def __init__(self, **_: object) -> None:
        pass

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def begin_transaction(self) -> None:
        pass

    async def stop(self) -> None:
        await stubborn()


class Beginning(MemoryTransactions):
    """Begins as Kafka's does, letting go of a producer each time; the broker is never there."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker(), ("a",), 0)
        self._writer = TransactionalWriter("g-0", {})

    async def begin(self) -> dict[str, int]:
        await self._writer.begin()
        return await super().begin()


@pytest.mark.parametrize("turns", range(1, 12))
async def test_a_lane_that_is_closed_while_it_begins_is_closed(monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    monkeypatch.setattr(transaction, "AIOKafkaProducer", Producer)
    mine = Beginning()
    mine._writer._producer = Producer()
    lane = Lane(mine)
    for _ in range(turns):
        await asyncio.sleep(0)
    closing = asyncio.create_task(lane.close())
    await asyncio.wait({closing}, timeout=5)
    assert closing.done() and lane.task.done()


async def test_a_producer_whose_records_cannot_go_leaves_nothing_behind() -> None:
    def living() -> int:
        gc.collect()
        return sum(isinstance(one, AIOKafkaClient) for one in gc.get_objects())

    before, tasks = living(), asyncio.all_tasks()
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9")
    # As behind a start: the metadata is kept fresh, and the sender tries for ever, for the broker is away.
    producer.client._sync_task = asyncio.create_task(producer.client._md_synchronizer())
    producer._sender._sender_task = asyncio.create_task(never())
    waits = await producer._message_accumulator.add_message(TopicPartition("a", 0), None, b"1", 1.0)
    await kafka.stopped(producer, 0.1)
    assert isinstance(waits.exception(), KafkaError)
    del producer, waits
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks and living() == before
