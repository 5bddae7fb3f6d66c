from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import metrics
from stream.coding import Origin
from stream.errors import BrokerUnavailable
from stream.pipeline.record import Decision, Incoming, Outgoing
from stream.worker.courier import AtLeastOnce
from stream.worker.flow import FEW, FINISHED, Flow
from stream.worker.outbox import MemoryOutbox


class Handmade:
    """A processor whose batches end when the test says so."""

    def __init__(self) -> None:
        self.gates: list[asyncio.Event] = []
        self.began: list[int] = []
        self.fault: Exception | None = None

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        number = batch[0].origin.offset
        self.began.append(number)
        while len(self.gates) <= number:
            self.gates.append(asyncio.Event())
        await self.gates[number].wait()
        if self.fault is not None:
            raise self.fault
        return [Decision(one, (Outgoing("coded", None, b"%d" % one.origin.offset),)) for one in batch]

    def finish(self, number: int) -> None:
        while len(self.gates) <= number:
            self.gates.append(asyncio.Event())
        self.gates[number].set()


class World:
    """A flow with what surrounds it; one record a batch."""

    def __init__(self, in_flight: int = 3) -> None:
        self.processor, self.outbox = Handmade(), MemoryOutbox()
        self.acknowledged: list[int] = []
        self.flow = Flow(self.processor, AtLeastOnce(self.outbox, retry_s=0.001), in_flight)
        self.courier = self.flow.start()

    async def put(self, number: int) -> None:
        def acknowledge() -> None:
            assert number in self.delivered(), "delivered first, acknowledged then"
            self.acknowledged.append(number)

        await self.flow.room()
        self.flow.put([Incoming(None, None, Origin("t", 0, number))], acknowledge)

    def delivered(self) -> list[int]:
        return [int(record.value) for record in self.outbox.records]

    async def close(self) -> None:
        await self.flow.drain(0)
        await asyncio.gather(self.courier, return_exceptions=True)


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@given(st.permutations(range(8)), st.integers(1, 8), st.lists(st.integers(0, 2), max_size=8))
@settings(max_examples=60, deadline=None)
def test_results_leave_in_order_of_arrival_whatever_ends_first(
    order: list[int], in_flight: int, refusals: list[int]
) -> None:
    async def test() -> None:
        world = World(in_flight)
        feeder = asyncio.create_task(feed(world))
        for step, number in enumerate(order):
            world.outbox.failures = refusals[step] if step < len(refusals) else 0
            world.processor.finish(number)
            await turns()
            done = len(world.acknowledged)
            assert world.acknowledged == list(range(done))
            assert world.delivered()[:done] == list(range(done))
            finished = set(order[: step + 1])
            assert all(n in finished for n in world.acknowledged)
            assert len(world.processor.began) - done <= in_flight
            await asyncio.sleep(0.004 if world.outbox.failures else 0)
        await feeder
        assert await world.flow.drain(10)
        assert world.acknowledged == world.delivered() == list(range(8))
        await world.close()

    async def feed(world: World) -> None:
        for number in range(8):
            await world.put(number)

    run(test)


async def test_more_batches_than_allowed_wait() -> None:
    world = World(2)
    for number in (0, 1):
        await world.put(number)
    third = asyncio.create_task(world.put(2))
    await turns()
    assert not third.done()
    assert world.processor.began == [0, 1]
    assert metrics.IN_FLIGHT._value.get() >= 2
    world.processor.finish(1)  # not the head: its place is not free before it is delivered
    await turns()
    assert not third.done()
    world.processor.finish(0)
    await turns()
    assert third.done()
    assert world.processor.began == [0, 1, 2]
    world.processor.finish(2)
    assert await world.flow.drain(10)
    await world.close()


async def test_a_batch_of_which_nothing_is_left_gives_its_room_back() -> None:
    world = World(1)
    for _ in range(3):
        await world.flow.room()
        world.flow.put([], world.flow.abandon)
    assert await world.flow.drain(10)
    await world.close()


async def test_a_refusal_of_the_broker_is_tried_again_and_nothing_overtakes() -> None:
    world = World()
    world.outbox.failures = 5
    for number in (0, 1):
        world.processor.finish(number)
        await world.put(number)
    await turns()
    assert world.acknowledged == []
    assert await world.flow.drain(10)
    assert world.acknowledged == world.delivered() == [0, 1]
    await world.close()


async def test_draining_in_time_delivers_what_was_begun_and_takes_nothing_more() -> None:
    world = World(3)
    for number in (0, 1):
        await world.put(number)
    draining = asyncio.create_task(world.flow.drain(10))
    await turns()
    late = asyncio.create_task(world.put(2))
    await turns()
    assert not draining.done()
    for number in (1, 0):
        world.processor.finish(number)
    assert await draining is True
    assert world.acknowledged == [0, 1]
    assert not late.done()
    assert world.processor.began == [0, 1]
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)
    await world.close()


async def test_draining_out_of_time_leaves_the_rest_unacknowledged() -> None:
    world = World(4)
    for number in range(4):
        await world.put(number)
    world.processor.finish(0)
    world.processor.finish(2)  # done, but behind one that is not
    assert await world.flow.drain(0.01) is False
    await turns()
    assert world.acknowledged == world.delivered() == [0]
    for number in (1, 3):
        world.processor.finish(number)
    await turns()
    assert world.acknowledged == [0]
    assert world.courier.cancelled()


async def test_draining_while_the_broker_refuses() -> None:
    world = World()
    world.outbox.failures = 10**9
    world.processor.finish(0)
    await world.put(0)
    assert await world.flow.drain(0.02) is False
    assert world.acknowledged == []
    await world.close()


async def test_an_idle_flow_drains_at_once() -> None:
    world = World()
    assert await world.flow.drain(10) is True
    await world.close()


async def test_a_fault_of_ours_ends_the_courier_and_acknowledges_nothing() -> None:
    world = World()
    world.processor.fault = ZeroDivisionError()
    world.processor.finish(0)
    await world.put(0)
    with pytest.raises(ZeroDivisionError):
        await world.courier
    assert world.acknowledged == []
    assert world.delivered() == []


async def test_only_a_refusal_is_tried_again() -> None:
    class Broken(MemoryOutbox):
        async def deliver(self, decisions: Sequence[Decision]) -> None:
            raise ZeroDivisionError

    outbox, processor = Broken(), Handmade()
    flow = Flow(processor, AtLeastOnce(outbox), 1)
    courier = flow.start()
    processor.finish(0)
    await flow.room()
    flow.put([Incoming(None, None, Origin("t", 0, 0))], lambda: None)
    with pytest.raises(ZeroDivisionError):
        await courier


async def test_the_twin_refuses_as_often_as_it_is_told() -> None:
    outbox = MemoryOutbox()
    outbox.failures = 1
    decision = Decision(Incoming(None), (Outgoing("coded", b"k", b"v"),))
    with pytest.raises(BrokerUnavailable):
        await outbox.deliver([decision])
    assert outbox.records == []
    await outbox.deliver([decision])
    assert outbox.records == list(decision.outgoing)


async def test_a_flow_that_closes_finishes_the_first_of_what_is_under_way() -> None:
    """The last of it is left to the next owner: a deep flow would not be done in time."""
    world = World(in_flight=12)
    for number in range(12):
        await world.put(number)
    before = metrics.IN_FLIGHT._value.get()
    await turns()
    closing = asyncio.create_task(world.flow.drain(10))
    await turns()
    kept = FINISHED + 1  # and the one whose turn it is
    assert metrics.IN_FLIGHT._value.get() == before - (12 - kept)
    for number in range(12):
        world.processor.finish(number)
    assert await closing and world.acknowledged == world.delivered() == list(range(kept))
    await world.close()


async def test_what_comes_behind_what_was_left_behind_is_left_behind_too() -> None:
    """A batch that had its room before the flow closed, and is given in after: acknowledged, it would stand behind a hole."""
    world = World(in_flight=12)
    for number in range(11):
        await world.put(number)
    await world.flow.room()
    await turns()
    closing = asyncio.create_task(world.flow.drain(10))
    await turns()
    world.flow.put([Incoming(None, None, Origin("t", 0, 11))], lambda: world.acknowledged.append(11))
    for number in range(12):
        world.processor.finish(number)
    assert await closing and world.acknowledged == list(range(FINISHED + 1)) and 11 not in world.processor.began
    await world.close()


async def test_a_small_batch_waits_while_a_few_are_under_way_and_a_full_one_does_not() -> None:
    world = World(in_flight=12)
    for number in range(FEW):
        await world.flow.room(full=False)
        world.flow.put([Incoming(None, None, Origin("t", 0, number))], lambda: None)
    small = asyncio.create_task(world.flow.room(full=False))
    await turns()
    assert not small.done()
    await world.put(FEW)
    for number in range(FEW + 1):
        await turns()
        assert small.done() is (number > 1), "one more than a few were under way"
        world.processor.finish(number)
    await asyncio.wait_for(small, 10)
    await world.close()
