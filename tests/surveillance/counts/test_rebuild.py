"""Counted anew from the topic, the tables are the same, byte by byte."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.database import open_database, reading, writing
from stream.errors import InvalidSettings
from stream.reader import MemoryReader, Read
from stream.services import Database
from stream.surveillance.counts import Counts, OlderCount, Query, put_counts, rebuild
from stream.surveillance.counts.tables import CELLS, CODINGS, DEATHS, FROM_TOPIC
from stream.surveillance.detection.series import Step
from stream.surveillance.groups.matcher import Groups
from surveillance.counts.making import FIRST, FLU, GROUPS, SEPSIS, memory, reads, record, rows, tables
from surveillance.counts.test_intake import intake, stream_of

NAMES = [table.name for table in FROM_TOPIC]


async def counted(engine: Engine, written: Sequence[Read], service: str = "counts") -> None:
    await intake(engine, service).run(lambda: MemoryReader(written))


async def test_a_check_finds_every_table_identical_and_changes_nothing(engine: Engine) -> None:
    written = stream_of(150)
    await counted(engine, written[:100])
    await counted(engine, written)
    before = {table.name: rows(engine, table) for table in FROM_TOPIC}
    # What the topic holds beyond the offsets is not counted yet, and no difference.
    more = [*written, *stream_of(40, seed=9)]
    done = await rebuild(engine, GROUPS, lambda: MemoryReader(numbered(more)), check=True)
    assert done.different == ()
    assert done.records == 150
    assert dict(done.tables) == tables(engine)
    assert {table.name: rows(engine, table) for table in FROM_TOPIC} == before


def numbered(written: Sequence[Read]) -> list[Read]:
    """Offsets without holes, whatever the records had."""
    from dataclasses import replace

    at: dict[int, int] = {}
    found = []
    for read in written:
        place = read.place.partition
        found.append(replace(read, place=replace(read.place, offset=at.setdefault(place, 0))))
        at[place] += 1
    return found


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (CELLS, {"deaths": CELLS.c.deaths + 1}), (CODINGS, {"deaths": CODINGS.c.deaths + 1}),
        (DEATHS, {"content_hash": "another"}),
    ],
)  # fmt: skip
async def test_a_check_names_a_table_that_differs(table: sa.Table, change: dict[str, object]) -> None:
    engine, written = memory(), stream_of(60)
    await counted(engine, written)
    with writing(engine) as connection:
        connection.execute(sa.update(table).values(**change))
    done = await rebuild(engine, GROUPS, lambda: MemoryReader(written), check=True)
    assert done.different == (table.name,)


async def test_a_rebuild_mends_the_tables_and_leaves_offsets_and_older_counts(engine: Engine) -> None:
    written = stream_of(120)
    put_counts(engine, GROUPS, [OlderCount(FIRST.replace(year=2020), "influenza", 7)])
    await counted(engine, written)
    right = tables(engine)
    with writing(engine) as connection:
        connection.execute(sa.delete(CELLS).where(CELLS.c.place == "33"))
        connection.execute(sa.update(DEATHS).values(version=9))
    assert tables(engine) != right
    done = await rebuild(engine, GROUPS, lambda: MemoryReader(written))
    assert tables(engine) == right == dict(done.tables)
    # Nothing is read again.
    again = intake(engine)
    await again.run(lambda: MemoryReader(written))
    assert (again.folded, tables(engine)) == (0, right)
    older = Counts(engine, GROUPS).series(Query("influenza", end=FIRST.replace(year=2020)), Step.DAY)
    assert older.counts == (7,)


async def test_a_rebuild_takes_other_groups() -> None:
    engine, written = memory(), reads([record("a", cause=FLU), record("b", cause=SEPSIS)])
    await counted(engine, written)
    # Fewer groups, and so other numbers.
    some = tuple(group for group in GROUPS.groups if group.id in ("sepsis", "influenza"))
    other = Groups(some, GROUPS.families, GROUPS._nomenclature, "2027-1")
    with pytest.raises(InvalidSettings, match="2027-1"):
        await rebuild(engine, other, lambda: MemoryReader(written), check=True)
    await rebuild(engine, other, lambda: MemoryReader(written))
    counts = Counts(engine, other)
    assert counts.series(Query("sepsis"), Step.DAY).counts == (1,)
    with pytest.raises(InvalidSettings, match="no group"):
        counts.series(Query("all_causes"))


async def test_a_topic_that_lost_records_takes_nothing_without_force() -> None:
    engine, written = memory(), reads([record("a"), record("b")])
    await counted(engine, written)
    left = MemoryReader(written[1:])
    right = tables(engine)
    with pytest.raises(InvalidSettings, match="tells 1 certificates, the counts hold 2"):
        await rebuild(engine, GROUPS, lambda: left)
    assert tables(engine) == right
    await rebuild(engine, GROUPS, lambda: MemoryReader(written[1:]), force=True)
    assert len(rows(engine, DEATHS)) == 1


async def test_a_rebuild_goes_to_the_furthest_of_those_who_count(engine: Engine) -> None:
    written = stream_of(90)
    await counted(engine, written, "surveillance")
    await counted(engine, written[:30])
    done = await rebuild(engine, GROUPS, lambda: MemoryReader(written), check=True)
    assert (done.records, done.different) == (90, ())


def fold_rest(connection: Connection, counts: Counts, rest: Sequence[Read]) -> None:
    """What an intake does with records, and leaves the commit to the caller."""
    counts.fold(connection, rest)
    for place in {read.place.partition for read in rest}:
        ends = max(read.place.offset for read in rest if read.place.partition == place) + 1
        connection.execute(sa.text(
            "UPDATE causa_offsets SET next = :next WHERE topic = 'coded' AND partition = :place"
        ), {"next": ends, "place": place})  # fmt: skip


async def test_counts_that_move_meanwhile_are_caught_up_with() -> None:
    engine, written = memory(), stream_of(120)
    await counted(engine, written[:60])
    calls, counts = 0, Counts(engine, GROUPS)

    def reader() -> MemoryReader:
        nonlocal calls
        calls += 1
        if calls == 1:
            # Somebody counts on, after the offsets were looked at.
            with writing(engine) as connection:
                fold_rest(connection, counts, written[60:])
        return MemoryReader(written)

    done = await rebuild(engine, GROUPS, reader)
    assert done.records == 120
    assert dict(done.tables) == tables(engine)


async def test_a_fold_that_is_under_way_costs_a_round_and_no_more(empty_postgres: Database) -> None:
    engine, written = open_database(empty_postgres, Path("unused")), stream_of(120)
    await counted(engine, written[:60])
    counts, held, over = Counts(engine, GROUPS), threading.Event(), threading.Event()

    def folding() -> None:
        with writing(engine) as connection:
            fold_rest(connection, counts, written[60:])
            held.set()
            waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not over.is_set():
                with reading(engine) as other:
                    if other.execute(waiting).scalar():
                        break
                time.sleep(0.01)

    thread = threading.Thread(target=folding)

    def reader() -> MemoryReader:
        if not held.is_set():
            thread.start()
            held.wait(60)
        return MemoryReader(written)

    try:
        done = await rebuild(engine, GROUPS, reader)
        over.set()
        assert (done.records, dict(done.tables)) == (120, tables(engine))
    finally:
        over.set()
        thread.join()
        engine.dispose()


async def test_a_fold_that_takes_longer_than_a_lock_is_waited_for(tmp_path: Path) -> None:
    engine, written = open_database(Database(timeout_s=0.1), tmp_path / "surveillance.sqlite"), stream_of(60)
    await counted(engine, written)
    right, rounds = tables(engine), 0
    with ExitStack() as fold:

        def reader() -> MemoryReader:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                fold.enter_context(writing(engine))
            if rounds == 3:
                fold.close()
            return MemoryReader(written)

        done = await rebuild(engine, GROUPS, reader)
    assert (rounds, dict(done.tables), tables(engine)) == (3, right, right)
    engine.dispose()
