"""Coded records, counts and rules made for the tests of alerts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from stream.certificate import Age, Place, Sex, Source
from stream.coding import (
    Assertion,
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
from stream.database import open_database, writing
from stream.reader import Read
from stream.services import Database
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.counts import Counts, OlderCount, put_counts
from stream.surveillance.groups import load

GROUPS = load()
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
MEASLES, MENINGOCOCCAL, FLU, STROKE = "B05.9", "A39.2", "J10.1", "I64"
SMALL = """
version: "2026-1"
method: {name: noufaily, options: {alpha: 0.01, leastYears: 3}}
otherwise: {name: C2, options: {minSigma: 1, limit54: [5, 4]}}
nowcast: {longest: 14, m: 60, own: 200}
series:
  - {name: all, groups: [all_causes], level: 5}
  - {name: flu, groups: [influenza, sepsis], places: [FR, R-75], level: 4}
single: {least: 4, beside: {maternal: obstetric_haemorrhage}}
escalate:
  - {from: 6, unacknowledged_hours: 24, to: 9, why: "nobody looked"}
sinks:
  duty: {level: 7}
"""
"""Rules of a few series."""


def rules(text: str = SMALL) -> Rules:
    return ruling.parse(text)


def database(folder: Path | None = None) -> Engine:
    if folder is None:
        return open_database(Database(url="sqlite:///:memory:"), Path("unused"))
    return open_database(Database(), folder / "surveillance.sqlite")


def coded(
    name: str = "a",
    *causes: str,
    at: datetime = NOW,
    received: datetime | None = None,
    died: date | None = None,
    version: int = 1,
    revision: int = 0,
    status: CodedStatus = CodedStatus.PROVISIONAL,
    modality: Modality = Modality.MODEL,
    underlying: str | None = None,
    confidence: float = 0.97,
    department: str | None = "33",
    sex: Sex = Sex.F,
    source: Source = Source.ELECTRONIC,
    assertion: Assertion = Assertion.AFFIRMED,
    versions: str = "1",
) -> CodedCertificate:
    """A record of `coded`: one line for each cause, the last one underlying where none is named."""
    lines = tuple(
        CodedLine((Entity(code, 0, 5, confidence, Method.MODEL, "coder-1", assertion=assertion),)) for code in causes
    )
    chosen = underlying or (causes[-1] if causes else None)
    return CodedCertificate(
        name, version, f"h{version}", status, modality, Underlying(chosen, confidence), Targeting(Route.MANUAL),
        Versions("s", "n", f"l{versions}", f"r{versions}", f"coder-{versions}", "u", "p"), at, revision,
        died or (at - timedelta(days=1)).date(), sex, Age(40), Place(None, department), source=source, part1=lines,
        received_at=received or at - timedelta(minutes=1),
    )  # fmt: skip


def human(record: CodedCertificate, *causes: str, later: timedelta = timedelta(hours=2)) -> CodedCertificate:
    """A person's result on the same version."""
    return coded(
        record.certificate_id, *causes, at=record.coded_at + later, received=record.received_at,
        died=record.death_date, version=record.version, revision=record.revision, status=CodedStatus.FINAL,
        modality=Modality.HUMAN, confidence=1.0, department=record.place.department, sex=record.sex,
    )  # fmt: skip


def reads(records: Iterable[CodedCertificate], first: int = 0) -> list[Read]:
    return [Read("coded", coded_record(r), Origin("coded", 0, first + i)) for i, r in enumerate(records)]


def history(engine: Engine, mean: float, first: date, last: date, group: str = "influenza") -> None:
    """Older counts: deaths of a group and of all causes, ten times as many, with a season, each known the day after."""
    rng = np.random.default_rng(1)

    def rows() -> Iterator[OlderCount]:
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            season = 1 + 0.2 * math.cos(2 * math.pi * day.timetuple().tm_yday / 365.25)
            for name, many in ((group, mean * season), ("all_causes", 10 * mean)):
                count = int(rng.poisson(many))
                yield OlderCount(day, name, count, department="33", known_day=day + timedelta(days=1))

    put_counts(engine, GROUPS, rows())


def deaths(
    days: Sequence[date], mean: float, cause: str, *, seed: int = 2, name: str = "d", delay: int = 3, **values: object
) -> list[CodedCertificate]:
    """A Poisson number of deaths on each day, received up to `delay` days later."""
    rng = np.random.default_rng(seed)
    found: list[CodedCertificate] = []
    for day in days:
        for k in range(rng.poisson(mean)):
            received = datetime(day.year, day.month, day.day, 9, tzinfo=UTC) + timedelta(
                days=int(rng.integers(0, delay + 1))
            )
            found.append(coded(
                f"{name}-{day}-{k}", cause, at=received + timedelta(seconds=5), received=received, died=day, **values  # type: ignore[arg-type]
            ))  # fmt: skip
    return found


def days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def folded(engine: Engine, records: Iterable[CodedCertificate], until: date | None = None) -> Counts:
    """Counts of records that were received by the end of a day."""
    counts = Counts(engine, GROUPS)
    known = [r for r in records if until is None or (r.received_at or r.coded_at).date() <= until]
    with writing(engine) as connection:
        counts.fold(connection, reads(known))
    return counts
