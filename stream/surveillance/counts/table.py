"""Counts as tables for people and programs."""

from __future__ import annotations

import csv as csv_files
import io
import json as json_files
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.surveillance.counts.completeness import Asking, everybody
from stream.surveillance.counts.counts import WINDOW_DAYS, Counts
from stream.surveillance.counts.query import Query
from stream.surveillance.detection.nowcast import Nowcast
from stream.surveillance.detection.series import Step

__all__ = ["Line", "arrived", "csv", "everybody", "json", "lines", "plain"]
_COLUMNS = (
    "day", "count", "completeness", "doubt", "estimate", "low", "high", "place_share", "place_expected", "basis",
)  # fmt: skip
WEEKS = 4
"""Weeks of completeness that are shown where no day is asked for."""


@dataclass(frozen=True, slots=True)
class Line:
    """One day or week.

    Attributes:
        period: first day.
        deaths: counted; None where older counts do not tell.
        share: that they are of all, as estimated; None where nothing is foreseen.
        doubt: standard error of its logarithm.
        estimate: of all deaths, with those still to come; None where nothing is foreseen.
        low, high: its interval.
        completeness: share of the expected certificates of the place that is here.
        expected: those, of all causes.
        basis: of that number.
    """

    period: date
    deaths: int | None
    share: float | None
    doubt: float | None
    estimate: float | None
    low: float | None
    high: float | None
    completeness: float | None
    expected: float | None
    basis: str


def begun(counts: Counts, query: Query) -> tuple[Query, str]:
    """A query that begins where anything is known, and what that leaves out, in words; empty where it is nothing.

    Deaths dated before the first day (one of a thousand: slips of the pen) are told by their number.
    """
    first = counts.first_day()
    if query.start is None or first is None or query.start >= first:
        return query, ""
    before = min(query.end or first, first - timedelta(days=1))
    dated = sum(count or 0 for count in counts.series(replace(query, end=before), Step.DAY).counts)
    told = f"; {dated:.0f} deaths are dated before, which is taken for a slip of the pen" if dated else ""
    return replace(query, start=first), f"nothing is known before {first}{told}"


def lines(counts: Counts, query: Query, step: Step, last: int, longest: int) -> list[Line]:
    """Lines of a query.

    Args:
        counts: where it is asked.
        query: what is asked.
        step: day or week.
        last: lines, where the query names no first day.
        longest: longest delay that is foreseen, days.
    """
    series = counts.series(query, step)
    first = 0 if query.start is not None else max(0, len(series) - last)
    days = range(first, len(series))
    if not days:
        return []
    now = counts.last_known(query.as_of)
    assert now is not None
    # Delays are learned from more than what is shown.
    learned = max(now - timedelta(days=max(WINDOW_DAYS, 2 * longest)), counts.first_day() or now)
    steps = max(1, -(-longest // step))
    estimates = counts.nowcast(replace(query, start=learned, end=None), now, steps, step).nowcasts
    by_day: dict[date, Nowcast] = {nowcast.day: nowcast for nowcast in estimates}
    end = series.day(len(series)) - timedelta(days=1)
    here = {
        row.period: row
        for row in counts.completeness(series.day(first), end, step=step, by=(), place=query.place, as_of=query.as_of)
    }
    found = []
    for i in days:
        day, counted = series.day(i), series.counts[i]
        nowcast, row = by_day.get(day), here.get(day)
        share, doubt, estimate, low, high = _estimated(nowcast)
        found.append(Line(
            day, None if counted is None else round(counted), share, doubt, estimate, low, high,
            row.share if row else None, row.expected if row else None, row.basis.value if row else "NONE",
        ))  # fmt: skip
    return found


def _estimated(nowcast: Nowcast | None) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    if nowcast is None:
        return None, None, None, None, None
    return nowcast.share, nowcast.doubt, nowcast.estimate, nowcast.low, nowcast.high


def plain(query: Query, found: Sequence[Line]) -> str:
    """A table to look at."""
    table = Table("from", "deaths", "estimate", "95 %", "completeness", "basis", title=_title(query))
    for column in table.columns[1:5]:
        column.justify = "right"
    for line in found:
        interval = "" if line.low is None or line.high is None else f"{line.low:.0f}–{line.high:.0f}"
        table.add_row(
            line.period.isoformat(), "" if line.deaths is None else str(line.deaths),
            "" if line.estimate is None else f"{line.estimate:.1f}", interval,
            "" if line.completeness is None else f"{line.completeness:.0%}", line.basis,
        )  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=110).print(table if found else "nothing is counted there", highlight=False)
    return out.getvalue()


def csv(_query: Query, found: Sequence[Line]) -> str:
    """The same as CSV, which `causa detect` reads; what is not known is empty."""
    out = io.StringIO()
    writer = csv_files.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for line in found:
        writer.writerow([
            line.period, *map(_number, (
                line.deaths, line.share, line.doubt, line.estimate, line.low, line.high, line.completeness, line.expected,
            )), line.basis,
        ])  # fmt: skip
    return out.getvalue()


def json(query: Query, found: Sequence[Line]) -> str:
    """The same as one JSON object."""
    told = {key: value for key, value in asdict(query).items() if value is not None}
    return json_files.dumps({"query": told, "counts": [asdict(line) for line in found]}, default=str) + "\n"


def arrived(
    counts: Counts,
    start: date | None,
    end: date | None,
    step: Step,
    by: tuple[str, ...],
    place: str,
    as_of: date | None,
) -> str:
    """Certificates that arrived beside those that are expected, as CSV."""
    out = io.StringIO()
    writer = csv_files.writer(out, lineterminator="\n")
    writer.writerow(["period", "place", "name", "source", "arrived", "expected", "share", "basis"])
    Asking(range(0), step, by, place, as_of)  # what is asked wrongly is refused where nothing is held, too
    last = end or counts.last_known(as_of)
    begins = counts.first_day()
    if last is not None and begins is not None:
        first = max(begins, start or last - timedelta(weeks=WEEKS))
        for row in counts.completeness(first, last, step=step, by=by, place=place, as_of=as_of):
            writer.writerow([
                row.period, row.place, counts.places.name(row.place), row.source.value if row.source else "", row.arrived,
                _number(row.expected), _number(row.share), row.basis.value,
            ])  # fmt: skip
    return out.getvalue()


def _title(query: Query) -> str:
    parts: list[Any] = [query.group, query.by.value.lower(), query.place, query.age, query.sex, query.source]
    told = ", ".join(str(part) for part in parts if part is not None)
    return told + (f", as of {query.as_of}" if query.as_of else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
