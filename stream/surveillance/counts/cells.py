"""Sums over cells: SQL for what is asked, over the stream's tables and the older counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from stream.errors import InvalidSettings
from stream.surveillance.counts.ages import AGES
from stream.surveillance.counts.frame import Frame
from stream.surveillance.counts.knowledge import SOURCES
from stream.surveillance.counts.places import WHOLE, Places
from stream.surveillance.counts.query import By, Known, Query
from stream.surveillance.counts.tables import ALWAYS, CELLS, FOREVER, IMPORTS, OLDER, day_number

_DAYS = 2_000
"""Days in one statement: each is a seek in the table's key."""
Apart = str | None
"""Column by which sums are kept apart: ``place`` or ``age``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as the tables understand it.

    Attributes:
        query: what is asked.
        number: of its group.
        places: rows of the table that are summed (or kept apart).
    """

    query: Query
    number: int
    places: tuple[str, ...]

    @classmethod
    def of(cls, query: Query, numbers: Mapping[str, int], places: Places, among: Sequence[str] | None = None) -> Asked:
        """Raises InvalidSettings where there is no such group."""
        if query.group not in numbers:
            raise InvalidSettings(f"there is no group {query.group}", hint="causa groups lists them")
        kept = dict.fromkeys(code for place in among or (query.place,) for code in places.within(place))
        return cls(query, numbers[query.group], tuple(kept))

    def conditions(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """All but the days and the moment of knowledge."""
        query, c = self.query, table.c
        found = [c.number == self.number if table is CELLS else c.group_id == query.group, c.place.in_(self.places)]
        if query.age is not None:
            found.append(c.age == AGES.index(query.age))
        if query.sex is not None:
            found.append(c.sex == query.sex.value)
        if query.source is not None:
            found.append(c.source == SOURCES[query.source.value])
        return found

    def measure(self, table: sa.Table) -> sa.ColumnElement[int]:
        """What is summed."""
        due = self.query.by is By.UNDERLYING
        if table is OLDER or self.query.status is Known.ALL:
            return sa.func.sum(table.c.due if due else table.c.deaths)
        return sa.func.sum(table.c.final_due if due else table.c.final)

    def known(self, table: sa.Table) -> list[sa.ColumnElement[bool]]:
        """Rows that held at the moment that is asked for."""
        as_of = self.query.as_of
        if table is OLDER:
            return [] if as_of is None else [table.c.since <= day_number(as_of)]
        return held(table, as_of if as_of is None else day_number(as_of))


def held(table: sa.Table, as_of: int | None) -> list[sa.ColumnElement[bool]]:
    """Rows of a table of stays that held at the end of a day; now when None."""
    if as_of is None:
        return [table.c.until == FOREVER]
    return [table.c.since <= as_of, table.c.until > as_of]


def daily(
    connection: Connection, asked: Asked, days: range, frame: Frame, apart: Apart = None
) -> dict[Any, NDArray[Any]]:
    """Deaths by day, from the first day to the last of a range, for each value of a column (one None without).

    Values that nobody died with are left out.
    """
    found: dict[Any, NDArray[Any]] = defaultdict(lambda: np.zeros(len(days)))
    for table, some in _tables(days, frame):
        columns = [table.c.death_day, table.c[apart]] if apart else [table.c.death_day]
        for chosen in _chunks(some):
            # Days one by one, not between two: the place stands behind the day in the key.
            where = [table.c.death_day.in_(chosen), *asked.conditions(table), *asked.known(table)]
            for row in connection.execute(sa.select(*columns, asked.measure(table)).where(*where).group_by(*columns)):
                found[row[1] if apart else None][row[0] - days[0]] += int(row[-1] or 0)
    return dict(found)


def stays(connection: Connection, asked: Asked, days: range, now: int, frame: Frame) -> Iterator[tuple[int, int, int]]:
    """Day of death, day since when it is known in the cell, deaths; of those that are known there at the end of `now`.

    Older counts whose file does not tell when they became known are left out.
    """
    for table, some in _tables(days, frame):
        columns = table.c.death_day, table.c.since
        dated = [OLDER.c.since <= now, OLDER.c.since > ALWAYS]
        known = dated if table is OLDER else held(table, now)
        for chosen in _chunks(some):
            where = [table.c.death_day.in_(chosen), *asked.conditions(table), *known]
            for day, since, deaths in connection.execute(
                sa.select(*columns, asked.measure(table)).where(*where).group_by(*columns)
            ):
                if deaths:
                    yield day, since, int(deaths)


def gaps(connection: Connection, asked: Asked, days: range, frame: Frame, apart: Apart = None) -> NDArray[np.bool_]:
    """Days of which the older counts do not tell what is asked."""
    unknown = np.zeros(len(days), bool)
    if frame.boundary is None or not len(days):
        return unknown
    query = asked.query
    unknown[: max(0, frame.boundary - days[0] + 1)] = True
    needs = {
        "due" if query.by is By.UNDERLYING else "deaths": True,
        "places": asked.places != (WHOLE,),
        "ages": query.age is not None or apart == "age",
        "sexes": query.sex is not None or apart == "sex",
        "sources": query.source is not None,
    }
    where = [IMPORTS.c.group_id == query.group, *(IMPORTS.c[name] == 1 for name, needed in needs.items() if needed)]
    for first, last in connection.execute(sa.select(IMPORTS.c.first, IMPORTS.c.last).where(*where)):
        unknown[max(0, first - days[0]) : max(0, last - days[0] + 1)] = False
    return unknown


def _tables(days: range, frame: Frame) -> Iterator[tuple[sa.Table, range]]:
    """Which table tells of which days."""
    if not len(days):
        return
    first, last = days[0], days[-1]
    boundary = first - 1 if frame.boundary is None else frame.boundary
    if first <= boundary:
        yield OLDER, range(first, min(last, boundary) + 1)
    if last > boundary:
        yield CELLS, range(max(first, boundary + 1), last + 1)


def _chunks(days: range) -> Iterator[list[int]]:
    for at in range(0, len(days), _DAYS):
        yield list(days[at : at + _DAYS])
