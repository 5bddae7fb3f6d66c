"""What counting costs: records folded in a second, and how long a series of a year takes (docs/counts.md).

Certificates are the codes of the gold samples, dealt to departments, days and delays at random: France has about 1,780
deaths a day. Run it with `python -m bench.counts [RECORDS] [--database URL]`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stream.certificate import Age, Place, Sex, Source
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Entity,
    Method,
    Modality,
    Origin,
    Route,
    Targeting,
    Underlying,
    Versions,
    coded_record,
)
from stream.database import open_database, reading, writing
from stream.reader import AT_ONCE, Read
from stream.services import Database
from stream.settings import REPOSITORY
from stream.surveillance.counts import By, Counts, Query, load_places
from stream.surveillance.counts.tables import TABLES
from stream.surveillance.detection.series import Step
from stream.surveillance.groups import load

DEATHS_A_DAY = 1_780
FIRST = date(2025, 1, 1)
_VERSIONS = Versions("2.0", "2026", "lexicon-1", "rules-1", "coder-1", "underlying-1", "policy-1")


def certificates(number: int, seed: int = 1) -> Iterator[CodedCertificate]:
    """Records in the order in which they become known; a fifth is coded by a person some days later."""
    draw = random.Random(seed)
    gold = [json.loads(line) for path in sorted((REPOSITORY / "samples").glob("gold*.jsonl")) for line in path.open()]
    departments = list(load_places().departments)
    late: dict[int, list[CodedCertificate]] = {}
    made = 0
    day = 0
    while made < number:
        for record in late.pop(day, ()):
            yield record
            made += 1
        for _ in range(DEATHS_A_DAY):
            if made >= number:
                return
            record = _certificate(draw, draw.choice(gold), departments, FIRST + timedelta(days=day), made)
            yield record
            made += 1
            if record.status is CodedStatus.PROVISIONAL:
                wait = draw.randint(1, 20)
                late.setdefault(day + wait, []).append(_decided(record, wait))
        day += 1


def _certificate(
    draw: random.Random, gold: dict[str, Any], departments: Sequence[str], known: date, number: int
) -> CodedCertificate:
    lines = [*gold["gold"].get("part1", ()), *gold["gold"].get("part2", ())]
    coded = tuple(CodedLine(tuple(Entity(code, 0, 9, 0.9, Method.RULES, "lexicon") for code in line)) for line in lines)
    received = datetime(known.year, known.month, known.day, draw.randrange(24), tzinfo=UTC)
    age = gold.get("age")
    return CodedCertificate(
        f"{number:032x}", 1, f"{draw.getrandbits(128):032x}",
        CodedStatus.PROVISIONAL if draw.random() < 0.2 else CodedStatus.FINAL, Modality.MODEL,
        Underlying(gold["gold"].get("underlying"), 0.9), Targeting(Route.AUTO), _VERSIONS, received + timedelta(seconds=2),
        death_date=known - timedelta(days=min(60, int(draw.expovariate(0.25)))), sex=Sex(gold.get("sex") or "U"),
        age=Age(age["value"]) if age else None, place=Place(department=draw.choice(departments)),
        source=draw.choice([Source.ELECTRONIC, Source.PAPER]), part1=coded, received_at=received,
    )  # fmt: skip


def _decided(record: CodedCertificate, days: int) -> CodedCertificate:
    return replace(
        record, status=CodedStatus.FINAL, modality=Modality.HUMAN, coded_at=record.coded_at + timedelta(days=days)
    )


def folded(counts: Counts, engine: sa.Engine, number: int, at_once: int) -> tuple[float, float]:
    """Records a second, by the clock and by this process's own time; making them is not counted."""
    clock = cpu = 0.0
    waiting: list[Read] = []
    done = 0

    def fold() -> None:
        nonlocal clock, cpu, done
        start, own = time.perf_counter(), time.process_time()
        with writing(engine) as connection:
            counts.fold(connection, waiting)
        clock, cpu, done = clock + time.perf_counter() - start, cpu + time.process_time() - own, done + len(waiting)
        waiting.clear()

    for offset, record in enumerate(certificates(number)):
        waiting.append(Read("coded", coded_record(record), Origin("coded", 0, offset)))
        if len(waiting) == at_once:
            fold()
    if waiting:
        fold()
    return done / clock, done / cpu


def took(what: Callable[[], object]) -> str:
    """The first time and the median of five more, in milliseconds."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        what()
        times.append(1000 * (time.perf_counter() - start))
    return f"{times[0]:.0f} ms, then {statistics.median(times[1:]):.0f} ms"


def asked(counts: Counts) -> None:
    """Time what is asked for."""
    now = counts.last_known()
    assert now is not None
    everywhere = tuple(counts.places)
    month = now - timedelta(days=28)
    queries: dict[str, Callable[[], object]] = {
        "all causes, weeks": lambda: counts.series(Query("all_causes")),
        "all causes, weeks, as of half-way": lambda: counts.series(
            Query("all_causes", as_of=FIRST + (now - FIRST) / 2)
        ),
        "pneumonia by underlying cause, days": lambda: counts.series(Query("pneumonia", By.UNDERLYING), Step.DAY),
        "all causes of a region, 65-74, women": lambda: counts.series(
            Query("all_causes", place="R-76", age="65-74", sex=Sex.F)
        ),
        "sepsis in 126 places": lambda: counts.panel(Query("sepsis"), everywhere),
        "nowcast of all causes": lambda: counts.nowcast(Query("all_causes")),
        "completeness of a month by department and source": lambda: counts.completeness(month, now),
        "newest 20 certificates of measles": lambda: counts.certificates(Query("measles")),
    }
    for name, what in queries.items():
        print(f"{name}: {took(what)}")


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("records", type=int, nargs="?", default=50_000)
    options.add_argument("--database", default="", help="postgresql://…; an SQLite file of its own without")
    options.add_argument("--at-once", type=int, default=AT_ONCE, help="records in a transaction")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="causa-bench-") as folder:
        path = Path(folder) / "counts.sqlite"
        engine = open_database(Database(url=chosen.database), path)
        counts = Counts(engine, load())
        clock, cpu = folded(counts, engine, chosen.records, chosen.at_once)
        print(
            f"{chosen.records} records, {chosen.at_once} in a transaction: {clock:.0f}/s ({cpu:.0f}/s of processor time)"
        )
        with reading(engine) as connection:
            for table in TABLES.sorted_tables:
                print(
                    f"{table.name}: {connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()} rows"
                )
        if path.exists():
            print(f"file: {path.stat().st_size / 1e6:.0f} MB")
        asked(counts)
        engine.dispose()


if __name__ == "__main__":
    main()
