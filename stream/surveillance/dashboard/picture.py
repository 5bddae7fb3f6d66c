"""Downloads: a chart as PNG, for reports. Drawn from points that are protected already."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

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
        days = [point.day for point in points]
        _line(axes, points, "expected", color=GREY, linewidth=1.6, label=t("dashboard.legend.expected"))
        _line(
            axes,
            points,
            "threshold",
            color=AMBER,
            linewidth=1.4,
            linestyle=(0, (4, 2)),
            label=t("dashboard.legend.threshold"),
        )
        band = [point for point in points if point.low is not None and point.high is not None]
        if band:
            axes.vlines(
                [point.day for point in band], [point.low for point in band], [point.high for point in band], color=_BAND,
                linewidth=6, label=t("dashboard.legend.estimate"),
            )  # fmt: skip
            axes.plot(
                [point.day for point in band],
                [point.estimate for point in band],
                color=BLUE,
                marker="_",
                markersize=8,
                linestyle="none",
            )
        _line(axes, points, "count", color=BLUE, linewidth=1.8, label=t("dashboard.legend.count"))
        alarms = [point for point in points if point.alarm and point.level is not None]
        if alarms:
            axes.plot(
                [point.day for point in alarms], [point.level for point in alarms], color=RED, marker="^", markersize=7,
                linestyle="none", label=t("dashboard.legend.alarm"),
            )  # fmt: skip
        for point in points:
            if point.hidden:
                axes.axvspan(point.day, point.last, color=_FAINT, linewidth=0)
        axes.set_ylim(bottom=0)
        if days:
            axes.set_xlim(days[0], points[-1].last)
        axes.set_title(title, color=INK, fontweight="bold")
        axes.set_ylabel(t(f"dashboard.axis.{found.step.name.lower()}"))
        axes.grid(axis="y", color=_FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, ncols=5, loc="upper left", bbox_to_anchor=(0, -0.1), fontsize=8.5)
        figure.text(0.01, -0.06, note, fontsize=7.5, color="#4a5865")
        out = io.BytesIO()
        figure.savefig(
            out,
            format="png",
            dpi=DPI,
            bbox_inches="tight",
            facecolor="white",
            metadata={"Title": title, "Software": None},
        )
        return out.getvalue()


def _line(axes: object, points: Sequence[Point], name: str, **style: object) -> None:
    """A line with gaps where nothing is shown."""
    values = [getattr(point, name) for point in points]
    if any(value is not None for value in values):
        axes.plot([point.day for point in points], [float("nan") if v is None else v for v in values], **style)  # type: ignore[attr-defined]
