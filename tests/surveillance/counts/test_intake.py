"""Records and offsets are one transaction: a kill or a second process neither loses nor doubles a death."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from security.postgres import PASSWORD
from shared import LONG
from sqlalchemy import Connection, Engine

from stream import metrics
from stream.coding import CodedCertificate, CodedStatus, Modality
from stream.database import open_database, reading, writing
from stream.errors import DatabaseUnavailable, Overtaken
from stream.intake import Intake, positions
from stream.reader import MemoryReader, Read
from stream.services import Database
from stream.settings import REPOSITORY
from stream.surveillance.counts import Counts, Query
from stream.surveillance.detection.series import Step
from surveillance.counts.making import FLU, GROUPS, SEPSIS, folded, memory, reads, record, tables

PARTITIONS = 3


def stream_of(number: int, seed: int = 1) -> list[Read]:
    """Records as a topic holds them: a certificate stays in its partition, and offsets have no holes."""
    draw = random.Random(seed)
    parts: list[list[CodedCertificate]] = [[] for _ in range(PARTITIONS)]
    for _ in range(number):
        name = draw.randrange(number // 2)
        parts[name % PARTITIONS].append(record(
            f"c{name}", died=draw.randrange(20), known=draw.randrange(25), version=draw.randint(1, 3),
            cause=draw.choice([FLU, SEPSIS]), status=draw.choice(list(CodedStatus)),
            modality=draw.choice(list(Modality)), place=draw.choice(["33", "75"]), coded=draw.randrange(30),
        ))  # fmt: skip
    made = [read for place, part in enumerate(parts) for read in reads(part, place)]
    order = [read.place.partition for read in made]
    draw.shuffle(order)
    waiting = {place: iter([read for read in made if read.place.partition == place]) for place in range(PARTITIONS)}
    return [next(waiting[place]) for place in order]


def intake(engine: Engine, service: str = "counts") -> Intake:
    counts = Counts(engine, GROUPS)

    def fold(connection: Connection, came: Sequence[Read]) -> None:
        counts.fold(connection, came)

    return Intake(engine, service, ("coded",), fold)


class Small(MemoryReader):
    """Gives few records at a time."""

    async def batches(self, subjects, *, starts, follow=False):  # type: ignore[no-untyped-def]
        async for batch in super().batches(subjects, starts=starts, follow=follow):
            for at in range(0, len(batch.reads), 20):
                some = batch.reads[at : at + 20]
                ends = {(read.place.topic, read.place.partition): read.place.offset + 1 for read in some}
                yield type(batch)(some, ends)


def once(written: Sequence[Read]) -> dict[str, tuple[int, str]]:
    """Tables of the records, each folded once, in another order."""
    engine = memory()
    counts = Counts(engine, GROUPS)
    with writing(engine) as connection:
        counts.fold(connection, list(reversed(written)))
    return tables(engine)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from pydantic import SecretStr
from stream.database import open_database
from stream.services import Database
from surveillance.counts import test_intake as t

url, path, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3])
engine = open_database(Database(url=url, password=SecretStr(t.PASSWORD if url else "")), Path(path))
inner, folds = t.intake(engine), 0
fold = inner._fold
def deadly(connection, came):
    global folds
    fold(connection, came)
    folds += 1
    if folds == fatal:
        os.kill(os.getpid(), signal.SIGKILL)  # counts and offsets are written, and not committed
inner._fold = deadly
asyncio.run(inner.run(lambda: t.Small(t.stream_of(200))))
"""


@pytest.mark.parametrize("where", ["sqlite", "postgresql"])
def test_a_kill_between_fold_and_commit_loses_nothing_and_doubles_nothing(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings = request.getfixturevalue("empty_postgres") if where == "postgresql" else Database()
    path = tmp_path / "surveillance.sqlite"
    written = stream_of(200)
    environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'tests'}"}
    for fatal in (1, 4) if LONG else (4,):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, settings.url, str(path), str(fatal)], env=environment, check=False,
            capture_output=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-500:]
    engine = open_database(settings, path)
    with reading(engine) as connection:
        kept = sum(positions(connection, "counts").values())
    # Three batches of twenty were committed before the second kill, and none before the first.
    assert kept == 60
    asyncio.run(intake(engine).run(lambda: Small(written)))
    assert tables(engine) == once(written)
    engine.dispose()


async def test_two_processes_on_one_database_count_once(engine: Engine) -> None:
    written = stream_of(200, seed=2)
    # Two of one service, which share their offsets, and one of another, which reads all of it for itself.
    other = open_database(
        Database(url=_url(engine), password=SecretStr(PASSWORD if engine.dialect.name == "postgresql" else "")),
        Path("unused"),
    )
    running = [intake(engine), intake(other), intake(other, "surveillance")]
    await asyncio.gather(*(_until_done(found, written) for found in running))
    assert tables(engine) == once(written)
    with reading(engine) as connection:
        assert positions(connection, "counts") == positions(connection, "surveillance")
    other.dispose()


async def _until_done(found: Intake, written: Sequence[Read]) -> None:
    """Again after each fault, as `follow` does, without its waits."""
    while True:
        try:
            await found.run(lambda: Small(written))
        except (Overtaken, DatabaseUnavailable):
            await asyncio.sleep(0.01)
        else:
            return


def _url(engine: Engine) -> str:
    if engine.dialect.name == "sqlite":
        return f"sqlite:///{engine.url.database}"
    return f"postgresql://{engine.url.username}@{engine.url.host}:{engine.url.port}/{engine.url.database}"


async def test_a_transaction_that_fails_leaves_counts_and_offsets_as_they_were(engine: Engine) -> None:
    written = stream_of(60, seed=3)
    await intake(engine).run(lambda: MemoryReader(written[:30]))
    before, counts = tables(engine), Counts(engine, GROUPS)

    def fold(connection: Connection, came: Sequence[Read]) -> None:
        counts.fold(connection, came)
        raise DatabaseUnavailable("gone")

    with pytest.raises(DatabaseUnavailable):
        await Intake(engine, "counts", ("coded",), fold).run(lambda: MemoryReader(written))
    assert tables(engine) == before
    await intake(engine).run(lambda: MemoryReader(written))
    assert tables(engine) == once(written)


async def test_readers_see_what_is_committed_alone() -> None:
    engine = memory()
    counts = folded([record("a")], engine)
    assert counts.last_known() is not None
    first = counts.series(Query("all_causes"), Step.DAY)
    folded([record("b", known=1)], engine)
    again = counts.series(Query("all_causes"), Step.DAY)
    assert (sum(c or 0 for c in first.counts), sum(c or 0 for c in again.counts)) == (1, 2)
    assert len(again) == len(first) + 1


async def test_a_service_tells_what_it_has_taken_and_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.intake.LAG_S", 0.01)
    free, written = threading.Event(), stream_of(50)

    def fold(_connection: Connection, _reads: Sequence[Read]) -> None:
        free.wait(30)

    found = Intake(memory(), "told", ("coded",), fold)
    reader = MemoryReader(written)
    running = asyncio.create_task(found.run(lambda: reader, follow=True))
    behind, taken = metrics.BEHIND.labels("told"), metrics.TAKEN.labels("told")
    async with asyncio.timeout(30):
        while behind._value.get() != len(written):  # noqa: ASYNC110 - a gauge sets no event
            await asyncio.sleep(0.01)
        assert taken._value.get() == 0
        free.set()
        while behind._value.get():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert taken._value.get() == len(written)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
