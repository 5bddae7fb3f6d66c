"""The desk's work in the background: who is given work when, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine

from desk.office import ALL, ANNE, Office, certificate, machine, reads, task
from stream.database import writing
from stream.desk import rebuild
from stream.desk.context import TRIES
from stream.desk.outbox import MemoryTopic, Sender
from stream.desk.refusals import NotReady
from stream.desk.service import DeskService
from stream.errors import DatabaseUnavailable
from stream.intake import positions
from stream.reader import MemoryReader


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.intake.AGAIN_S", 0.01)
    monkeypatch.setattr("stream.desk.service.LOOK_S", 0.01, raising=False)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if await asyncio.to_thread(true):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


class Topics:
    """What the topics hold, for every reader anew."""

    def __init__(self) -> None:
        self.reader = MemoryReader()
        self._made = 0

    def write(self) -> None:
        """A certificate that waits for somebody."""
        made = certificate(f"c{self._made}")
        coded = machine(made)
        self.reader.write(*reads([coded, task(made, coded)], 2 * self._made))
        self._made += 1

    def open(self) -> MemoryReader:
        """A reader that tells for itself when it has caught up."""
        self.reader.caught_up = asyncio.Event()
        return self.reader


def begun(office: Office, topics: Topics) -> tuple[DeskService, asyncio.Task[None]]:
    service, topic = DeskService(office.settings, office.desk, "127.0.0.1:1"), MemoryTopic()
    service._open_reader = topics.open  # type: ignore[assignment]
    service.sender = Sender(office.desk.context, topic, topic.reader)
    return service, asyncio.create_task(service.run())


def works(office: Office) -> bool:
    try:
        office.desk.next(ANNE, ALL)
    except NotReady:
        return False
    return True


async def test_work_is_given_again_after_a_rebuild_by_another(office: Office) -> None:
    topics = Topics()
    topics.write()
    service, running = begun(office, topics)
    try:
        await until(lambda: works(office))
        await until(lambda: not service.ready())
        await asyncio.to_thread(office.desk.rebuild)
        for _ in range(20):  # the topics have not been read again: nothing came that could tell
            await asyncio.sleep(0.01)
            assert not await asyncio.to_thread(works, office)
        topics.write()
        await until(lambda: works(office))
        assert office.desk.context.read(lambda c: positions(c, rebuild.SERVICE)) == {("coded", 0): 3, ("manual", 0): 4}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_database_that_is_away_when_the_topics_are_read_ends_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics = Topics()
    told = rebuild.caught_up
    faults = [DatabaseUnavailable("database: gone")] * TRIES

    def away(*given: object) -> None:
        if faults:
            raise faults.pop()
        told(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("stream.desk.rebuild.caught_up", away)
    _, running = begun(office, topics)
    try:
        await until(lambda: running.done() or (not faults and works(office)))
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_desk_that_reads_nothing_is_not_ready(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = Topics()
    topics.write()
    service, running = begun(office, topics)

    @contextmanager
    def gone(engine: Engine) -> Iterator[Connection]:
        raise DatabaseUnavailable("database: gone")
        yield  # type: ignore[unreachable]  # makes it a generator

    try:
        await until(lambda: not service.ready())
        monkeypatch.setattr("stream.intake.writing", gone)
        topics.write()
        await until(lambda: service.ready() == "database: gone")
        monkeypatch.setattr("stream.intake.writing", writing)
        await until(lambda: not service.ready())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
