"""One series as a chart and its table show it: counts, what is still to come, what is expected, what is an alarm.

Everything is told in deaths of the step in all: what a method expects of the share that is here is divided by that
share, as the nowcast is. An alarm stands where the estimate is above the threshold, as the method has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from stream.surveillance.alerts.judging import foreseen
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
        doubt: standard error of the logarithm of `share`.
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
    doubt: float = 0.0

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
        doubt = float(weeks.doubts()[weeks.index(verdict.day)])
        point = Point(verdict.day, verdict.day + timedelta(days=6), count, share=min(1.0, share), doubt=doubt)
        if ahead and count is not None and share < NEARLY_ALL:
            estimate, low, high = _week(count, ahead)
            point = replace(point, estimate=estimate, low=low, high=high)
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

    All that is shown follows from the rounded count, the share, and the baseline of other weeks: an estimate made of the
    count itself, a score, or an alarm by it would tell the count to the unit.
    """
    return tuple(_hidden(point) if hidden.get(point.day, True) else _published(point) for point in points)


def _hidden(point: Point) -> Point:
    return Point(point.day, point.last, None, hidden=True, share=round(point.share, 2))


def _published(point: Point) -> Point:
    count = None if point.count is None else float(rounded(point.count))
    share = round(point.share, 2)
    estimate = low = high = None
    if point.estimate is not None:
        estimate, low, high = foreseen(count, share, round(point.doubt, 2))
    found = Point(
        point.day, point.last, count, False, share, _round(estimate, ROUND), _round(low, ROUND), _round(high, ROUND),
        _round(point.expected, 1), _round(point.threshold, 1), reason=point.reason,
    )  # fmt: skip
    above = found.level is not None and found.threshold is not None and found.level > found.threshold
    return replace(found, alarm=above)


def _round(value: float | None, to: int) -> float | None:
    return None if value is None else float(rounded(value, to))


def _judged(point: Point, verdict: Verdict, share: float) -> Point:
    whole = 1 / share if share > 0 else math.nan
    return replace(
        point,
        expected=None if verdict.expected is None or math.isnan(whole) else verdict.expected * whole,
        threshold=None if verdict.threshold is None or math.isnan(whole) else verdict.threshold * whole,
        alarm=verdict.alarm, z=verdict.z, p_value=verdict.p_value, reason=verdict.reason,
    )  # fmt: skip


def _week(count: float, ahead: Sequence[Nowcast]) -> tuple[float | None, float | None, float | None]:
    """Estimate and bounds of a week from its days.

    What the delays leave in doubt is the same for all days and adds up; chance does not, and adds by squares.
    """
    estimate, common = count, 0.0
    below = above = 0.0
    for day in ahead:
        if day.estimate is None or day.low is None or day.high is None:
            return None, None, None
        estimate += day.estimate - day.reported
        doubt = _NORMAL * day.doubt * day.estimate
        common += doubt
        below += max(0.0, (day.estimate - day.low) ** 2 - doubt**2)
        above += max(0.0, (day.high - day.estimate) ** 2 - doubt**2)
    low, high = estimate - math.hypot(common, math.sqrt(below)), estimate + math.hypot(common, math.sqrt(above))
    return estimate, max(count, low), max(count, high)


_NORMAL = 1.96
