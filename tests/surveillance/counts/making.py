"""Coded records for the tests of counts, and what they must add up to by the plainest arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy import Engine

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
    supersedes,
)
from stream.database import open_database, reading, writing
from stream.reader import Read
from stream.services import Database
from stream.surveillance.counts import AGES, By, Counts, Known, Query, age_group
from stream.surveillance.counts.knowledge import known_day
from stream.surveillance.counts.places import department_of
from stream.surveillance.counts.rebuild import digest
from stream.surveillance.counts.tables import FROM_TOPIC
from stream.surveillance.groups import Groups, load

GROUPS = load()
FIRST = date(2026, 1, 5)
"""A Monday."""
FLU, SEPSIS, STROKE, CANCER = "J10.1", "A41.9", "I64", "C34.9"


def memory() -> Engine:
    return open_database(Database(url="sqlite:///:memory:"), Path("unused"))


def record(
    name: str = "a",
    *,
    died: int | None = 0,
    known: int | None = 0,
    version: int = 1,
    revision: int = 0,
    cause: str | None = FLU,
    mentions: Sequence[str] = (),
    status: CodedStatus = CodedStatus.FINAL,
    modality: Modality = Modality.MODEL,
    place: str | None = "33",
    age: int | None = 80,
    sex: Sex = Sex.F,
    source: Source = Source.ELECTRONIC,
    coded: int | None = None,
    content: str = "",
    versions: Versions | None = None,
) -> CodedCertificate:
    """A record of `coded`; days count from `FIRST`. `known` is the day of receipt, None where it is not told."""
    lines = (CodedLine(tuple(Entity(code, 0, 1, 0.9, Method.RULES, "") for code in mentions)),) if mentions else ()
    at = datetime.combine(FIRST, datetime.min.time(), UTC) + timedelta(hours=9)
    received = None if known is None else at + timedelta(days=known)
    when = at + timedelta(days=coded if coded is not None else known or 0, hours=1)
    return CodedCertificate(
        name, version, content or f"v{version}", status, modality, Underlying(cause, 0.9), Targeting(Route.AUTO),
        versions or Versions(coder="coder-1", rules="rules-1"), when, revision,
        None if died is None else FIRST + timedelta(days=died), sex, None if age is None else Age(age),
        Place(department=place), source=source, part1=lines, received_at=received,
    )  # fmt: skip


def reads(records: Iterable[CodedCertificate], partition: int = 0, start: int = 0) -> list[Read]:
    return [
        Read("coded", coded_record(coded), Origin("coded", partition, offset))
        for offset, coded in enumerate(records, start=start)
    ]


def folded(records: Iterable[CodedCertificate], engine: Engine | None = None, groups: Groups = GROUPS) -> Counts:
    """Counts of records, each in a transaction of its own."""
    engine = engine or memory()
    counts = Counts(engine, groups)
    for coded in records:
        with writing(engine) as connection:
            counts.fold(connection, reads([coded]))
    return counts


def tables(engine: Engine) -> dict[str, tuple[int, str]]:
    """A digest of each table."""
    with reading(engine) as connection:
        return {table.name: digest(connection, table) for table in FROM_TOPIC}


def rows(engine: Engine, table: sa.Table) -> list[tuple[object, ...]]:
    with reading(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]


def then(records: Iterable[CodedCertificate], day: date | None) -> dict[str, CodedCertificate]:
    """What each certificate was at the end of a day, by `supersedes` alone."""
    found: dict[str, CodedCertificate] = {}
    for coded in records:
        if day is not None and known_day(coded) > day:
            continue
        held = found.get(coded.certificate_id)
        if held is None or supersedes(coded, held):
            found[coded.certificate_id] = coded
    return found


def belongs(coded: CodedCertificate, query: Query, departments: Sequence[str]) -> bool:
    """Whether a death is in a cell, by the plainest reading."""
    membership = GROUPS.apart(coded)
    members = membership.due if query.by is By.UNDERLYING else membership.due | membership.mentioned
    return (
        query.group in members
        and coded.death_date is not None
        and (query.place == "FR" or department_of(coded.place) in departments)
        and query.age in (None, AGES[age_group(coded.age, coded.form)])
        and query.sex in (None, coded.sex)
        and query.source in (None, coded.source)
        and (query.status is Known.ALL or coded.status is CodedStatus.FINAL)
    )


@dataclass(frozen=True, slots=True)
class Plain:
    """Counts by going through a list of records."""

    records: tuple[CodedCertificate, ...]

    def deaths(self, query: Query, departments: Sequence[str] = ()) -> dict[date, int]:
        """By day of death."""
        found: dict[date, int] = defaultdict(int)
        for coded in then(self.records, query.as_of).values():
            if belongs(coded, query, departments) and coded.death_date is not None:
                found[coded.death_date] += 1
        return dict(found)

    def line_list(self, query: Query, now: date, departments: Sequence[str] = ()) -> list[tuple[date, date]]:
        """Day of death and day since when the death is in the cell without a break, of those in it on a day.

        A death that changes its stratum (in the whole: but for the place) begins anew there.
        """
        since: dict[tuple[object, ...], date] = {}
        for day in sorted({known_day(coded) for coded in self.records if known_day(coded) <= now}):
            here = {
                (coded.death_date, name, department_of(coded.place) if departments else "",
                 age_group(coded.age, coded.form), coded.sex, coded.source)
                for name, coded in then(self.records, day).items() if belongs(coded, query, departments)
            }  # fmt: skip
            since = {key: since.get(key, day) for key in here}
        return sorted((key[0], known) for key, known in since.items() if isinstance(key[0], date))


NAMES = st.sampled_from(["a", "b", "c"])


@st.composite
def histories(draw: st.DrawFn) -> CodedCertificate:
    """Records of few certificates in a small space: amendments, voids, human results, undos, recodes, late and early."""
    version = draw(st.integers(1, 3))
    human = draw(st.booleans())
    status = draw(st.sampled_from([CodedStatus.FINAL, CodedStatus.PROVISIONAL, CodedStatus.WITHDRAWN]))
    known = draw(st.none() | st.integers(0, 9))
    return replace(
        record(
            draw(NAMES),
            died=draw(st.sampled_from([None, 0, 1, 8])),
            known=known,
            version=version,
            revision=draw(st.integers(0, 2)),
            cause=draw(st.sampled_from([None, FLU, SEPSIS, STROKE])),
            mentions=draw(st.sampled_from([(), (SEPSIS,), (FLU, CANCER)])),
            status=status,
            modality=Modality.HUMAN if human else draw(st.sampled_from([Modality.RULES, Modality.MODEL])),
            place=draw(st.sampled_from([None, "33", "2A", "99"])),
            age=draw(st.sampled_from([None, 3, 70, 90])),
            sex=draw(st.sampled_from(Sex)),
            source=draw(st.sampled_from(Source)),
            coded=draw(st.integers(0, 12)),
        ),
    )


def distinct(records: Sequence[CodedCertificate]) -> list[CodedCertificate]:
    """The same, with no two of one rank that differ: nothing but a fault makes those."""
    return [
        replace(coded, coded_at=coded.coded_at + timedelta(milliseconds=place)) for place, coded in enumerate(records)
    ]
