"""The whole service in this process: memory for Kafka, SQLite in a file, a real HTTP server, and kills at any point."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine

from stream.coding import CodedCertificate
from stream.errors import DatabaseUnavailable
from stream.reader import MemoryReader, Read
from stream.surveillance.alerts import service as module
from stream.surveillance.alerts.alert import AlertStatus
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.publisher import MemoryTopic, Publisher
from stream.surveillance.alerts.register import Register
from stream.surveillance.alerts.service import Service
from stream.surveillance.alerts.sinks import Message, NotTaken
from stream.surveillance.alerts.webhook import Webhook
from stream.surveillance.counts import Counts
from surveillance.alerts.made import (
    FLU,
    GROUPS,
    MEASLES,
    STROKE,
    coded,
    database,
    days,
    deaths,
    history,
    human,
    reads,
    rules,
)
from surveillance.alerts.test_judging import BEGIN, END, OLD, outbreak, usual
from surveillance.alerts.test_sinks import KEY, Receiver, receiver  # noqa: F401 - a fixture

RULES = rules()


class Recorder:
    """A sink that keeps what it is told; it may fail, and a kill may cut it off."""

    most = 5

    def __init__(self, name: str = "duty") -> None:
        self.name = name
        self.got: list[Message] = []
        self.faults: list[Exception] = []

    async def send(self, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        self.got += messages

    async def close(self) -> None:
        """Nothing to close."""


class Office:
    """What outlives a process: the database, the topics, the sinks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader = MemoryReader()
        self.topic = MemoryTopic()
        self.sink = Recorder()
        self.now = datetime(2026, 1, 20, 12, tzinfo=UTC)
        self._written = 0

    def engine(self) -> Engine:
        return database(self.folder)

    def write(self, *records: CodedCertificate) -> None:
        self.reader.write(*reads(records, self._written))
        self._written += len(records)

    def service(self, engine: Engine, *others: Webhook, keeper: type[Keeper] = Keeper) -> Service:
        counts = Counts(engine, GROUPS)

        def reader() -> MemoryReader:
            # Each reader tells for itself when it has caught up.
            self.reader.caught_up = asyncio.Event()
            return self.reader

        return Service(
            engine, keeper(engine, counts, RULES, lambda: self.now), Publisher(engine, self.topic, self.topic.reader),
            reader, [self.sink, *others], every_s=0.2,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self, *others: Webhook, keeper: type[Keeper] = Keeper) -> AsyncIterator[Service]:
        engine = self.engine()
        service = self.service(engine, *others, keeper=keeper)
        task = asyncio.create_task(service.run())
        try:
            yield service
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            engine.dispose()

    def later(self) -> bool:
        """Some seconds have passed."""
        self.now += timedelta(seconds=5)
        return True

    def lose(self) -> None:
        """The database."""
        for file in self.folder.glob("surveillance.sqlite*"):
            file.unlink()

    def register(self) -> Register:
        return Register(self.engine(), lambda: self.now, RULES)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    for name in ("FEED_S", "SEND_S", "SWEEP_S", "TELL_S", "RETRY_S"):
        monkeypatch.setattr(module, name, 0.05)
    return Office(tmp_path)


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.02)


async def test_a_case_is_published_and_told_and_its_end_too(office: Office) -> None:
    first = coded("c1", MEASLES)
    async with office.running() as service:
        office.write(coded("c0", STROKE), first)
        await until(lambda: len(office.sink.got) == 1)
        office.write(human(first, FLU))
        await until(lambda: len(office.sink.got) == 2)
        await until(lambda: service.health.ready)
    assert [(a.alert_id, a.revision, a.status) for a in office.topic.written] == [
        (office.topic.written[0].alert_id, 1, AlertStatus.NEW), (office.topic.written[0].alert_id, 2, AlertStatus.ENDED),
    ]  # fmt: skip
    assert [message.occasion for message in office.sink.got] == ["RAISED", "ENDED"]


async def test_what_was_there_before_is_judged_once_it_is_read(office: Office) -> None:
    engine = office.engine()
    Counts(engine, GROUPS)
    history(engine, 4, OLD, BEGIN - timedelta(days=1))
    engine.dispose()
    office.write(*usual(), *outbreak())
    async with office.running():
        await until(lambda: len(office.register().runs()) >= 2)
        await until(lambda: any(a.group == "influenza" for a in office.topic.written))
    flu = [a for a in office.topic.written if a.group == "influenza"]
    assert {(a.place, a.status, a.revision) for a in flu} == {("FR", AlertStatus.NEW, 1), ("R-75", AlertStatus.NEW, 1)}
    assert office.sink.got == [], "the sink of duty hears from level 7 on"


async def test_what_people_do_goes_out_as_well(office: Office) -> None:
    async with office.running():
        office.write(coded("c1", MEASLES))
        await until(lambda: len(office.topic.written) == 1)
        register = office.register()
        register.acknowledge(office.topic.written[0].alert_id, "mt", "called")
        await until(lambda: len(office.topic.written) == 2)
        await until(lambda: len(office.sink.got) == 1)
    assert office.topic.written[1].acknowledged_by == "mt"


async def test_a_sink_that_is_down_hears_of_it_later(office: Office) -> None:
    office.sink.faults = [NotTaken("HTTP 503")]
    async with office.running():
        office.write(coded("c1", MEASLES))
        await until(lambda: not office.sink.faults)
        assert office.sink.got == []
        await until(lambda: office.later() and len(office.sink.got) == 1)
    assert office.sink.got[0].attempt == 2


async def test_what_is_being_handed_over_at_a_stop_is_not_sent_again(office: Office) -> None:
    begun, held = threading.Event(), threading.Event()

    class Mail(Recorder):
        """Hands over in a thread, which no stop reaches."""

        def _hand(self, messages: Sequence[Message]) -> None:
            begun.set()
            held.wait(60)
            self.got += messages

        async def send(self, messages: Sequence[Message]) -> None:
            await asyncio.to_thread(self._hand, messages)

    office.sink = Mail()
    office.write(coded("c1", MEASLES))
    async with office.running():
        await until(begun.is_set)
        asyncio.get_running_loop().call_later(0.2, held.set)
    await until(lambda: len(office.sink.got) == 1)
    office.now += timedelta(minutes=5)
    async with office.running() as service:
        await until(lambda: service.health.ready)
        await asyncio.sleep(0.3)
    assert len(office.sink.got) == 1


async def test_a_real_receiver_that_fails_first_gets_it_once(office: Office, receiver: str) -> None:  # noqa: F811
    Receiver.answers = [(500, {})]
    hook = Webhook("hook", SecretStr(receiver), SecretStr(KEY))
    async with office.running(hook):
        office.write(coded("c1", MEASLES))
        await until(lambda: len(Receiver.got) == 1)
        await until(lambda: office.later() and len(Receiver.got) == 2)
        office.now += timedelta(hours=1)
        await asyncio.sleep(0.3)
    assert len(Receiver.got) == 2
    assert {headers["Causa-Delivery"] for headers, _ in Receiver.got} == {json.loads(Receiver.got[0][1])["id"]}


async def test_a_database_that_is_away_is_waited_for(office: Office) -> None:
    away = 3

    class Away(Keeper):
        def fold(self, connection: Connection, reads: Sequence[Read]) -> int:
            nonlocal away
            if away:
                away -= 1
                raise DatabaseUnavailable("database: OperationalError")
            return super().fold(connection, reads)

    async with office.running(keeper=Away):
        office.write(coded("c1", MEASLES))
        await until(lambda: len(office.topic.written) == 1)
    assert away == 0 and office.topic.written[0].revision == 1


class Kill(BaseException):
    """As a SIGKILL does: nothing after it is done."""


KILLS = ("fold", "folded", "detect", "feed", "claim", "settle", "publish", "noted")


@pytest.mark.parametrize("point", KILLS)
async def test_a_kill_at_any_point_loses_nothing_and_makes_nothing_twice(office: Office, point: str) -> None:
    """The process dies at a point; another one begins on what it left."""
    office.write(coded("c1", MEASLES), coded("c2", FLU))
    died = asyncio.Event()

    class Dying(Keeper):
        def _at(self, here: str) -> None:
            if here == point and not died.is_set():
                died.set()
                raise Kill

        def fold(self, connection: Connection, reads: Sequence[Read]) -> int:
            self._at("fold")
            made = super().fold(connection, reads)
            self._at("folded")
            return made

        def detect(self, day: object = None) -> None:
            self._at("detect")

        def feed(self, names: object) -> int:
            self._at("feed")
            return super().feed(names)  # type: ignore[arg-type]

        def claim(self, sink: str, most: int) -> list[Message]:
            found = super().claim(sink, most)
            if found:
                self._at("claim")
            return found

        def settle(self, messages: Sequence[Message], fault: object) -> None:
            self._at("settle")
            super().settle(messages, fault)  # type: ignore[arg-type]

    engine = office.engine()
    service = office.service(engine, keeper=Dying)
    publisher = service._publisher
    put, note = office.topic.put, publisher._note

    async def dying_put(alerts: object) -> object:
        if point == "publish" and not died.is_set():
            died.set()
            raise Kill
        return await put(alerts)  # type: ignore[arg-type]

    def dying_note(*given: object) -> None:
        if point == "noted" and not died.is_set():
            died.set()
            raise Kill
        note(*given)  # type: ignore[arg-type]

    office.topic.put, publisher._note = dying_put, dying_note  # type: ignore[method-assign, assignment]
    with suppress(Kill, asyncio.CancelledError):
        async with asyncio.timeout(30):
            await service.run()
    assert died.is_set()
    engine.dispose()
    office.topic.put = put  # type: ignore[method-assign]
    office.now += timedelta(minutes=5)
    async with office.running():
        office.write(coded("c3", STROKE))
        await until(lambda: len(office.topic.written) == 1 and len(office.sink.got) >= 1)
        await asyncio.sleep(0.3)
    assert [a.key[1] for a in office.topic.written] == [1]
    # Whether a message arrived whose answer was cut off nobody but its receiver can know: it comes again under its id.
    assert len({message.id for message in office.sink.got}) == 1
    assert len(office.sink.got) == (2 if point == "settle" else 1)
    assert len(office.register().alerts()) == 1


async def test_a_new_database_makes_no_alert_that_the_topic_holds(office: Office) -> None:
    async with office.running():
        office.write(coded("c1", MEASLES))
        await until(lambda: len(office.sink.got) == 1)
    office.lose()
    office.reader = MemoryReader(reads([coded("c1", MEASLES)]))
    async with office.running() as service:
        await service.intake.caught_up.wait()
        await asyncio.sleep(0.3)
    assert len(office.topic.written) == 1 and len(office.sink.got) == 1
    assert [a.revision for a in office.register().alerts()] == [1]


def test_made_certificates_are_many_enough() -> None:
    assert len(deaths(days(BEGIN, END), 5, FLU)) > 400
