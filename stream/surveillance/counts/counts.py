"""The counts: records go in; series, triangles and what stands behind them come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine

from stream.certificate import Sex
from stream.coding import CodedCertificate
from stream.database import READING, reading
from stream.reader import Read
from stream.surveillance.counts import cells, completeness, evidence, numbering
from stream.surveillance.counts.ages import AGES
from stream.surveillance.counts.cells import Asked
from stream.surveillance.counts.frame import Frame, frame, whole
from stream.surveillance.counts.places import WHOLE, load_places
from stream.surveillance.counts.query import Coding, Completeness, Estimate, Folded, KnownDeath, Query, Stratum
from stream.surveillance.counts.tables import day_number, day_of
from stream.surveillance.counts.writer import Writer
from stream.surveillance.detection import nowcast
from stream.surveillance.detection.series import Series, Step
from stream.surveillance.detection.triangle import Triangle
from stream.surveillance.groups import Groups

RECENT_DAYS = 60
"""Deaths of so many days are looked through for certificates where no first day is asked for."""
MOST_DAYS = 3_653
"""Days that certificates are looked for in."""
WINDOW_DAYS = 180
"""Deaths of so many days tell the delays of a nowcast where no first day is asked for."""


class Counts:
    """Counts in a database. What is read is read in one transaction, of the caller's where one is given.

    Attributes:
        groups: whose members are counted.
        version: of the groups.
        places: whole, regions, departments.

    Args:
        engine: the database.
        groups: as above.
    """

    def __init__(self, engine: Engine, groups: Groups) -> None:
        """Makes the tables where there are none.

        Raises:
            InvalidSettings: they count another version of the groups.
            DatabaseUnavailable: the server is away.
        """
        numbering.ready(engine, groups)
        self.groups, self.version, self.places = groups, groups.version, load_places()
        self._engine, self._writer = engine, Writer(groups)
        self._numbers = {group.id: number for number, group in enumerate(groups)}
        self._frame: tuple[int, Frame] | None = None

    def fold(self, connection: Connection, reads: Sequence[Read]) -> Folded:
        """Take records of `coded` into the counts, in the caller's transaction; those of other topics are left.

        In any order and any number of times the same records end in the same tables (`stream.coding.supersedes`).
        """
        return self._writer.fold(connection, reads)

    def take(self, connection: Connection, coded: Sequence[CodedCertificate]) -> Folded:
        """The same of records that were read already."""
        return self._writer.take(connection, coded)

    def series(self, query: Query, step: Step = Step.WEEK, *, connection: Connection | None = None) -> Series:
        """Deaths by day or week, whole weeks from Monday; 0 where nobody died, a gap where older counts do not tell.

        It begins with the query's first day, else with the first that is held; it ends with the query's last day, else
        with the last of which anything is known, and never later.

        Raises:
            InvalidSettings: there is no such group.
        """
        with self._open(connection) as opened:
            asked = self._asked(query)
            return self._series(opened, asked, self._seen(opened), step, None, {"": (None,)})[""]

    def panel(
        self, query: Query, places: Sequence[str], step: Step = Step.WEEK, *, connection: Connection | None = None
    ) -> dict[str, Series]:
        """The same for many places in one go; the query's own place plays no part."""
        with self._open(connection) as opened:
            asked = self._asked(query, places)
            sums = {place: self.places.within(place) for place in places}
            return self._series(opened, asked, self._seen(opened), step, "place", sums)

    def by_age(
        self, query: Query, step: Step = Step.WEEK, *, connection: Connection | None = None
    ) -> dict[str, Series]:
        """The same for all age groups."""
        with self._open(connection) as opened:
            asked = self._asked(query)
            sums = {name: (place,) for place, name in enumerate(AGES)}
            return self._series(opened, asked, self._seen(opened), step, "age", sums)

    def by_sex(
        self, query: Query, step: Step = Step.WEEK, *, connection: Connection | None = None
    ) -> dict[str, Series]:
        """The same for both sexes and for unknown, ``M``, ``F`` and ``U``."""
        with self._open(connection) as opened:
            sums = {sex.value: (sex.value,) for sex in Sex}
            return self._series(opened, self._asked(query), self._seen(opened), step, "sex", sums)

    def strata(self, query: Query, *by: str, connection: Connection | None = None) -> list[Stratum]:
        """Deaths between the query's days, apart by any of ``place``, ``age``, ``sex``, ``source``, ``status``.

        Places are departments of death; ``""`` is where none is told. Older counts play no part.
        """
        with self._open(connection) as opened:
            seen = self._seen(opened)
            return evidence.strata(opened, self._asked(query), seen.days(query, Step.DAY), seen, by)

    def triangle(
        self, query: Query, now: date, longest: int, step: Step = Step.DAY, *, connection: Connection | None = None
    ) -> Triangle:
        """Deaths as known at the end of a day, by day of death and by how long it took until they were known here.

        A death that came into the cell by an amendment or a coder's decision is known here since then. The triangle
        begins with the query's first day, else with the first that the stream holds.

        Args:
            query: its `as_of` plays no part.
            now: last day of knowledge.
            longest: delays beyond it count as so long, in steps.
            step: day or week.
            connection: of a transaction to read in.

        Raises:
            InvalidSettings: there is no such group.
        """
        with self._open(connection) as opened:
            seen, asked = self._seen(opened), self._asked(query)
            first = day_number(query.start) if query.start else seen.streamed
            last = day_number(now)
            if first is None:
                return Triangle(now, (), step)
            rows = whole(first, last, step)
            if not rows:
                return Triangle(day_of(first), (), step)
            return _triangle(rows, step, longest, cells.stays(opened, asked, range(rows[0], last + 1), last, seen))

    def nowcast(
        self, query: Query, now: date | None = None, longest: int = 30, step: Step = Step.DAY,
        options: nowcast.Options | None = None, *, connection: Connection | None = None,
    ) -> Estimate:  # fmt: skip
        """The series as known at the end of a day, with the share of its newest points that is here, as estimated.

        Delays are learned from the query's days, else from the newest 180 (at least twice `longest`).

        Args:
            query: the series covers its days; its `as_of` is `now`.
            now: last day of knowledge; the newest when None.
            longest: delays beyond it, in steps, are not foreseen.
            step: day or week.
            options: of `detection.nowcast.lawless`.
            connection: of a transaction to read in.
        """
        with self._open(connection) as opened:
            seen = self._seen(opened)
            last = seen.known_until(now or query.as_of)
            if last is None:
                empty = self.series(query, step, connection=opened)
                return Estimate(empty, (), now or query.as_of or empty.start)
            then = day_of(last)
            series = self.series(replace(query, as_of=then), step, connection=opened)
            window = query
            if query.start is None:
                learned = last - max(WINDOW_DAYS, 2 * longest * step)
                window = replace(query, start=day_of(max(learned, seen.streamed or learned)))
            triangle = self.triangle(window, then, longest, step, connection=opened)
        found = nowcast.lawless(triangle, options)
        return Estimate(nowcast.completed(series, found), found, then)

    def completeness(
        self, start: date, end: date, *, step: Step = Step.WEEK, by: Sequence[str] = ("department", "source"),
        place: str = WHOLE, as_of: date | None = None, connection: Connection | None = None,
    ) -> list[Completeness]:  # fmt: skip
        """Certificates that arrived beside those that are expected, for whole periods; see `counts.completeness`.

        Args:
            start: first day of death.
            end: last day of death.
            step: day or week.
            by: any of ``source`` and one of ``department`` and ``region`` to tell apart.
            place: the whole, a region or a department.
            as_of: day of knowledge; now when None.
            connection: of a transaction to read in.
        """
        asking = completeness.Asking(completeness.periods(start, end, step), step, tuple(by), place, as_of)
        group = completeness.everybody(self.groups)
        with self._open(connection) as opened:
            seen = self._seen(opened)

            def daily(query: Query, places: Sequence[str], days: range) -> Mapping[str, NDArray[np.float64]]:
                asked = self._asked(query, places)
                sums = {place: self.places.within(place) for place in places}
                return _summed(opened, asked, days, seen, "place", sums)

            return completeness.tell(opened, asking, self.places, group, seen, daily)

    def versions(
        self, start: date, end: date, step: Step = Step.WEEK, *, as_of: date | None = None,
        connection: Connection | None = None,
    ) -> list[Coding]:  # fmt: skip
        """How the deaths of each period were coded: shares by person or machine and by version."""
        periods = completeness.periods(start, end, step)
        with self._open(connection) as opened:
            return evidence.codings(opened, periods, step, None if as_of is None else day_number(as_of))

    def certificates(
        self, query: Query, limit: int = 20, *, oldest: bool = False, connection: Connection | None = None
    ) -> list[KnownDeath]:
        """Certificates of a cell, those that became known last first; by day of death, the first first, where `oldest`.

        Without a first day, deaths of the newest 60 days of knowledge are looked through; ten years at most.
        """
        with self._open(connection) as opened:
            last = self._seen(opened).known_until(query.as_of)
            if last is None:
                return []
            # A date of death may lie ahead of what is known, by a slip of the pen.
            end = day_number(query.end) if query.end else last + RECENT_DAYS
            start = day_number(query.start) if query.start else last - RECENT_DAYS
            days = range(max(start, end - MOST_DAYS), end + 1)
            return evidence.certificates(opened, self._asked(query), days, limit, oldest=oldest)

    def undated(self, *, connection: Connection | None = None) -> int:
        """Certificates that tell no day of death: they are in no series."""
        with self._open(connection) as opened:
            return evidence.undated(opened)

    def last_known(self, as_of: date | None = None, *, connection: Connection | None = None) -> date | None:
        """Newest day on which anything became known (until a day); None where nothing is held."""
        with self._open(connection) as opened:
            last = self._seen(opened).known_until(as_of)
            return None if last is None else day_of(last)

    def first_day(self, *, connection: Connection | None = None) -> date | None:
        """First day of death that series begin with; one death of a thousand may lie before, by a slip of the pen."""
        with self._open(connection) as opened:
            first = self._seen(opened).first
            return None if first is None else day_of(first)

    @contextmanager
    def _open(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with reading(self._engine) as opened:
            yield opened

    def _asked(self, query: Query, places: Sequence[str] | None = None) -> Asked:
        self.groups.named(query.group)
        return Asked.of(query, self._numbers, self.places, places)

    def _seen(self, connection: Connection) -> Frame:
        """The extent of the tables, remembered as long as they do not change."""
        if not connection.get_execution_options().get(READING):
            return frame(connection)  # a transaction that writes may be taken back, and its turn come again
        turn = numbering.turn(connection)
        if self._frame is None or self._frame[0] != turn:
            self._frame = turn, frame(connection)
        return self._frame[1]

    def _series(
        self, connection: Connection, asked: Asked, seen: Frame, step: Step, apart: cells.Apart,
        sums: Mapping[str, Sequence[object]],
    ) -> dict[str, Series]:  # fmt: skip
        query = asked.query
        steps = seen.days(query, step)
        if not steps:
            start = query.start or (day_of(seen.first) if seen.first is not None else query.end) or date(1970, 1, 1)
            return dict.fromkeys(sums, Series(start, (), step))
        found = _summed(connection, asked, range(steps[0], steps[-1] + step), seen, apart, sums)
        start = day_of(steps[0])
        told = {}
        for name, counts in found.items():
            by_step = counts.reshape(-1, step).sum(axis=1).tolist()
            told[name] = Series(start, tuple(None if math.isnan(count) else count for count in by_step), step)
        return told


def _summed(
    connection: Connection, asked: Asked, days: range, seen: Frame, apart: cells.Apart,
    sums: Mapping[str, Sequence[object]],
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Deaths by day for each name, which stands for one or more values of a column; nan in gaps."""
    found = cells.daily(connection, asked, days, seen, apart)
    unknown = cells.gaps(connection, asked, days, seen, apart)
    told = {}
    for name, values in sums.items():
        counts = np.zeros(len(days))
        for value in values:
            if value in found:
                counts += found[value]
        counts[unknown] = np.nan
        told[name] = counts
    return told


def _triangle(rows: range, step: Step, longest: int, stays: Iterator[tuple[int, int, int]]) -> Triangle:
    """Cells of a triangle; see `Triangle.of`, which makes the same of single deaths."""
    n, first = len(rows), rows[0]
    counts = np.zeros((n, longest + 1), int)
    for day, since, deaths in stays:
        i, j = (day - first) // step, (max(day, since) - first) // step
        if i < n and j < n:
            counts[i, min(j - i, longest)] += deaths
    cut = tuple(
        tuple(count if i + d < n else None for d, count in enumerate(row)) for i, row in enumerate(counts.tolist())
    )
    return Triangle(day_of(first), cut, step)
