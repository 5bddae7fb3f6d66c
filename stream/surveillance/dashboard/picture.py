"""Downloads: a chart as PNG, for reports. Drawn from points that are protected already."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Sequence
from datetime import date
from typing import Any

from matplotlib.axes import Axes
from matplotlib.dates import date2num

from stream.drawing import AMBER, BLUE, GREY, INK, RED, drawn
from stream.surveillance.dashboard.curve import Curve, Point
from stream.web.language import Texts

DPI = 160
_BAND, _FAINT = "#9dc0f5", "#dbe2e9"
_lock = threading.Lock()  # matplotlib's settings are one for all threads


def curve(found: Curve, title: str, note: str, t: Texts) -> bytes:
    """A series with what is still to come, what is expected and the threshold.

    Args:
        found: the series.
        title: above it.
        note: below it: method, state of knowledge, source.
        t: texts.
    """
    points = found.points
    with _lock, drawn(9.0, 4.2) as (figure, axes):
        axes.xaxis_date()
        _line(axes, points, "expected", color=GREY, linewidth=1.6, label=t("dashboard.legend.expected"))
        _line(
            axes, points, "threshold", color=AMBER, linewidth=1.4, linestyle=(0, (4, 2)),
            label=t("dashboard.legend.threshold"),
        )  # fmt: skip
        band = [point for point in points if point.low is not None and point.high is not None]
        if band:
            low, high = ([_number(getattr(point, name)) for point in band] for name in ("low", "high"))
            axes.vlines(_days(band), low, high, color=_BAND, linewidth=6, label=t("dashboard.legend.estimate"))
            middle = [_number(point.estimate) for point in band]
            axes.plot(_days(band), middle, color=BLUE, marker="_", markersize=8, linestyle="none")
        _line(axes, points, "count", color=BLUE, linewidth=1.8, label=t("dashboard.legend.count"))
        alarms = [point for point in points if point.alarm and point.level is not None]
        if alarms:
            levels = [_number(point.level) for point in alarms]
            axes.plot(
                _days(alarms), levels, color=RED, marker="^", markersize=7, linestyle="none",
                label=t("dashboard.legend.alarm"),
            )  # fmt: skip
        for point in points:
            if point.hidden:
                axes.axvspan(_day(point.day), _day(point.last), color=_FAINT, linewidth=0)
        axes.set_ylim(bottom=0)
        if len(points) > 1:
            axes.set_xlim(_day(points[0].day), _day(points[-1].last))
        axes.set_title(title, color=INK, fontweight="bold")
        axes.set_ylabel(t(f"dashboard.axis.{found.step.name.lower()}"))
        axes.grid(axis="y", color=_FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, ncols=5, loc="upper left", bbox_to_anchor=(0, -0.1), fontsize=8.5)
        figure.text(0.01, -0.06, note, fontsize=7.5, color="#4a5865")
        out = io.BytesIO()
        about = {"Title": title, "Software": None}
        figure.savefig(out, format="png", dpi=DPI, bbox_inches="tight", facecolor="white", metadata=about)
        return out.getvalue()


def _line(axes: Axes, points: Sequence[Point], name: str, **style: Any) -> None:
    """A line with gaps where nothing is shown."""
    values = [_number(getattr(point, name)) for point in points]
    if not all(map(math.isnan, values)):
        axes.plot(_days(points), values, **style)


def _days(points: Sequence[Point]) -> list[float]:
    return [_day(point.day) for point in points]


def _day(day: date) -> float:
    return float(date2num(day))  # type: ignore[no-untyped-call]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
