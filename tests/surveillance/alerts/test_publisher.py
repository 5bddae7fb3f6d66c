from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from stream.database import prepare, writing
from stream.errors import BrokerUnavailable
from stream.surveillance.alerts import store
from stream.surveillance.alerts.alert import Alert, AlertStatus
from stream.surveillance.alerts.publisher import MemoryTopic, Publisher
from stream.surveillance.alerts.register import Register
from stream.surveillance.alerts.tables import FORM, REVISIONS, TABLES
from surveillance.alerts.made import database
from surveillance.alerts.test_register import alert


def made() -> Engine:
    engine = database()
    prepare(engine, TABLES, service="alerts", version=FORM)
    return engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = made()
    yield engine
    engine.dispose()


def revisions(first: int, last: int, name: str = "influenza.FR.2026-01-05") -> list[Alert]:
    return [replace(alert(name), revision=n, status=AlertStatus.ONGOING) for n in range(first, last + 1)]


def put(engine: Engine, alerts: list[Alert]) -> None:
    for one in alerts:
        with writing(engine) as connection:
            store.put(connection, [one])


def keys(topic: MemoryTopic) -> list[tuple[str, int]]:
    return [one.key for one in topic.written]


async def test_each_revision_is_published_once_in_its_order(engine: Engine) -> None:
    topic = MemoryTopic()
    publisher = Publisher(engine, topic, topic.reader)
    put(engine, revisions(1, 3))
    await publisher.begin()
    assert publisher.ready.is_set()
    assert await publisher.publish() == 3 and await publisher.publish() == 0
    put(engine, revisions(4, 4))
    assert await publisher.publish() == 1
    assert keys(topic) == [("influenza.FR.2026-01-05", n) for n in (1, 2, 3, 4)]
    assert topic.written == revisions(1, 4)


@pytest.mark.parametrize("fault", ["lost", "late"])
async def test_a_write_whose_end_is_not_known_is_looked_up(engine: Engine, fault: str) -> None:
    topic = MemoryTopic()
    topic.faults = [fault]
    publisher = Publisher(engine, topic, topic.reader)
    put(engine, revisions(1, 2))
    await publisher.begin()
    with pytest.raises(BrokerUnavailable):
        await publisher.publish()
    put(engine, revisions(3, 3))
    await publisher.begin()
    await publisher.publish()
    assert keys(topic) == [("influenza.FR.2026-01-05", n) for n in (1, 2, 3)]


async def test_a_new_database_takes_in_what_the_topic_holds(engine: Engine) -> None:
    topic = MemoryTopic()
    topic.written = [*revisions(1, 3), *revisions(1, 1, "sepsis.FR.2026-01-05")]
    publisher = Publisher(engine, topic, topic.reader)
    await publisher.begin()
    register = Register(engine)
    assert {a.alert_id: a.revision for a in register.alerts()} == {
        "influenza.FR.2026-01-05": 3, "sepsis.FR.2026-01-05": 1,
    }  # fmt: skip
    assert len(register.history("influenza.FR.2026-01-05")) == 3
    assert await publisher.publish() == 0
    with writing(engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).where(REVISIONS.c.fed == 0)).scalar() == 0, "no sink again"


async def test_the_loop_goes_on_behind_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stream.surveillance.alerts import publisher as module

    monkeypatch.setattr(module, "RETRY_S", 0.01)
    engine = database(tmp_path)
    prepare(engine, TABLES, service="alerts", version=FORM)
    topic = MemoryTopic()
    topic.faults = ["lost", "late", ""]
    publisher = Publisher(engine, topic, topic.reader)
    running = asyncio.create_task(publisher.run())
    await publisher.ready.wait()
    for n in range(1, 6):
        put(engine, revisions(n, n))
        publisher.wake()
        await asyncio.sleep(0.03)
    async with asyncio.timeout(20):
        while len(topic.written) < 5:  # noqa: ASYNC110 - a list sets no event
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert keys(topic) == [("influenza.FR.2026-01-05", n) for n in range(1, 6)]
    engine.dispose()


STEPS = st.lists(
    st.sampled_from(["put", "publish", "lost", "late", "kill after write", "kill", "second"]), max_size=25
)  # fmt: skip


@given(STEPS)
def test_nothing_is_lost_nor_twice_whatever_is_killed_when(steps: list[str]) -> None:
    """Processes come and go on one database and one topic; each may be killed behind its write, before it could note it."""

    async def play() -> None:
        engine, topic = made(), MemoryTopic()
        publishers = [Publisher(engine, topic, topic.reader)]
        await publishers[0].begin()
        number = 0
        for step in steps:
            here = publishers[-1]
            if step == "put":
                number += 1
                put(engine, revisions(number, number))
            elif step in ("publish", "lost", "late"):
                topic.faults = ["" if step == "publish" else step]
                try:
                    await here.publish()
                except BrokerUnavailable:
                    await here.begin()
                topic.faults = []
            elif step == "kill after write":
                waiting = here._waiting()
                if waiting:
                    await topic.put(waiting)
                publishers = [Publisher(engine, topic, topic.reader)]
                await publishers[0].begin()
            else:
                publishers.append(Publisher(engine, topic, topic.reader))
                await publishers[-1].begin()
        await publishers[-1].publish()
        assert keys(topic) == [("influenza.FR.2026-01-05", n) for n in range(1, number + 1)]
        engine.dispose()

    asyncio.run(play())


def test_a_database_in_a_file_stands_a_second_process(tmp_path: Path) -> None:
    engine = database(tmp_path)
    prepare(engine, TABLES, service="alerts", version=FORM)
    put(engine, revisions(1, 1))
    other = database(tmp_path)
    assert [a.revision for a in Register(other).alerts()] == [1]
    engine.dispose()
    other.dispose()
