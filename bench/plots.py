"""Drawings of what was measured: how overload goes and comes back, a long time, how cost grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from stream.drawing import AMBER, BLUE, GREEN, GREY, INK, RED, drawn, svg

_COLOURS = (BLUE, AMBER, GREEN, RED, INK)
_WIDE = (7.2, 3.0)
Samples = Sequence[Mapping[str, Any]]
_ABOVE: Any = {
    "loc": "lower left",
    "bbox_to_anchor": (0.0, 1.02),
    "frameon": False,
    "fontsize": 9,
    "borderaxespad": 0.0,
}


def load(samples: Samples, phases: Mapping[str, Mapping[str, Any]]) -> str:
    """Lag and latency over the time of an overload."""
    title = "Lag and latency while more comes in than can be coded"
    with drawn(*_WIDE) as (figure, axes):
        axes.plot([s["at"] for s in samples], [s["lag"] for s in samples], color=BLUE, label="lag, certificates")
        axes.set_xlabel("seconds")
        axes.set_ylabel("certificates waiting")
        other = axes.twinx()
        timed = [s for s in samples if s["p99"] is not None]
        other.plot([s["at"] for s in timed], [s["p99"] for s in timed], color=RED, label="p99, seconds")
        other.set_ylabel("p99 of the latency, s")
        other.spines["right"].set_visible(True)
        for name, phase in phases.items():
            axes.axvline(phase["from_s"], color=GREY, linewidth=0.8)
            axes.annotate(f" {name}", (phase["from_s"], 0.97), xycoords=("data", "axes fraction"), va="top", fontsize=9)
        _legend(axes, other)
        return svg(figure, title, "calm, then more than can be coded, then less")


def memory(samples: Samples, title: str) -> str:
    """Memory of each process over time."""
    names = list(dict.fromkeys(name for s in samples for name in s["memory_mib"] if name != "feeder"))
    with drawn(*_WIDE) as (figure, axes):
        for name, colour in zip(names, _COLOURS, strict=False):
            told = [(s["at"] / 60, s["memory_mib"][name]) for s in samples if name in s["memory_mib"]]
            axes.plot([x for x, _ in told], [y for _, y in told], color=colour, label=name)
        axes.set_xlabel("minutes")
        axes.set_ylabel("resident MiB")
        axes.set_ylim(bottom=0)
        axes.legend(**_ABOVE, ncols=len(names))
        return svg(figure, title)


def partitions(found: Mapping[str, Any]) -> str:
    """Results a second of each partition, before and while one of them is slow."""
    title = f"Partition {found['slow']} {found['kind']}: what the others still get"
    with drawn(5.0, 2.6) as (figure, axes):
        for shift, (what, colour) in enumerate((("before", GREY), ("during", BLUE))):
            shares = found[what]
            places = [s["partition"] + shift * 0.4 for s in shares]
            axes.bar(places, [s["rate"] for s in shares], width=0.38, color=colour, label=what)
        axes.set_xticks([s["partition"] + 0.2 for s in found["before"]], [str(s["partition"]) for s in found["before"]])
        axes.set_xlabel("partition")
        axes.set_ylabel("results a second")
        axes.legend(**_ABOVE, ncols=2)
        return svg(figure, title)


def growth(rungs: Samples, what: str) -> str:
    """Certificates a second and processor time against certificates, partitions or workers."""
    title = f"Cost against {what}"
    with drawn(3.6, 2.6) as (figure, axes):
        values = [str(r["value"]) for r in rungs]
        axes.plot(values, [r["rate"] for r in rungs], color=BLUE, marker="o", label="certificates/s")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(what)
        axes.set_ylabel("certificates/s")
        other = axes.twinx()
        other.plot(
            values, [sum(r["cpu_ms"].values()) for r in rungs], color=AMBER, marker="s", label="processor ms each"
        )
        other.set_ylim(bottom=0)
        other.set_ylabel("processor ms each")
        other.spines["right"].set_visible(True)
        _legend(axes, other)
        return svg(figure, title)


def _legend(axes: Axes, other: Axes) -> None:
    """One legend for both scales, above the drawing."""
    lines, names = axes.get_legend_handles_labels()
    more, others = other.get_legend_handles_labels()
    axes.legend([*lines, *more], [*names, *others], **_ABOVE, ncols=2)
