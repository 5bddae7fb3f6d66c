"""What the tables hold as a whole: which days, up to when known, and where older counts end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.surveillance.counts.query import Query
from stream.surveillance.counts.tables import CODINGS, IMPORTS, day_number, day_of
from stream.surveillance.detection.series import Step

TRIM = 0.001
"""Share of deaths that may lie before the first day of a series: dates of death that are slips of the pen."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The extent of what is held, in days as the tables number them.

    Attributes:
        first: first day of death; None where nothing is held.
        last: newest day of knowledge.
        boundary: last day of the older counts, which hold alone up to it; None without any.
        streamed: first day of death that the stream tells, behind the boundary; None where it tells none.
    """

    first: int | None
    last: int | None
    boundary: int | None
    streamed: int | None

    def known_until(self, as_of: date | None) -> int | None:
        """Newest day of knowledge, on some day."""
        if self.last is None or as_of is None:
            return self.last
        return min(self.last, day_number(as_of))

    def days(self, query: Query, step: Step) -> range:
        """First days of the whole steps of a series, as numbers; weeks begin on Mondays."""
        first = self.first if query.start is None else day_number(query.start)
        last = self.known_until(query.as_of)
        if first is None or last is None:
            return range(0)
        if query.end is not None:
            last = min(last, day_number(query.end))
        return whole(first, last, step)


def whole(first: int, last: int, step: Step) -> range:
    """First days of the steps that lie within two days, both among them."""
    if step is Step.WEEK:
        first += (7 - day_of(first).weekday()) % 7
    return range(first, last - step + 2, step)


def frame(connection: Connection) -> Frame:
    """Look at the tables."""
    older = connection.execute(sa.select(sa.func.min(IMPORTS.c.first), sa.func.max(IMPORTS.c.last))).one()
    first, boundary = older
    day, deaths = CODINGS.c.death_day, sa.func.sum(CODINGS.c.deaths)
    chosen = sa.select(day, deaths, sa.func.max(CODINGS.c.since)).group_by(day).order_by(day)
    if boundary is not None:
        chosen = chosen.where(day > boundary)
    rows = connection.execute(chosen).all()
    last = max((since for _, _, since in rows), default=boundary)
    streamed, before, spare = None, 0, TRIM * sum(int(count) for _, count, _ in rows)
    for number, count, _ in rows:
        before += int(count)
        if before > spare:
            streamed = number
            break
    return Frame(first if first is not None else streamed, last, boundary, streamed)


def dates(numbers: range) -> list[date]:
    """The days of numbers."""
    return [day_of(numbers[0]) + timedelta(days=number - numbers[0]) for number in numbers] if numbers else []
