"""What a worker tells of its surroundings, and that no fault of theirs reaches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

from prometheus_client import REGISTRY

from stream import metrics
from stream.errors import KeysUnavailable
from stream.health import Health
from stream.worker.lag import MemoryLag, Standing
from stream.worker.observer import CONDITIONS, Observer, Watched


class Model:
    def __init__(self) -> None:
        self.up = True

    async def served(self) -> bool:
        if self.up is None:
            raise ZeroDivisionError
        return self.up


class Keys:
    def __init__(self) -> None:
        self.up = True

    def get(self, owners: Collection[str]) -> None:
        assert owners == ("no certificate",)
        if not self.up:
            raise KeysUnavailable("key store: OperationalError")


class Silent:
    """A store whose host is gone: it answers once the event is set."""

    def __init__(self) -> None:
        self.answers, self.asked = threading.Event(), 0

    def get(self, owners: Collection[str]) -> None:
        self.asked += 1
        self.answers.wait()


class Breaker:
    open = False


class World:
    def __init__(self) -> None:
        self.health, self.lag = Health(CONDITIONS), MemoryLag(Standing({("in", 0): 7, ("in", 1): 0}))
        self.coder, self.ranker, self.breaker = Model(), Model(), Breaker()
        self.keys = Keys()
        watched = (Watched("coder", self.coder, self.breaker), Watched("ranker", self.ranker, Breaker()))
        self.versions = {"coder": "coder-1"}
        self.observer = Observer(self.health, watched, self.lag, lambda: self.versions, keys=self.keys, every_s=0.001)

    async def told(self, condition: str) -> None:
        while condition in self.against():  # noqa: ASYNC110 - nothing tells of a look that has ended
            await asyncio.sleep(0.001)

    def against(self) -> dict[str, str]:
        return {name: why for name, why in self.health._against.items() if why}


def lag(partition: int) -> float | None:
    return REGISTRY.get_sample_value("causa_lag_records", {"topic": "in", "partition": str(partition)})


async def test_a_worker_is_ready_when_all_is_there() -> None:
    world = World()
    assert set(world.against()) == set(CONDITIONS)
    world.health.tell("trust")
    await world.observer.look()
    assert set(world.against()) == {"group"}
    world.observer.assigned([("in", 0)])
    assert world.health.ready
    assert (lag(0), lag(1)) == (7, 0), "also of partitions that nobody holds"
    assert REGISTRY.get_sample_value("causa_versions_info", {"coder": "coder-1"}) == 1
    assert REGISTRY.get_sample_value("causa_partition_assigned", {"topic": "in", "partition": "0"}) == 1


async def test_more_workers_than_partitions_are_ready_too() -> None:
    world = World()
    world.observer.assigned([])
    assert "group" not in world.against()


async def test_a_rebalance_is_told() -> None:
    world = World()
    world.observer.assigned([("in", 0), ("in", 1)])
    world.observer.revoked([("in", 0), ("in", 1)])
    assert "group" in world.against()
    world.observer.assigned([("in", 1)])
    values = [REGISTRY.get_sample_value("causa_partition_assigned", {"topic": "in", "partition": p}) for p in "01"]
    assert values == [0, 1]


async def test_outages_are_told_and_pass() -> None:
    world = World()
    world.health.tell("trust")
    world.observer.assigned([])
    await world.observer.look()
    asked = metrics.ASKED._value.get()
    world.lag.down, world.ranker.up, world.breaker.open, world.keys.up = True, False, True, False
    await world.observer.look()
    told = world.against()
    assert set(told) == {"broker", "coder", "ranker", "keys"}
    assert told["keys"] == "they cannot be had (key store: OperationalError)"
    assert "does not answer" in told["broker"] and "breaker is open" in told["coder"]
    assert "does not serve" in told["ranker"] and world.health.live
    assert lag(0) == 7 and metrics.ASKED._value.get() == asked, "what was last known, and when"
    world.lag.down, world.ranker.up, world.breaker.open, world.keys.up = False, True, False, True
    await world.observer.look()
    assert world.health.ready


async def test_topics_that_are_gone_and_partitions_that_are_not_told_any_more() -> None:
    world = World()
    await world.observer.look()
    world.lag.standing = Standing({("in", 0): 1}, ("coded",))
    await world.observer.look()
    assert world.against()["topics"] == "the broker has no topic coded"
    assert (lag(0), lag(1)) == (1, None)


async def test_a_fault_of_its_own_ends_nothing() -> None:
    world = World()
    world.coder.up = None  # type: ignore[assignment]
    world.observer.start()
    await asyncio.sleep(0.01)
    world.coder.up = True
    told = asyncio.create_task(world.told("coder"))
    await asyncio.wait_for(told, 30)
    await world.observer.close()
    assert all(task.done() for task in world.observer._tasks)


async def test_a_key_store_that_never_answers_is_told_and_asked_no_more_than_once() -> None:
    health, keys = Health(CONDITIONS), Silent()
    observer = Observer(health, (), MemoryLag(Standing({})), dict, keys=keys, keys_s=0.01)
    health.tell("keys")
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                await observer.look()
        assert health._against["keys"] == "the key store does not answer within 0.01 s"
        assert keys.asked == 1, "each question that waits holds a thread"
        observer._keys_s = 30.0
        keys.answers.set()
        async with asyncio.timeout(30):
            while health._against["keys"]:
                await observer.look()
        await observer.look()
        assert keys.asked == 2 and not health._against["keys"]
    finally:
        keys.answers.set()
        await observer.close()
