"""A worker knows how far it is trusted before it begins, and keeps what it knows while Kafka is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from stream import log
from stream.automation import ALL, MemoryChanges, MemoryTopic, Trust
from stream.coding import Automation, AutomationChange
from stream.errors import InvalidSettings
from stream.worker.trust import TrustKeeper

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOWERED = AutomationChange("rest", Automation.STRICT, "ERROR 3 of 40", "", "p", AT)
STOPPED = AutomationChange(ALL, Automation.HALTED, "fire drill", "p1", "p", AT)
RESTORED = AutomationChange(ALL, Automation.NORMAL, "over", "p1", "p", AT)


async def until(enough: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not enough():  # noqa: ASYNC110 - a keeper sets no event
            await asyncio.sleep(0.001)


def keeper(topic: MemoryTopic, taken: list[Trust]) -> TrustKeeper:
    return TrustKeeper(MemoryChanges(topic), ["rest", "external"], taken.append, retry_s=0.001)


async def test_it_waits_for_kafka_then_follows_and_tells() -> None:
    topic, taken = MemoryTopic([LOWERED]), list[Trust]()
    topic.failures = 5
    found = keeper(topic, taken)
    with capture_logs() as logs:
        await found.start()
        assert [trust.of("rest") for trust in taken] == [Automation.STRICT]
        await topic.announce(STOPPED)
        await until(lambda: len(taken) == 2)
        gauge = REGISTRY.get_sample_value("causa_automation", {"stratum": "external"})
        await topic.announce(RESTORED)
        await until(lambda: len(taken) == 3)
        await found.close()
    assert gauge == 2
    assert taken[1].over(["rest", "external"]) == dict.fromkeys(["rest", "external"], Automation.HALTED)
    assert taken[2].of("rest") is Automation.STRICT and taken[2].of("external") is Automation.NORMAL
    assert [e["event"] for e in logs if e["event"].startswith("held")] == ["held: the automation cannot be asked for"]
    told = [(e["scope"], e["automation"], e["why"], e["who"]) for e in logs if e["event"] == "automation changed"]
    assert told == [
        ("rest", "STRICT", "ERROR 3 of 40", "alarm"), ("*", "HALTED", "fire drill", "p1"), ("*", "NORMAL", "over", "p1"),
    ]  # fmt: skip
    assert {key for entry in logs for key in entry} <= log.ALLOWED | {"log_level", "exc_info"}


async def test_a_fault_while_following_keeps_what_is_known_and_loses_nothing() -> None:
    topic, taken = MemoryTopic([STOPPED]), list[Trust]()
    found = keeper(topic, taken)
    with capture_logs() as logs:
        await found.start()
        topic.failures = 10
        topic.records += [RESTORED, LOWERED]
        await until(lambda: topic.failures == 0)
        await until(lambda: len(taken) == 2)
        await found.close()
    assert "the automation cannot be followed: what was known stays" in [e["event"] for e in logs]
    # Read again from the first record, but what held on the way was not taken.
    assert taken[1].own(ALL) is Automation.NORMAL and taken[1].of("rest") is Automation.STRICT


async def test_a_fault_of_our_own_does_not_end_it() -> None:
    class Faulty(MemoryChanges):
        faults = 0

        async def more(self) -> list[AutomationChange]:
            if self.faults:
                self.faults -= 1
                raise ValueError("a fault")
            return await super().more()

    topic, taken = MemoryTopic(), list[Trust]()
    changes = Faulty(topic)
    found = TrustKeeper(changes, ["rest"], taken.append, retry_s=0.001)
    with capture_logs():
        await found.start()
        changes.faults = 3
        await topic.announce(STOPPED)
        await until(lambda: len(taken) == 1)
        await found.close()


async def test_a_missing_topic_is_for_a_person() -> None:
    class Missing(MemoryChanges):
        async def read(self) -> list[AutomationChange]:
            raise InvalidSettings("there is no topic automation")

    with pytest.raises(InvalidSettings):
        await TrustKeeper(Missing(MemoryTopic()), ["rest"], lambda _: None).start()


async def test_a_change_of_its_own_counts_at_once_and_not_twice() -> None:
    topic, taken = MemoryTopic(), list[Trust]()
    found = keeper(topic, taken)
    await found.start()
    await topic.announce(LOWERED)
    found.apply(LOWERED)
    assert len(taken) == 1
    await topic.announce(STOPPED)
    await until(lambda: len(taken) > 1)
    await found.close()
    assert len(taken) == 2 and found.last == {"rest": LOWERED, ALL: STOPPED}
