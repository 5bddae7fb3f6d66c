"""Counts of years that no certificate of the stream tells, from files; they hold alone up to their last day."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.certificate import Sex, Source, utc_now
from stream.database import writing
from stream.errors import InvalidData, InvalidSettings
from stream.surveillance.counts import bulk, numbering
from stream.surveillance.counts.ages import AGES, UNKNOWN
from stream.surveillance.counts.knowledge import SOURCES
from stream.surveillance.counts.places import UNPLACED, WHOLE, department_code
from stream.surveillance.counts.query import By
from stream.surveillance.counts.tables import ALWAYS, IMPORTS, OLDER, day_number, day_of
from stream.surveillance.groups import Group, Groups
from stream.surveillance.groups.group import Takes

NEEDED = ("death_day", "group", "count")
NO_SOURCE = "U"
MOST, DIGITS = 2**31 - 1, 18


@dataclass(frozen=True, slots=True)
class OlderCount:
    """Deaths of one cell, as a file tells them.

    Attributes:
        death_day: day of death.
        group: id of the group.
        count: deaths.
        by: by underlying cause, or by any mention too.
        department: of death; empty where the file does not tell it.
        age: one of `AGES`.
        sex: U where it is not told.
        source: None where it is not told.
        known_day: when they became known; None where it is not told.
    """

    death_day: date
    group: str
    count: int
    by: By = By.ANY
    department: str = UNPLACED
    age: str = AGES[UNKNOWN]
    sex: Sex = Sex.U
    source: Source | None = None
    known_day: date | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What was taken: rows, groups, first and last day of death."""

    rows: int
    groups: int
    first: date
    last: date


def import_counts(engine: Engine, groups: Groups, path: Path, *, replace: bool = False) -> Imported:
    """Take a file: CSV with `death_day`, `group`, `count`, and as it may be `known_day`, `department`, `age_group`,
    `sex`, `source`, `by`.

    Args:
        engine: the database.
        groups: that the file may name.
        path: the file.
        replace: take it in the place of all that was imported before.

    Raises:
        InvalidData: names file and line.
        InvalidSettings: the file cannot be read, or tells days of groups that an earlier one told.
        DatabaseUnavailable: the server is away.
    """
    return put_counts(engine, groups, read_counts(path, groups), replace=replace)


def put_counts(engine: Engine, groups: Groups, rows: Iterable[OlderCount], *, replace: bool = False) -> Imported:
    """The same of rows, however they were made. Rows of one cell are added up. Raises as `import_counts` does."""
    numbering.ready(engine, groups)
    told: dict[str, _Told] = defaultdict(_Told)
    taken, days = 0, set[int]()
    for row in rows:
        if row.group not in groups:
            raise InvalidData(f"older counts: there is no group {row.group}")
        told[row.group].take(row)
        days.add(day_number(row.death_day))
        taken += 1
    if not days:
        raise InvalidData("older counts: there is no row")
    first, last = min(days), max(days)
    with writing(engine) as connection:
        if replace:
            connection.execute(sa.delete(OLDER))
            connection.execute(sa.delete(IMPORTS))
        _refuse_twice(connection, tuple(told), first, last)
        for group, found in sorted(told.items()):
            bulk.insert(connection, OLDER, list(found.rows(groups[group])))
            connection.execute(sa.insert(IMPORTS).values(
                first=first, last=last, group_id=group, **found.tells(groups[group])
            ))  # fmt: skip
        numbering.moved(connection)
    return Imported(taken, len(told), day_of(first), day_of(last))


class _Told:
    """What is told of one group."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, str, int, str, str, int], dict[By, int]] = defaultdict(
            lambda: dict.fromkeys(By, 0)
        )
        self._by: set[By] = set()
        self._flags = dict.fromkeys(("places", "ages", "sexes", "sources"), False)
        self._dated = True

    def take(self, row: OlderCount) -> None:
        department = department_code(row.department)
        source = NO_SOURCE if row.source is None else SOURCES[row.source.value]
        since = ALWAYS if row.known_day is None else day_number(row.known_day)
        key = day_number(row.death_day), department, AGES.index(row.age), row.sex.value, source, since
        self._cells[key][row.by] += row.count
        self._by.add(row.by)
        self._dated &= row.known_day is not None
        for name, is_told in (
            ("places", bool(department)), ("ages", row.age != AGES[UNKNOWN]), ("sexes", row.sex is not Sex.U),
            ("sources", row.source is not None),
        ):  # fmt: skip
            self._flags[name] |= is_told

    def rows(self, group: Group) -> Iterator[tuple[object, ...]]:
        """Rows of `OLDER`."""
        sums: dict[tuple[int, str, int, str, str, int], list[int]] = defaultdict(lambda: [0, 0])
        for (day, department, age, sex, source, since), counts in self._cells.items():
            for place in dict.fromkeys((WHOLE, department)):
                cell = sums[day, place, age, sex, source, since]
                for measure, count in enumerate(self._measures(group, counts)):
                    cell[measure] += count
        for (day, place, age, sex, source, since), counts_in in sorted(sums.items()):
            if any(counts_in):
                yield day, place, group.id, age, sex, source, since, *counts_in

    def tells(self, group: Group) -> dict[str, int]:
        """Columns of `IMPORTS`."""
        deaths = By.ANY in self._by or _same(group)
        due = By.UNDERLYING in self._by or _same(group) or _never_due(group)
        return {
            "deaths": int(deaths), "due": int(due), "dated": int(self._dated),
            **{name: int(is_told) for name, is_told in self._flags.items()},
        }  # fmt: skip

    def _measures(self, group: Group, counts: dict[By, int]) -> tuple[int, int]:
        if _same(group):
            both = counts[By.ANY if By.ANY in self._by else By.UNDERLYING]
            return both, both
        return counts[By.ANY], counts[By.UNDERLYING]


def _same(group: Group) -> bool:
    """Whether every death of a group is due to it."""
    return group.takes is not Takes.CODES or (group.any is None and not group.flag)


def _never_due(group: Group) -> bool:
    return group.takes is Takes.CODES and group.underlying is None


def _refuse_twice(connection: Connection, groups: tuple[str, ...], first: int, last: int) -> None:
    c = IMPORTS.c
    chosen = sa.select(c.group_id).where(c.first <= last, c.last >= first)
    twice = sorted({group for (group,) in connection.execute(chosen)}.intersection(groups))
    if twice:
        raise InvalidSettings(
            f"counts of these days were imported before: {', '.join(twice[:3])}",
            hint="--replace takes this file in the place of all that was imported",
        )


def read_counts(path: Path, groups: Groups) -> Iterator[OlderCount]:
    """Rows of a file. Raises as `import_counts` does."""
    today = utc_now().date()
    for where, row in rows_of(path, NEEDED):
        group = row["group"]
        if group not in groups:
            raise InvalidData(f"{where}: there is no group {group}")
        age = row.get("age_group") or AGES[UNKNOWN]
        if age not in AGES:
            raise InvalidData(f"{where}: {age} is no age group; they are {', '.join(AGES)}")
        department = row.get("department") or ""
        if department and not department_code(department):
            raise InvalidData(f"{where}: {department} is no department")
        try:
            source = Source(row["source"]) if row.get("source") else None
            sex, by = Sex(row.get("sex") or Sex.U), By(row.get("by") or By.ANY)
        except ValueError as error:
            raise InvalidData(f"{where}: {error}") from None
        day = day_in(row, "death_day", where)
        known = day_in(row, "known_day", where) if row.get("known_day") else None
        # The files hold alone up to their last day: one slip of the pen would hide all that the stream counts.
        if day > today:
            raise InvalidData(f"{where}: death_day {day} lies ahead")
        if known is not None and known < day:
            raise InvalidData(f"{where}: known_day {known} lies before the death")
        yield OlderCount(day, group, count_in(row, "count", where), by, department, age, sex, source, known)


def rows_of(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Lines of a CSV file (comma or semicolon), each with its place; blanks around values are cut.

    Raises:
        InvalidData: a column is missing.
        InvalidSettings: the file cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            names = [name.strip() for name in next(csv.reader([header], delimiter=_delimiter(header)), [])]
            missing = [name for name in needed if name not in names]
            if missing:
                raise InvalidData(f"{path}:1: needs a column `{missing[0]}`")
            lines = csv.DictReader(file, names, delimiter=_delimiter(header))
            for line in lines:
                yield f"{path}:{lines.line_num + 1}", {name: (line[name] or "").strip() for name in names}
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is no UTF-8"
        raise InvalidSettings(f"{path} cannot be read: {told}") from None
    except csv.Error as error:
        raise InvalidData(f"{path} is no CSV file: {error}") from None


def _delimiter(header: str) -> str:
    return ";" if ";" in header else ","


def day_in(row: dict[str, str], name: str, where: str) -> date:
    """A day of a row."""
    try:
        return date.fromisoformat(row[name])
    except ValueError:
        raise InvalidData(f"{where}: {name} is no day such as 2026-01-05") from None


def count_in(row: dict[str, str], name: str, where: str) -> int:
    """A count of a row."""
    told = row[name]
    # More digits than that are no count, and `int` refuses thousands of them.
    if not (told.isascii() and told.isdigit() and len(told) <= DIGITS and int(told) <= MOST):
        raise InvalidData(f"{where}: {name} is no whole number")
    return int(told)
