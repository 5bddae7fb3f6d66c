"""All figures of the pages: read from counts and alerts, judged, and protected for those without the right to small counts.

Nothing leaves this module unprotected: pages, downloads and charts draw what it gives. Reads are shared between people
for a short while (`memory`), verdicts for good (`judged`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import numpy as np

from stream.certificate import Sex, utc_now
from stream.surveillance.alerts.alert import series_id
from stream.surveillance.alerts.clauses import Judge
from stream.surveillance.alerts.judging import Detection, Examined, foreseen
from stream.surveillance.alerts.register import Register
from stream.surveillance.alerts.rules import Rules, Watch
from stream.surveillance.counts import Counts, Known, Query
from stream.surveillance.dashboard import curve as curves
from stream.surveillance.dashboard.choice import COUNTRY, Choice
from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.dashboard.judged import Verdicts
from stream.surveillance.dashboard.memory import Memory
from stream.surveillance.dashboard.rights import Rights
from stream.surveillance.dashboard.suppression import Tree, hide
from stream.surveillance.detection.nowcast import completed
from stream.surveillance.detection.series import Series, Step
from stream.surveillance.detection.verdict import Verdict

FRESH_S = 30.0
"""Age of figures, in seconds, from which they are read anew behind the page."""
KEPT_S = 900.0
"""Age from which a page waits for new ones."""
SETTLED_FRESH_S, SETTLED_KEPT_S = 600.0, 7200.0
"""The same of what hardly changes: weeks long past, coverage of places."""
SETTLED_WEEKS = 12
"""Weeks after which a week is taken for settled; late deaths of older weeks show within `SETTLED_FRESH_S`."""
REST = ""
"""Deaths of no known place, in a table of places."""
SEXES = (Sex.F, Sex.M, Sex.U)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """A row of a table: an age group, a sex, a place, and its figures."""

    key: str
    point: Point


@dataclass(frozen=True, slots=True)
class Parts:
    """A total and its parts in one week.

    Attributes:
        by: age, sex, region or department.
        week: its Monday.
        total: all of them; None where the week is not held.
        rows: in the order of lists.
    """

    by: str
    week: date
    total: Point | None
    rows: tuple[Part, ...]


class Figures:
    """What the pages show. Safe in threads.

    Args:
        counts: deaths by group.
        register: of alerts.
        rules: by which method each series is judged.
        clock: now, UTC.
    """

    def __init__(
        self, counts: Counts, register: Register, rules: Rules, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.counts, self.register, self.rules, self.clock = counts, register, rules, clock
        self.groups, self.places = counts.groups, counts.places
        self._verdicts = Verdicts()
        self._memory = Memory(FRESH_S, KEPT_S)
        self._settled = Memory(SETTLED_FRESH_S, SETTLED_KEPT_S)
        self._watches = {watch.name: watch for watch in rules.watches()}
        alone = tuple(code for code, department in self.places.departments.items() if not department.region)
        self._places: Tree = {
            COUNTRY: (*self.places.regions, *alone, REST),
            **{region: self.places.within(region) for region in self.places.regions},
        }

    def close(self) -> None:
        """End what runs behind the pages."""
        self._memory.close()
        self._settled.close()

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """Something that was read, kept for a short while."""
        return self._memory.get(key, make)

    def renew(self) -> None:
        """Read everything anew: somebody changed an alert, and wants to see it."""
        self._memory.forget()  # what is settled stays: no act of a person changes it

    def now(self) -> date | None:
        """The newest day on which anything became known; None in an empty database."""
        return self.kept("now", self.counts.last_known)

    def snapshot(self) -> date | None:
        """The newest Sunday that is over and not after `now`: what those without the right to small counts see."""
        now = self.now()
        if now is None:
            return None
        day = min(now, self.clock().astimezone(UTC).date() - timedelta(days=1))
        return day - timedelta(days=(day.weekday() + 1) % 7)

    def allowed(self, choice: Choice, rights: Rights) -> Choice:
        """The nearest choice that these rights allow."""
        return choice.within(rights, self.snapshot())

    def curve(self, choice: Choice, rights: Rights) -> Curve:
        """A series and its verdicts, protected."""
        choice = self.allowed(choice, rights)
        key = ("curve", choice.query, choice.step, choice.span, rights)
        return self.kept(key, lambda: self._curve(choice, rights))

    def parts(self, choice: Choice, rights: Rights, by: str, week: date) -> Parts:
        """The parts of a series in one week, protected.

        Args:
            choice: the series.
            rights: of who asks.
            by: age, sex, region or department.
            week: its Monday.
        """
        choice = self.allowed(choice, rights)
        key = ("parts", choice.query, by, week, rights)
        return self.kept(key, lambda: self._parts(choice, rights, by, week))

    def divisible(self, choice: Choice, rights: Rights, by: str) -> bool:
        """Whether a series may be divided: what narrows it already does not divide it, and tables are crossed by right."""
        choice = self.allowed(choice, rights)
        narrowed = {"age": choice.age is not None, "sex": choice.sex is not None, "region": choice.place != COUNTRY}
        narrowed["department"] = choice.place in self.places.departments
        if narrowed[by]:
            return False
        if rights.small:
            return True
        others = choice.age is not None or choice.sex is not None
        return not others and (by in ("region", "department") or choice.place == COUNTRY)

    # how a series is judged

    def watch(self, choice: Choice) -> Watch:
        """As the rules of alerting have it; as their defaults have it where they do not name it."""
        name = series_id(choice.group, choice.place, choice.by, choice.age, choice.sex)
        found = self._watches.get(name)
        if found is None:
            found = self._watches[name] = self.rules.watch(
                choice.group, choice.place, choice.by, choice.age, choice.sex
            )
        return found

    def _detection(self, as_of: date) -> Detection:
        """One look at the counts, which knows delays and coverage of places."""
        return self._settled.get(("detection", as_of), lambda: Detection(self.counts, self.rules, as_of))

    def _examined(self, choice: Choice) -> Examined | None:
        """A series by days with what is still to come; None while the counts are empty."""
        as_of = choice.as_of or self.now()
        if as_of is None or self.counts.first_day() is None:
            return None
        watch = self.watch(choice)
        key = ("examined", watch.name, as_of)
        return self.kept(key, lambda: self._detection(as_of).examine(watch))

    def _judge(self, judge: Judge, weeks: Series, points: Sequence[int]) -> tuple[Verdict, ...]:
        return self._verdicts.judge(judge.name, weeks, judge.options, points)

    # curves

    def _curve(self, choice: Choice, rights: Rights) -> Curve:
        look = self._examined(choice) if _judgeable(choice) else None
        if look is None:
            return self._counted(choice) if rights.small else Curve((), choice.step, "", {})
        judge, weeks, shown = _method(look), look.days.weeks(), _shown(look)
        wanted = range(max(0, len(weeks) - choice.span), len(weeks))
        points = curves.weekly(shown.weeks(), look.nowcasts, self._judge(judge, weeks, wanted))
        if choice.step is Step.DAY:
            first = shown.day(len(shown) - 1) - timedelta(days=7 * choice.span - 1)
            points = curves.daily(shown, look.nowcasts, points, first)
        if not rights.small:
            points = curves.protected(points, self._hidden(choice))
        return Curve(points, choice.step, judge.name, judge.options)

    def _counted(self, choice: Choice) -> Curve:
        """A series that no rule judges, or an empty one: by source, of final results."""
        series = self.counts.series(choice.query, choice.step)
        steps = choice.span * (7 if choice.step is Step.DAY else 1)
        points = tuple(
            Point(series.day(i), series.day(i) + timedelta(days=series.step - 1), series.counts[i])
            for i in range(max(0, len(series) - steps), len(series))
        )
        return Curve(points, choice.step, "", {})

    def _hidden(self, choice: Choice) -> dict[date, bool]:
        """Whether each week of a series is hidden from those without the right to small counts."""
        by = "age" if choice.age is not None else "sex" if choice.sex is not None else "place"
        key = choice.age or choice.sex or choice.place
        hidden = self._hidden_cells(choice, by)
        return {day: key in cells for day, cells in hidden.items()}

    def _hidden_cells(self, choice: Choice, by: str) -> dict[date, frozenset[str]]:
        """Hidden cells of a table of all France, week by week."""
        whole = replace(choice, place=COUNTRY, age=None, sex=None)
        return self.kept(("hidden", whole.query, by), lambda: self._hide(whole, by))

    def _hide(self, choice: Choice, by: str) -> dict[date, frozenset[str]]:
        table = self._table(choice.query, by)
        tree = self._places if by == "place" else {COUNTRY: tuple(key for key in table if key != COUNTRY)}
        whole = table[COUNTRY]
        return {
            whole.day(i): hide(tree, COUNTRY, {key: series.counts[i] or 0.0 for key, series in table.items()})
            for i in range(len(whole))
        }

    # tables

    def _table(self, query: Query, by: str) -> dict[str, Series]:
        """Weekly series of a table: its total under `COUNTRY`, whatever place it is of, and all its parts."""
        return self.kept(("table", query, by), lambda: self._read(query, by))

    def _read(self, query: Query, by: str) -> dict[str, Series]:
        """The whole history, in two pieces: the older one is read seldom."""
        now = query.as_of or self.now()
        if now is None:
            return self._panel(query, by)
        cut = now - timedelta(days=now.weekday() + 7 * SETTLED_WEEKS)
        key = ("older", query, by, cut)
        older = self._settled.get(key, lambda: self._panel(replace(query, end=cut - timedelta(days=1)), by))
        first = self.counts.first_day()
        start = cut if first is None or any(len(series) for series in older.values()) else None
        newer = self._panel(replace(query, start=start), by)
        return {name: _joined(older[name], series) for name, series in newer.items()}

    def _panel(self, query: Query, by: str) -> dict[str, Series]:
        if by in ("age", "sex"):
            # Both tables of a page have one total.
            total = self.kept(("total", query), lambda: self.counts.series(query, Step.WEEK))
            if by == "age":
                return {COUNTRY: total, **self.counts.by_age(query, Step.WEEK)}
            parts = self.counts.by_sex(query, Step.WEEK)
            return {COUNTRY: total, **{sex.value: parts[sex.value] for sex in SEXES}}
        codes = [COUNTRY, *self.places.regions, *self.places.departments]
        panel = dict(self.counts.panel(query, codes, Step.WEEK))
        tops = [panel[code] for code in self._places[COUNTRY] if code != REST]
        counts = tuple(
            None if whole is None else max(0.0, whole - sum(top.counts[i] or 0.0 for top in tops))
            for i, whole in enumerate(panel[COUNTRY].counts)
        )
        return panel | {REST: replace(panel[COUNTRY], counts=counts)}

    def _parts(self, choice: Choice, rights: Rights, by: str, week: date) -> Parts:
        query = choice.query
        table = self._table(replace(query, place=COUNTRY) if _table_of(by) == "place" else query, _table_of(by))
        look = self._examined(choice) if _judgeable(choice) else None
        judged = _Judged.of(look) if look is not None else None
        points = {
            key: self._part(table[key], judged if key != REST else None, week) for key in self._rows(choice, by, table)
        }
        if not rights.small:
            hidden = self._hidden_cells(choice, _table_of(by)).get(week)
            points = {
                key: curves.protected([point], {week: hidden is None or key in hidden})[0]
                for key, point in points.items()
            }
        total = self._total(choice, look, week)
        if total is not None and not rights.small:
            (total,) = curves.protected([total], self._hidden(choice))
        return Parts(by, week, total, tuple(Part(key, point) for key, point in points.items()))

    def _total(self, choice: Choice, look: Examined | None, week: date) -> Point | None:
        """The point that a curve has there; None where the week is not held."""
        if look is None:
            series = self.counts.series(replace(choice.query, start=week, end=week + timedelta(days=6)), Step.WEEK)
            return Point(week, week + timedelta(days=6), series.counts[0]) if len(series) else None
        weeks = look.days.weeks()
        i = weeks.index(week)
        if not 0 <= i < len(weeks):
            return None
        return curves.weekly(_shown(look).weeks(), look.nowcasts, self._judge(_method(look), weeks, [i]))[0]

    def _rows(self, choice: Choice, by: str, table: Mapping[str, Series]) -> list[str]:
        if by in ("age", "sex"):
            return [key for key in table if key != COUNTRY]
        if by == "region":
            return list(self._places[COUNTRY])
        return list(self.places.departments if choice.place == COUNTRY else self.places.within(choice.place))

    def _part(self, series: Series, judged: _Judged | None, week: date) -> Point:
        """A row; the share of it that is here is that of the whole series."""
        i = series.index(week)
        if judged is None or not 0 <= i < len(series):
            count = series.counts[i] if 0 <= i < len(series) else None
            return Point(week, week + timedelta(days=6), count)
        verdicts = self._judge(judged.judge, _beside(series, judged.exposed), [i])
        point = curves.weekly(_beside(series, judged.shown), (), verdicts)[0]
        at = judged.shown.index(week)
        if point.share >= curves.NEARLY_ALL or not 0 <= at < len(judged.shown):
            return point
        estimate, low, high = foreseen(point.count, point.share, float(judged.shown.doubts()[at]))
        return replace(point, estimate=estimate, low=low, high=high)


@dataclass(frozen=True, slots=True)
class _Judged:
    """How a series is judged, for its parts: weeks with the share that is here, and with coverage besides."""

    judge: Judge
    shown: Series
    exposed: Series

    @classmethod
    def of(cls, look: Examined) -> _Judged:
        return cls(_method(look), _shown(look).weeks(), look.days.weeks())


def _method(look: Examined) -> Judge:
    """The method that a series was judged by: its own, or the other one where its history is too short for that."""
    other = look.watch.otherwise
    return other if other is not None and look.method == other.name else look.watch.method


def _shown(look: Examined) -> Series:
    """Days with the share of them that is here, whatever ever arrives."""
    return completed(replace(look.days, completeness=None, doubt=None), look.nowcasts)


def _judgeable(choice: Choice) -> bool:
    return choice.source is None and choice.status is Known.ALL


def _table_of(by: str) -> str:
    return "place" if by in ("region", "department") else by


def _joined(older: Series, newer: Series) -> Series:
    """Two pieces of a series, the second beginning where the first ends."""
    return replace(older, counts=older.counts + newer.counts) if len(older) else newer


def _beside(series: Series, other: Series) -> Series:
    """A series with completeness and doubt of another at the same weeks; whole and without doubt where it has none."""
    n, first = len(series), other.index(series.start)
    here = slice(max(0, -first), max(0, min(n, len(other) - first)))
    there = slice(first + here.start, first + here.stop)
    share, doubt = np.ones(n), np.zeros(n)
    if here.start < here.stop:
        share[here], doubt[here] = other.shares()[there], other.doubts()[there]
    return replace(series, completeness=tuple(share.tolist()), doubt=tuple(doubt.tolist()))
