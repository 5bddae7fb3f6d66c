"""One series as a chart and its table show it: counts, what is still to come, what is expected, what is an alarm.

Everything is told in deaths of the step in all: what a method expects of the share that is here is divided by that
share, as the nowcast is. An alarm stands where the estimate is above the threshold, as the method has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from stream.surveillance.dashboard.suppression import ROUND, rounded
from stream.surveillance.detection.nowcast import Nowcast
from stream.surveillance.detection.series import Series, Step
from stream.surveillance.detection.verdict import Reason, Verdict

NEARLY_ALL = 0.995
"""A step of which so much is here is drawn without a nowcast."""
MOSTLY = 0.8
"""The newest week of which so much is here is the one that tables and map begin with."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step.

    Attributes:
        day, last: first and last day.
        count: deaths that are here; None for a gap, or where `hidden`.
        hidden: not shown for want of the right to small counts.
        share: of the step's deaths that is here, as estimated, 0 to 1.
        estimate, low, high: deaths in all and bounds of them; None where they are all here, or nothing is known.
        expected, threshold: by the baseline, in deaths in all; None where it was not judged.
        alarm: above the threshold.
        z, p_value: of the verdict.
        reason: why it was not judged.
    """

    day: date
    last: date
    count: float | None
    hidden: bool = False
    share: float = 1.0
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    threshold: float | None = None
    alarm: bool = False
    z: float | None = None
    p_value: float | None = None
    reason: Reason | None = None

    @property
    def level(self) -> float | None:
        """The best figure of the deaths in all."""
        return self.count if self.estimate is None else self.estimate

    @property
    def excess(self) -> float | None:
        """Deaths above what is expected, as a share of it."""
        if self.level is None or self.expected is None or self.expected < 1:
            return None
        return self.level / self.expected - 1


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a series, oldest first, and the method that judged them."""

    points: tuple[Point, ...]
    step: Step
    method: str
    options: Mapping[str, str]

    @property
    def newest(self) -> Point | None:
        """The last point of all."""
        return self.points[-1] if self.points else None

    @property
    def settled(self) -> Point | None:
        """The newest point of which most is here; the newest of all where that is so of none."""
        return next((point for point in reversed(self.points) if point.share >= MOSTLY), self.newest)

    def at(self, day: date) -> Point | None:
        """The point that holds a day."""
        return next((point for point in reversed(self.points) if point.day <= day <= point.last), None)


def weekly(weeks: Series, nowcasts: Sequence[Nowcast], verdicts: Sequence[Verdict]) -> tuple[Point, ...]:
    """Points of those weeks that verdicts speak of."""
    by_day = {nowcast.day: nowcast for nowcast in nowcasts if nowcast.share < NEARLY_ALL}
    points = []
    for verdict in verdicts:
        ahead = [by_day[day] for i in range(7) if (day := verdict.day + timedelta(days=i)) in by_day]
        count = weeks.counts[weeks.index(verdict.day)]
        share = float(weeks.shares()[weeks.index(verdict.day)])
        point = Point(verdict.day, verdict.day + timedelta(days=6), count, share=min(1.0, share))
        if ahead and count is not None and share < NEARLY_ALL:
            point = replace(point, **_week(count, ahead))
        points.append(_judged(point, verdict, share))
    return tuple(points)


def daily(days: Series, nowcasts: Sequence[Nowcast], weeks: Sequence[Point], first: date) -> tuple[Point, ...]:
    """Points of the days from `first` on; each is expected to be a seventh of its week, and is not judged by itself.

    Days of a week that has no verdict yet take that of the week before.
    """
    by_day = {nowcast.day: nowcast for nowcast in nowcasts}
    expected: float | None = None
    by_week = {point.day: point.expected for point in weeks}
    points = []
    for i in range(max(0, days.index(first)), len(days)):
        day = days.day(i)
        expected = by_week.get(day - timedelta(days=day.weekday()), expected)
        share = min(1.0, float(days.shares()[i]))
        point = Point(day, day, days.counts[i], share=share, expected=None if expected is None else expected / 7)
        nowcast = by_day.get(day)
        if nowcast is not None and share < NEARLY_ALL:
            point = replace(point, estimate=nowcast.estimate, low=nowcast.low, high=nowcast.high)
        points.append(point)
    return tuple(points)


def protected(points: Sequence[Point], hidden: Mapping[date, bool]) -> tuple[Point, ...]:
    """Points as they are shown to those without the right to small counts; a step that is not named is hidden.

    Scores and p values would tell a count to the unit: they are left out.
    """
    found = []
    for point in points:
        if hidden.get(point.day, True):
            found.append(Point(point.day, point.last, None, hidden=True, share=round(point.share, 2)))
            continue
        values = {
            name: None if (value := getattr(point, name)) is None else float(rounded(value, to))
            for to, names in ((ROUND, ("count", "estimate", "low", "high")), (1, ("expected", "threshold")))
            for name in names
        }
        found.append(replace(point, share=round(point.share, 2), z=None, p_value=None, **values))
    return tuple(found)


def _judged(point: Point, verdict: Verdict, share: float) -> Point:
    whole = 1 / share if share > 0 else math.nan
    return replace(
        point,
        expected=None if verdict.expected is None or math.isnan(whole) else verdict.expected * whole,
        threshold=None if verdict.threshold is None or math.isnan(whole) else verdict.threshold * whole,
        alarm=verdict.alarm, z=verdict.z, p_value=verdict.p_value, reason=verdict.reason,
    )  # fmt: skip


def _week(count: float, ahead: Sequence[Nowcast]) -> dict[str, float | None]:
    """Estimate and bounds of a week from its days.

    What the delays leave in doubt is the same for all days and adds up; chance does not, and adds by squares.
    """
    if any(day.estimate is None for day in ahead):
        return {"estimate": None, "low": None, "high": None}
    estimate = count + sum((day.estimate or 0.0) - day.reported for day in ahead)
    common = sum(_NORMAL * day.doubt * (day.estimate or 0.0) for day in ahead)
    bounds = {}
    for name, sign in (("low", -1), ("high", 1)):
        chance = 0.0
        for day in ahead:
            reach = abs((getattr(day, name) or 0.0) - (day.estimate or 0.0))
            chance += max(0.0, reach**2 - (_NORMAL * day.doubt * (day.estimate or 0.0)) ** 2)
        bounds[name] = max(count, estimate + sign * math.hypot(common, math.sqrt(chance)))
    return {"estimate": estimate, **bounds}


_NORMAL = 1.96
