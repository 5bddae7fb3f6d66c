from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from stream.coding import Origin
from stream.database import open_database, prepare, reading, upsert, writing
from stream.errors import BrokerUnavailable, DatabaseUnavailable, InvalidSettings
from stream.intake import Intake, forget, positions
from stream.reader import Batch, MemoryReader, Read
from stream.services import Database

TABLES = sa.MetaData()
SUMS = sa.Table(
    "sums", TABLES, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.Integer, nullable=False)
)


def memory() -> Engine:
    engine = open_database(Database(url="sqlite:///:memory:"), Path("unused"))
    prepare(engine, TABLES, service="sums", version=1)
    return engine


def reads(numbers: Sequence[int], partitions: int = 2) -> list[Read]:
    at = dict.fromkeys(range(partitions), 0)
    made = []
    for number in numbers:
        partition = number % partitions
        made.append(Read("coded", {"number": number}, Origin("coded", partition, at[partition])))
        at[partition] += 1
    return made


def add(connection: Connection, came: Sequence[Read]) -> None:
    upsert(connection, SUMS, [{"name": "all", "value": sum(read.value["number"] for read in came)}], add=["value"])


def total(engine: Engine) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(SUMS.c.value)).scalar() or 0


async def test_what_is_read_twice_counts_once() -> None:
    engine, reader = memory(), MemoryReader(reads(range(10)))
    for _ in range(3):
        await Intake(engine, "sums", ("coded",), add).run(lambda: reader)
    assert total(engine) == sum(range(10))
    reader.write(Read("coded", {"number": 100}, Origin("coded", 0, 5)))
    await Intake(engine, "sums", ("coded",), add).run(lambda: reader)
    assert total(engine) == sum(range(10)) + 100


@given(st.lists(st.booleans(), max_size=12), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_batches_that_fail_half_way_are_done_again_whole(failing: list[bool], count: int) -> None:
    engine, plan = memory(), iter(failing)

    def fold(connection: Connection, came: Sequence[Read]) -> None:
        add(connection, came)
        if next(plan, False):
            raise DatabaseUnavailable("gone")

    async def run() -> None:
        for _ in range(len(failing) + 1):
            try:
                await Intake(engine, "sums", ("coded",), fold).run(lambda: MemoryReader(reads(range(count))))
            except DatabaseUnavailable:
                continue

    asyncio.run(run())
    assert total(engine) == sum(range(count))


async def test_two_processes_on_one_database_count_once(tmp_path: Path) -> None:
    engines = [open_database(Database(), tmp_path / "base.sqlite") for _ in range(2)]
    prepare(engines[0], TABLES, service="sums", version=1)
    readers = [MemoryReader(), MemoryReader()]
    running = [
        asyncio.create_task(Intake(engine, "sums", ("coded",), add).run(lambda r=reader: r, follow=True))  # type: ignore[misc]
        for engine, reader in zip(engines, readers, strict=True)
    ]
    written = reads(range(200))
    for read in written:
        for reader in readers:
            reader.write(read)
        await asyncio.sleep(0)
    for _ in range(400):
        await asyncio.sleep(0.02)
        with reading(engines[0]) as connection:
            if positions(connection, "sums") == {("coded", 0): 100, ("coded", 1): 100}:
                break
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    assert total(engines[0]) == sum(range(200))
    for engine in engines:
        engine.dispose()


async def test_following_tells_when_it_caught_up_and_goes_on() -> None:
    engine, reader = memory(), MemoryReader(reads([1, 2]))
    intake = Intake(engine, "sums", ("coded",), add)
    running = asyncio.create_task(intake.run(lambda: reader, follow=True))
    await asyncio.wait_for(intake.caught_up.wait(), 5)
    assert total(engine) == 3
    reader.write(Read("coded", {"number": 4}, Origin("coded", 0, 1)))
    for _ in range(100):
        if intake.folded == 3:
            break
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert total(engine) == 7


async def test_a_fault_of_ours_stops_the_reading_and_keeps_nothing() -> None:
    engine = memory()

    def fold(connection: Connection, came: Sequence[Read]) -> None:
        add(connection, came)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Intake(engine, "sums", ("coded",), fold).run(lambda: MemoryReader(reads([1])), follow=True)
    assert total(engine) == 0
    with reading(engine) as connection:
        assert positions(connection, "sums") == {}


async def test_a_rebuild_begins_at_the_first_record() -> None:
    engine, reader = memory(), MemoryReader(reads([1, 2]))
    await Intake(engine, "sums", ("coded",), add).run(lambda: reader)
    with writing(engine) as connection:
        forget(connection, "sums")
        connection.execute(SUMS.delete())
    await Intake(engine, "sums", ("coded",), add).run(lambda: reader)
    assert total(engine) == 3


def test_tables_of_another_form_are_refused() -> None:
    engine = memory()
    prepare(engine, TABLES, service="sums", version=1)
    with pytest.raises(InvalidSettings, match="form 1"):
        prepare(engine, TABLES, service="sums", version=2)


def test_a_transaction_that_fails_leaves_nothing_and_a_server_away_is_told(tmp_path: Path) -> None:
    engine = memory()
    with pytest.raises(KeyError), writing(engine) as connection:
        upsert(connection, SUMS, [{"name": "a", "value": 1}])
        raise KeyError
    assert total(engine) == 0
    upserted = [{"name": str(i), "value": i} for i in range(40_000)]
    with writing(engine) as connection:
        upsert(connection, SUMS, upserted)
        upsert(connection, SUMS, [{"name": "1", "value": 7}], keep=True)
    with reading(engine) as connection:
        assert connection.execute(sa.select(sa.func.sum(SUMS.c.value))).scalar() == sum(range(40_000))
    away = open_database(Database(url=f"sqlite:///{tmp_path}"), tmp_path)
    with pytest.raises(DatabaseUnavailable), reading(away):
        pass


def test_postgresql_by_its_url_is_away_where_nobody_listens(unused_tcp_port: int) -> None:
    url = f"postgresql://nobody@127.0.0.1:{unused_tcp_port}/none"
    with pytest.raises(DatabaseUnavailable), reading(open_database(Database(url=url, timeout_s=1), Path("unused"))):
        pass


class Failing(MemoryReader):
    """A reader whose broker is away, and that tells when it was asked."""

    def __init__(self, told: Callable[[], None]) -> None:
        super().__init__()
        self._told = told

    async def batches(self, *_: object, **__: object) -> AsyncGenerator[Batch, None]:
        self._told()
        raise BrokerUnavailable("gone")
        yield  # type: ignore[unreachable]  # makes it a generator


@pytest.mark.parametrize("later", range(8))
async def test_a_stop_is_heard_while_a_fault_is_cleared_away(later: int) -> None:
    loop = asyncio.get_running_loop()

    def stop(steps: int) -> None:
        if steps:
            loop.call_soon(stop, steps - 1)
        else:
            running.cancel()

    intake = Intake(memory(), "sums", ("coded",), add)
    running = asyncio.create_task(intake.run(lambda: Failing(lambda: stop(later)), follow=True))
    await asyncio.wait({running}, timeout=10)
    assert running.cancelled()


class Away(MemoryReader):
    """A reader whose broker goes away and comes back."""

    down = True

    async def batches(self, *given: Any, **more: Any) -> AsyncGenerator[Batch, None]:
        if self.down:
            raise BrokerUnavailable("broker: gone")
        async for batch in super().batches(*given, **more):
            yield batch


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not come")


@pytest.mark.parametrize("more", [[], [4]])
async def test_who_follows_tells_why_he_reads_nothing(monkeypatch: pytest.MonkeyPatch, more: list[int]) -> None:
    """Whether or not there is anything new to read once the broker is back."""
    monkeypatch.setattr("stream.intake.AGAIN_S", 0.01)
    engine, first, then = memory(), MemoryReader(reads([2])), Away(reads([2, *more]))
    readers, failing = iter([first]), False

    def fold(connection: Connection, came: Sequence[Read]) -> None:
        if failing:
            raise DatabaseUnavailable("database: gone")
        add(connection, came)

    intake = Intake(engine, "sums", ("coded",), fold)
    running = asyncio.create_task(intake.run(lambda: next(readers, then), follow=True))
    try:
        await until(intake.caught_up.is_set)
        assert intake.against == ""
        failing = True
        first.write(Read("coded", {"number": 4}, Origin("coded", 0, 1)))
        await until(lambda: intake.against == "database: gone")
        failing = False
        await until(lambda: intake.against == "broker: gone")
        then.down = False
        await until(lambda: intake.against == "")
        await until(lambda: total(engine) == 2 + sum(more))
        assert intake.caught_up.is_set()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_who_does_not_follow_raises_and_tells_nothing() -> None:
    intake = Intake(memory(), "sums", ("coded",), add)
    with pytest.raises(BrokerUnavailable):
        await intake.run(Away)
    assert intake.against == ""


async def test_what_was_read_begins_anew_where_another_process_rebuilds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.intake.AGAIN_S", 0.01)
    engine, reader = memory(), MemoryReader(reads([2, 4]))
    held = False

    class Slow(MemoryReader):
        async def batches(self, *given: Any, **more: Any) -> AsyncGenerator[Batch, None]:
            await until(lambda: not held)
            async for batch in super().batches(*given, **more):
                yield batch

    readers = iter([reader])
    intake = Intake(engine, "sums", ("coded",), add)
    running = asyncio.create_task(intake.run(lambda: next(readers, Slow(reads([2, 4, 6]))), follow=True))
    try:
        await until(intake.caught_up.is_set)
        assert intake.kept == {("coded", 0): 2}
        with writing(engine) as connection:
            forget(connection, "sums")
            connection.execute(SUMS.delete())
        held = True
        reader.write(Read("coded", {"number": 6}, Origin("coded", 0, 2)))
        await until(lambda: not intake.caught_up.is_set())
        assert intake.kept == {}
        held = False
        await until(intake.caught_up.is_set)
        assert (total(engine), intake.kept) == (12, {("coded", 0): 3})
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
