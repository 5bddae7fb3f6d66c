from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.coding import Origin
from stream.errors import BrokerUnavailable, SkippedRecords
from stream.pipeline.record import Decision, Incoming, Outgoing
from stream.worker import lanes
from stream.worker.courier import ExactlyOnce
from stream.worker.lanes import Lane
from stream.worker.transactions import MemoryBroker, MemoryTransactions

TOPICS = ("certificates", "again")
"""Two co-partitioned inputs: their records share lanes."""
RETRY_S = 0.0001
LONG_S = 30.0
"""Longer than any test: what is waited for so long never comes."""


def decision(offset: int, partition: int = 0, topic: str = TOPICS[0]) -> Decision:
    name = f"{topic}/{partition}/{offset}".encode()
    return Decision(
        Incoming(None, None, Origin(topic, partition, offset)),
        (Outgoing("coded", None, name), Outgoing("manual", None, name)),
    )


def decisions(first: int, end: int) -> list[Decision]:
    return [decision(offset) for offset in range(first, end)]


def written(broker: MemoryBroker, subject: str = "coded", partition: int = 0, topic: str = TOPICS[0]) -> list[int]:
    """Offsets whose results are in the log, in its order."""
    prefix = f"{topic}/{partition}/"
    found = [r.value.decode() for p, r in broker.results if p == partition and r.subject == subject]
    return [int(name.removeprefix(prefix)) for name in found if name.startswith(prefix)]


async def turns(count: int = 60) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Unreachable(MemoryTransactions):
    """Cannot be begun for the first few times."""

    refusals = 3

    async def begin(self) -> dict[str, int]:
        if self.refusals:
            self.refusals -= 1
            raise BrokerUnavailable("no")
        return await super().begin()


class Gated(MemoryTransactions):
    """Writes when it is told to."""

    def __init__(self, broker: MemoryBroker, inputs: Sequence[str], partition: int) -> None:
        super().__init__(broker, inputs, partition)
        self.gate = asyncio.Event()
        self.sizes: list[int] = []

    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
        self.sizes.append(len(records) // 2)
        await self.gate.wait()
        await super().commit(records, offsets)


def lane(broker: MemoryBroker, kind: type[MemoryTransactions] = MemoryTransactions, missing_s: float = LONG_S) -> Lane:
    return Lane(kind(broker, TOPICS[:1], 0), retry_s=RETRY_S, missing_s=missing_s)


async def test_results_and_offsets_go_together_and_in_order() -> None:
    broker = MemoryBroker()
    one = lane(broker)
    await asyncio.gather(*[one.put(decisions(at, at + 4)) for at in (0, 4, 8)])
    assert written(broker) == written(broker, "manual") == list(range(12))
    assert broker.offsets[TOPICS[0], 0] == 12
    await one.close()


async def test_what_gathers_while_a_write_is_under_way_goes_together_within_a_size() -> None:
    broker = MemoryBroker()
    gated = Gated(broker, TOPICS[:1], 0)
    one = Lane(gated, retry_s=RETRY_S)
    first = one.put(decisions(0, 3))
    await turns()
    half = lanes.LARGEST // 2
    rest = [one.put(decisions(3 + half * n, 3 + half * (n + 1))) for n in range(3)]
    gated.gate.set()
    await asyncio.gather(first, *rest)
    assert gated.sizes == [3, 2 * half, half]
    await one.close()


async def test_what_another_owner_has_committed_is_dropped_and_counts_as_done() -> None:
    broker = MemoryBroker()
    broker.offsets[TOPICS[0], 0] = 6
    one = lane(broker)
    await asyncio.gather(one.put(decisions(0, 4)), one.put(decisions(4, 8)))
    assert written(broker) == [6, 7]
    await one.close()


@pytest.mark.parametrize(("fault", "begun"), [("lost", 2), ("late", 2), ("fenced", 3)])
async def test_a_write_of_unknown_end_begins_again_and_writes_once(fault: str, begun: int) -> None:
    broker = MemoryBroker()
    broker.faults = ["", fault]
    one = lane(broker)
    await one.put(decisions(0, 4))
    await one.put(decisions(4, 8))
    await one.put(decisions(8, 9))
    assert written(broker) == list(range(9))
    assert broker.epochs[0] == begun
    await one.close()


async def test_a_broker_that_does_not_begin_is_asked_again() -> None:
    broker = MemoryBroker()
    one = lane(broker, Unreachable)
    await one.put(decisions(0, 2))
    assert written(broker) == [0, 1]
    await one.close()


async def test_offsets_that_hold_no_record_are_no_gap() -> None:
    broker = MemoryBroker()
    broker.inputs[TOPICS[0], 0] = {2, 3, 7}
    one = lane(broker)
    await one.put([decision(2), decision(3)])
    await one.put([decision(7)])
    assert written(broker) == [2, 3, 7]
    assert broker.offsets[TOPICS[0], 0] == 8
    await one.close()


async def test_results_from_before_a_rebalance_wait_for_their_turn() -> None:
    """They come again behind the records that are missing; two such batches, or one mixed with the right ones, too."""
    broker = MemoryBroker()
    one = lane(broker)
    early = [one.put(decisions(4, 6)), one.put(decisions(6, 8))]
    await asyncio.wait(early)
    assert all(put.cancelled() for put in early)
    mixed = one.put([*decisions(8, 10), *decisions(0, 4)])
    await asyncio.wait([mixed])
    assert mixed.cancelled()
    assert written(broker) == list(range(4))
    await one.put(decisions(4, 12))
    assert written(broker) == list(range(12))
    await one.close()


async def test_a_record_that_never_comes_ends_the_lane() -> None:
    broker = MemoryBroker()
    one = lane(broker, missing_s=0.05)
    await one.put(decisions(0, 2))
    early = one.put(decisions(5, 6))
    await asyncio.wait([early])
    await asyncio.wait([one.task])
    after = one.put(decisions(6, 7))
    with pytest.raises(SkippedRecords, match="from 2 to 4"):
        await after
    assert written(broker) == [0, 1]
    await one.close()


async def test_a_record_that_comes_late_does_not_end_the_lane() -> None:
    broker = MemoryBroker()
    one = lane(broker, missing_s=0.05)
    await asyncio.wait([one.put(decisions(2, 4))])
    await one.put(decisions(0, 2))
    await asyncio.sleep(0.1)
    await one.put(decisions(2, 4))
    assert written(broker) == list(range(4))
    await one.close()


class Broken(MemoryTransactions):
    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
        raise ZeroDivisionError


async def test_a_fault_of_ours_reaches_all_who_wait_and_all_who_come() -> None:
    one = lane(MemoryBroker(), Broken)
    for put in (one.put(decisions(0, 1)), one.put(decisions(1, 2))):
        with pytest.raises(ZeroDivisionError):
            await put
    with pytest.raises(ZeroDivisionError):
        await one.put(decisions(2, 3))
    await one.close()


async def test_nobody_waits_for_a_lane_that_is_closed() -> None:
    gated = Gated(MemoryBroker(), TOPICS[:1], 0)
    one = Lane(gated, retry_s=RETRY_S)
    before = one.put(decisions(0, 1))
    await turns()
    await one.close()
    after = one.put(decisions(1, 2))
    await asyncio.wait([before, after])
    assert before.cancelled()
    assert after.cancelled()


async def test_a_courier_tells_of_a_lane_that_has_ended_though_nobody_waits_for_it() -> None:
    broker = MemoryBroker()
    courier = ExactlyOnce(lambda p: MemoryTransactions(broker, TOPICS[:1], p), retry_s=RETRY_S, missing_s=0.02)
    early = [decision(3)]
    assert await courier.open([d.incoming for d in early]).deliver(early) is False
    with pytest.raises(SkippedRecords):
        await courier.watch()
    await courier.stop()


async def test_a_partition_that_was_lost_is_told_and_the_others_are_not_held() -> None:
    broker = MemoryBroker()
    gates: dict[int, Gated] = {}

    def open_(partition: int) -> Gated:
        gates[partition] = Gated(broker, TOPICS[:1], partition)
        return gates[partition]

    courier = ExactlyOnce(open_, retry_s=RETRY_S)
    both = [decision(0, 0), decision(0, 1)]
    parcel = courier.open([d.incoming for d in both])
    gates[1].gate.set()
    delivery = asyncio.create_task(parcel.deliver(both))
    await turns()
    assert written(broker, partition=1) == [0]
    assert not delivery.done()
    courier.keep([1])
    assert await delivery is False
    assert await courier.open([]).deliver([]) is True
    await courier.stop()


async def test_records_of_before_a_rebalance_come_to_nothing_where_their_partition_went_away() -> None:
    """They waited for a slot: a lane of theirs would miss for ever what only the new owner is brought."""
    broker = MemoryBroker()
    courier, other = (
        ExactlyOnce(lambda p: MemoryTransactions(broker, TOPICS[:1], p), retry_s=RETRY_S, missing_s=0.02)
        for _ in range(2)
    )
    courier.lose()
    early = [decision(7, 0), decision(0, 1)]
    delivery = asyncio.create_task(courier.open([d.incoming for d in early]).deliver(early))
    await turns()
    courier.keep([1])
    assert await delivery is False
    late = [decision(8, 0), decision(1, 1)]
    assert await courier.open([d.incoming for d in late]).deliver(late) is False
    assert written(broker, partition=1) == [0, 1]
    watching = asyncio.create_task(courier.watch())
    await asyncio.sleep(0.1)
    assert not watching.done(), "nothing is missing here"
    watching.cancel()
    rest = decisions(0, 9)
    assert await other.open([d.incoming for d in rest]).deliver(rest)
    # And back again: what it knew of the partition is of no account.
    courier.lose()
    courier.keep([0, 1])
    new = decisions(9, 11)
    assert await courier.open([d.incoming for d in new]).deliver(new)
    assert written(broker) == list(range(11))
    await courier.stop()
    await other.stop()


async def test_a_lane_that_seems_to_miss_something_asks_first_where_it_stands() -> None:
    broker = MemoryBroker()
    one = lane(broker, missing_s=0.02)
    await one.put(decisions(0, 2))
    await lane(broker).put(decisions(2, 6))  # another owner, of which this one has not heard
    await one.put(decisions(6, 8))
    assert written(broker) == list(range(8))
    assert not one._missing
    await one.close()


async def test_a_lane_that_somebody_cancels_does_not_leave_its_partition_standing() -> None:
    broker = MemoryBroker()
    courier = ExactlyOnce(lambda p: MemoryTransactions(broker, TOPICS[:1], p), retry_s=RETRY_S)
    first = decisions(0, 1)
    assert await courier.open([d.incoming for d in first]).deliver(first)
    next(task for task in asyncio.all_tasks() if task.get_name() == "lane").cancel()
    with pytest.raises(RuntimeError, match="cancelled"):
        await courier.watch()
    await courier.stop()


# Hypothesis plays Faust, Kafka and several processes: what they do is a list of steps, what follows is checked.


@dataclass
class Owner:
    """A worker: its courier, where it reads, and what it has under way."""

    courier: ExactlyOnce
    held: frozenset[int] = frozenset((0, 1))
    position: dict[tuple[str, int], int] = field(default_factory=dict)
    deliveries: list[asyncio.Task[bool]] = field(default_factory=list)

    def share(self, held: Iterable[int], position: dict[tuple[str, int], int]) -> None:
        """The end of a rebalance: these partitions are its own, and are read from here on."""
        self.held, self.position = frozenset(held), position
        self.courier.keep(self.held)

    async def give(self, batch: Sequence[Decision]) -> None:
        parcel = self.courier.open([d.incoming for d in batch])
        self.deliveries.append(asyncio.create_task(parcel.deliver(batch)))
        await asyncio.sleep(0)


class Play:
    """Two topics, two partitions, workers that come and go."""

    PARTITIONS = (0, 1)

    def __init__(self, inputs: Mapping[tuple[str, int], Sequence[int]]) -> None:
        self.inputs = inputs
        self.broker = MemoryBroker()
        self.broker.inputs = {place: set(offsets) for place, offsets in inputs.items()}
        self.owners = [self._owner()]

    def _owner(self) -> Owner:
        return Owner(
            ExactlyOnce(lambda p: MemoryTransactions(self.broker, TOPICS, p), retry_s=RETRY_S, missing_s=LONG_S)
        )

    def read(self, owner: Owner, size: int, *, skip: int = 0) -> list[Decision]:
        """The next records of each place as a consumer gives them; some of them left out at first."""
        batch = []
        for (topic, partition), offsets in self.inputs.items():
            if partition not in owner.held:
                continue
            first = owner.position.setdefault((topic, partition), self.broker.offsets.get((topic, partition), 0))
            next_ = [offset for offset in offsets if offset >= first][skip:][:size]
            batch += [decision(offset, partition, topic) for offset in next_]
            if next_ and not skip:
                owner.position[topic, partition] = next_[-1] + 1
        return batch

    def _committed(self, before: int = 0) -> dict[tuple[str, int], int]:
        return {place: max(0, self.broker.offsets.get(place, 0) - before) for place in self.inputs}

    async def step(self, kind: str, number: int) -> None:
        """One thing that happens."""
        current = self.owners[-1]
        match kind:
            case "give":
                await current.give(self.read(current, number + 1))
            case "early":  # events of before a rebalance, in front of those that come again
                await current.give(self.read(current, 3, skip=number + 1) + self.read(current, number % 2))
            case "zombie":  # an owner of old that has not heard of its loss
                one = self.owners[number % len(self.owners)]
                await one.give(self.read(one, number + 1))
            case "take over":
                self.owners.append(self._owner())
            case "rebalance":  # the same owner loses all, and begins at the committed offset or before
                current.courier.lose()
                current.share(self.PARTITIONS, self._committed(number))
            case (
                "share"
            ):  # a partition goes to another, or comes back; on the way some of what was read before is given
                stale = self.read(current, 2, skip=number // 4) if number % 2 else []
                current.courier.lose()
                if number % 3:
                    await current.give(stale)
                away = {number % 2} if len(current.held) > 1 else set()
                current.share(set(self.PARTITIONS) - away, self._committed())
                if not number % 3:
                    await current.give(stale)
                if away:
                    other = self._owner()
                    other.share(away, self._committed())
                    await other.give(self.read(other, number + 1))
                    self.owners.insert(0, other)
            case "lost" | "late" | "fenced":
                self.broker.faults += [kind] * (number % 3 + 1)
            case "wait":
                await turns(4 ** (number % 4))
        self.check()

    def check(self) -> None:
        """What holds at every moment: in order, once, no offset beyond what is written, and no lane of another's."""
        assert all(one.courier._lanes.keys() <= one.held for one in self.owners)
        for (topic, partition), offsets in self.inputs.items():
            for subject in ("coded", "manual"):
                found = written(self.broker, subject, partition, topic)
                assert found == list(offsets[: len(found)])
            committed = self.broker.offsets.get((topic, partition), 0)
            assert [offset for offset in offsets if offset < committed] == found

    async def finish(self) -> None:
        """Everybody leaves but one, old or new, who reads what is left."""
        last = self.owners.pop() if len(self.owners) % 2 else self._owner()
        for owner in self.owners:
            await owner.courier.stop()
        self.owners.append(last)
        last.courier.lose()
        last.share(self.PARTITIONS, self._committed())
        await last.give(self.read(last, 10_000))
        async with asyncio.timeout(LONG_S):
            for owner in self.owners:
                # Nobody waits for ever, and no fault: no record was passed over here.
                await asyncio.gather(*owner.deliveries)
        assert await last.deliveries[-1]
        self.check()
        for (topic, partition), offsets in self.inputs.items():
            assert written(self.broker, partition=partition, topic=topic) == list(offsets)
        await last.courier.stop()


PLACES = [(topic, partition) for topic in TOPICS for partition in Play.PARTITIONS]
OFFSETS = st.sets(st.integers(0, 40), max_size=25).map(sorted)
KINDS = (
    "give",
    "give",
    "give",
    "early",
    "zombie",
    "take over",
    "rebalance",
    "share",
    "share",
    "lost",
    "late",
    "fenced",
    "wait",
)
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=25)


@given(st.fixed_dictionaries(dict.fromkeys(PLACES, OFFSETS)), STEPS)
@example({place: list(range(12)) for place in PLACES}, [("early", 1), ("early", 2), ("give", 3)])
@settings(max_examples=300, deadline=None)
def test_every_offset_is_answered_once_and_in_order_whatever_happens(
    inputs: dict[tuple[str, int], list[int]], steps: list[tuple[str, int]]
) -> None:
    async def run() -> None:
        play = Play(inputs)
        for kind, number in steps:
            await play.step(kind, number)
        await play.finish()

    asyncio.run(run())


class Deaf(MemoryTransactions):
    """As aiokafka's clients are where a timeout of their own comes together with it: a cancellation is lost."""

    async def begin(self) -> dict[str, int]:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            raise BrokerUnavailable("TimeoutError") from None
        return await super().begin()


@pytest.mark.parametrize("turns_before", [1, 3, 20])
async def test_a_partition_that_is_lost_while_its_lane_hears_nothing_ends_no_worker(turns_before: int) -> None:
    broker = MemoryBroker()
    courier = ExactlyOnce(lambda p: Deaf(broker, TOPICS[:1], p), retry_s=RETRY_S)
    watching = asyncio.create_task(courier.watch())
    waiting = asyncio.create_task(courier.open([decision(0).incoming]).deliver([decision(0)]))
    await turns(turns_before)
    courier.lose()
    async with asyncio.timeout(10):
        await courier.stop()
        assert await waiting is False
    await turns()
    assert not watching.done() and not written(broker)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
