"""What the script draws and what an SVG of a hand's width shows; both from points that are protected already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.detection.series import Step
from stream.web.language import Texts

WIDTH, HEIGHT = 160.0, 36.0
"""Units of a small drawing."""


def data(curve: Curve, t: Texts) -> dict[str, Any]:
    """Columns of the chart; times are seconds at noon UTC of each first day, so that no time zone moves a day."""
    points = curve.points
    return {
        "step": curve.step.name,
        "x": [datetime.combine(point.day, time(12), UTC).timestamp() for point in points],
        "labels": [label(point, curve.step, t) for point in points],
        **{
            name: [_short(getattr(point, name)) for point in points]
            for name in ("count", "estimate", "low", "high", "expected", "threshold")
        },
        "alarm": [i for i, point in enumerate(points) if point.alarm],
        "hidden": [i for i, point in enumerate(points) if point.hidden],
        "share": [_short(point.share, 3) for point in points],
    }


def label(point: Point, step: Step, t: Texts) -> str:
    """A step in words: a day; a week as ISO names it, with its days."""
    if step is Step.DAY:
        return t.day(point.day)
    iso = point.day.isocalendar()
    return t(
        "dashboard.week.long", year=str(iso.year), week=str(iso.week), first=t.day(point.day), last=t.day(point.last)
    )


def says(point: Point, step: Step, t: Texts) -> str:
    """A point in one sentence, for who hears the page and under the chart."""
    parts = [label(point, step, t)]
    if point.hidden:
        return f"{parts[0]}{t('dashboard.colon')} {t('dashboard.hidden.cell')}"
    if point.count is None:
        return f"{parts[0]}{t('dashboard.colon')} {t('dashboard.gap')}"
    found = [t("dashboard.point.count", count=point.count)]
    if point.estimate is not None and point.low is not None and point.high is not None:
        found.append(
            t("dashboard.point.estimate", estimate=round(point.estimate), low=round(point.low), high=round(point.high))
        )
    if point.expected is not None:
        found.append(t("dashboard.point.expected", expected=round(point.expected)))
    if point.threshold is not None:
        found.append(t("dashboard.point.threshold", threshold=round(point.threshold)))
    if point.alarm:
        found.append(t("dashboard.point.alarm"))
    return f"{parts[0]}{t('dashboard.colon')} {', '.join(found)}"


@dataclass(frozen=True, slots=True)
class Spark:
    """A small drawing: attributes of its SVG elements.

    Attributes:
        line: points of the counts.
        expected: points of what was expected; empty where nothing was.
        dots: centres of the alarms.
        last: centre of the newest count.
    """

    line: tuple[str, ...]
    expected: str
    dots: tuple[tuple[float, float], ...]
    last: tuple[float, float] | None


def spark(points: Sequence[Point]) -> Spark:
    """Small drawing of a series; gaps part the line."""
    levels = [point.level for point in points]
    top = max((value for point in points for value in (point.level, point.expected) if value is not None), default=1.0)
    top = max(top, 1.0)
    across = (WIDTH - 8) / max(1, len(points) - 1)

    def at(i: int, value: float) -> tuple[float, float]:
        return round(4 + i * across, 1), round(HEIGHT - 4 - (HEIGHT - 8) * value / top, 1)

    lines: list[list[str]] = [[]]
    for i, level in enumerate(levels):
        if level is None:
            lines.append([])
        else:
            x, y = at(i, level)
            lines[-1].append(f"{x},{y}")
    expected = " ".join(
        f"{x},{y}" for i, point in enumerate(points) if point.expected is not None for x, y in [at(i, point.expected)]
    )
    dots = tuple(
        at(i, level)
        for i, (point, level) in enumerate(zip(points, levels, strict=True))
        if point.alarm and level is not None
    )
    last = next((at(i, level) for i, level in reversed(list(enumerate(levels))) if level is not None), None)
    return Spark(tuple(" ".join(line) for line in lines if len(line) > 1), expected, dots, last)


def _short(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
