"""One year of certificates through Kafka, Triton, the worker and the counts, after seven years that enter as counts.

A region is simulated death by death (`people.py`); three outbreaks are among its deaths. Certificates are published in the
order in which they arrive and bear that moment, so that the counts know afterwards what was known on each day. A run
that was broken off goes on where it stopped: what was published is written down, and publishing twice changes nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaProducer
from rich.console import Console
from sqlalchemy import Connection, Engine

from bench import shells
from bench.epidemic import history, look, outbreaks, people, tables, world
from bench.epidemic.people import Deaths, Outbreak
from bench.epidemic.tables import Department
from stream import kafka, topics
from stream.certificate import certificate_record
from stream.database import open_database
from stream.embedded.servers import Embedded
from stream.errors import EmbeddedServerError
from stream.intake import Intake
from stream.reader import KafkaReader, Read
from stream.registry import open_registry
from stream.services import Database
from stream.settings import Settings, load
from stream.surveillance.counts import Counts, Query, import_counts, import_expected, load_places
from stream.surveillance.groups import load as load_groups
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SEED = 2025
REGION = "R-32"
QUICK_DEPARTMENT = "80"
AT_ONCE = 500
AHEAD = 6_000
"""Certificates published before their results are counted: the broker's disk is small."""
PATIENCE_S = 180.0
TOLD = 5_000
"""Certificates after which progress is told."""


@dataclass(frozen=True, slots=True)
class Year:
    """What is simulated.

    Attributes:
        name: of topics and folder.
        place: of the series: a region or a department.
        departments: that it is made of.
        before, during: deaths of the years before and of the judged year.
        among: outbreaks of the judged year.
        made: the world.
    """

    name: str
    place: str
    departments: tuple[Department, ...]
    before: Deaths
    during: Deaths
    among: tuple[Outbreak, ...]
    made: world.World


def simulated(quick: bool) -> Year:
    """The year; quick: one department."""
    codes = (QUICK_DEPARTMENT,) if quick else load_places().within(REGION)
    chosen = tuple(one for one in tables.departments() if one.code in codes)
    made = world.world(SEED, [one.code for one in chosen])
    among = _outbreaks(quick)
    rng = [np.random.default_rng([SEED, 10 + number]) for number in range(2)]
    return Year(
        f"epidemic-{SEED}{'-quick' if quick else ''}", QUICK_DEPARTMENT if quick else REGION, chosen,
        people.draw(made, chosen, range(world.JUDGED), rng[0]),
        people.draw(made, chosen, range(world.JUDGED, world.DAYS), rng[1], among), among, made,
    )  # fmt: skip


def _outbreaks(quick: bool) -> tuple[Outbreak, ...]:
    def on(month: int, day: int) -> int:
        return (date(2025, month, day) - world.FIRST).days

    one = (QUICK_DEPARTMENT,)
    return (
        Outbreak("gastroenteritis", "gastroenteritis", "gastroenteritis", one if quick else ("62",), 20, outbreaks.SUDDEN, on(5, 5)),
        Outbreak("opioids", "overdose", "overdose_opioid", one if quick else ("59",), 10, outbreaks.SUDDEN, on(6, 16)),
        Outbreak("pneumonia", "pneumonia", "pneumonia_influenza", one if quick else (), 40 if quick else 200, outbreaks.SLOW, on(9, 1)),
    )  # fmt: skip


def run(console: Console, *, quick: bool) -> dict[str, Any]:
    """Publish, code, count and judge the year; figures as JSON takes them."""
    # A topic just made has no leader for a moment: aiokafka tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    settings, year = load(), simulated(quick)
    folder = settings.root / year.name
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_database(Database(), folder / "surveillance.sqlite")
    counts = Counts(engine, load_groups())
    console.print(
        f"{year.place}: {len(year.during):,} certificates of {world.day(world.JUDGED).year}, after {len(year.before):,} "
        "deaths that enter as counts"
    )
    imported = _older(year, folder, engine, counts, console)
    through = asyncio.run(_through(settings, year, folder, engine, counts, console))
    return {
        "year": world.day(world.JUDGED).year, "place": year.place, "departments": [one.code for one in year.departments],
        "certificates": len(year.during), "older_deaths": len(year.before), "older": imported, "pipeline": through,
        "against_truth": look.compare(year, counts), "outbreaks": look.outbreaks(year, counts, console),
        "quiet": look.quiet(year, counts, console),
    }  # fmt: skip


def _older(year: Year, folder: Path, engine: Engine, counts: Counts, console: Console) -> dict[str, Any]:
    """The years before: written and imported once."""
    done = folder / "older.json"
    if done.exists():
        told: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return told
    began = time.monotonic()
    dated = year.before.day >= history.DATED
    rows = 0
    for name, some, is_dated in (("older", ~dated, False), ("recent", dated, True)):
        path = folder / f"{name}.csv"
        rows += history.write_counts(path, year.before.where(some), year.departments, dated=is_dated)
        import_counts(engine, counts.groups, path)
    registered = folder / "registered.csv"
    history.write_registered(registered, (year.before, year.during), year.departments)
    import_expected(engine, registered)
    told = {"rows": rows, "seconds": round(time.monotonic() - began, 1)}
    done.write_text(json.dumps(told) + "\n", encoding="utf-8")
    console.print(f"{rows:,} rows of older counts imported in {told['seconds']} s")
    return told


async def _through(
    settings: Settings, year: Year, folder: Path, engine: Engine, counts: Counts, console: Console
) -> dict[str, Any]:  # fmt: skip
    """Certificates through the pipeline, from where an earlier run stopped."""
    done = folder / "through.json"
    if done.exists():
        told: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return told
    own = settings.model_copy(deep=True)
    names = {name: f"{year.name}.{topic}" for name, topic in settings.kafka.topics.model_dump().items()}
    own.kafka.topics = type(own.kafka.topics)(**names)
    embedded = Embedded(own)
    with console.status("starting Kafka and Triton"):
        await asyncio.to_thread(embedded.up)
    try:
        endpoints = embedded.endpoints()
        options = kafka.client_options(own, endpoints.bootstrap)
        declared = topics.declared(own)
        await topics.create(options, declared, 1)
        running = shells.start(own, endpoints, year.name, shells.worker(), 1)
        try:
            told = await _published(own, endpoints.bootstrap, options, year, folder, engine, counts, running, console)
        finally:
            await asyncio.to_thread(running.stop)
        await topics.delete(options, [topic.name for topic in declared])
    finally:
        embedded.release()
    done.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return told


async def _published(
    settings: Settings, bootstrap: str, options: dict[str, Any], year: Year, folder: Path, engine: Engine, counts: Counts,
    running: shells.Running, console: Console,
) -> dict[str, Any]:  # fmt: skip
    mark = folder / "published"
    first = int(mark.read_text(encoding="utf-8")) if mark.exists() else 0
    by_subject = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, by_subject))
    seen, dead = _Tally(), 0

    def fold(connection: Connection, reads: Sequence[Read]) -> None:
        counts.fold(connection, reads)
        seen.dead += sum(read.subject == "dead-letters" for read in reads)

    start_count = await asyncio.to_thread(_counted, counts)
    intake = Intake(engine, "surveillance", ("coded", "dead-letters"), fold)
    following = asyncio.create_task(intake.run(lambda: KafkaReader(settings, bootstrap), follow=True))
    producer = AIOKafkaProducer(**options, acks="all", linger_ms=5)
    await producer.start()
    began = time.monotonic()
    total = len(year.during)
    try:
        batch: list[Any] = []
        for number, certificate in enumerate(people.certificates(year.during, year.departments, SEED, year.name)):
            if number < first:
                continue
            value = wire.encode("certificates", certificate_record(certificate))
            batch.append(
                await producer.send(by_subject["certificates"], value, key=certificate.certificate_id.encode())
            )
            if len(batch) == AT_ONCE or number + 1 == total:
                await asyncio.gather(*batch)
                batch.clear()
                mark.write_text(str(number + 1), encoding="utf-8")
                await _until(number + 1 - AHEAD, counts, seen, running, following, console, total)
        await _until(total, counts, seen, running, following, console, total)
        dead = seen.dead
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await producer.stop()
    seconds = time.monotonic() - began
    counted = await asyncio.to_thread(_counted, counts)
    return {
        "counted": counted, "dead_letters": dead, "seconds": round(seconds, 1), "in_this_run": counted - start_count,
        "certificates_a_second": round((counted - start_count) / max(seconds, 0.001), 1),
    }  # fmt: skip


@dataclass
class _Tally:
    """What the intake saw beside coded records."""

    dead: int = 0


def _counted(counts: Counts) -> int:
    """Certificates of the judged year in the counts."""
    told = counts.strata(Query(tables.ALL_CAUSES, start=world.day(world.JUDGED), end=world.LAST), "status")
    return sum(stratum.deaths for stratum in told)


async def _until(
    wanted: int, counts: Counts, seen: _Tally, running: shells.Running, following: asyncio.Task[None], console: Console,
    total: int,
) -> None:  # fmt: skip
    """Wait until so many certificates are counted.

    Raises:
        EmbeddedServerError: the worker died, or nothing was counted for long.
    """
    last, since = -1, time.monotonic()
    while wanted > 0:
        counted = await asyncio.to_thread(_counted, counts) + seen.dead
        if counted >= wanted:
            if counted // TOLD > (counted - AT_ONCE) // TOLD or wanted == total:
                console.print(f"{counted:,} of {total:,} counted")
            return
        if counted != last:
            last, since = counted, time.monotonic()
        if following.done():
            following.result()
        if running.process.poll() is not None:
            raise EmbeddedServerError("the worker died", hint=f"its log: {running.log}")
        if time.monotonic() - since > PATIENCE_S:
            raise EmbeddedServerError(
                f"{wanted - counted} results are missing", hint=f"the worker's log: {running.log}"
            )
        await asyncio.sleep(1.0)
