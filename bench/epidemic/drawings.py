"""Drawings of the study: what is found how soon, at which price, and one outbreak as an office saw it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.epidemic import series, tables, world
from bench.epidemic.delays import IS
from bench.epidemic.scores import NOWCAST
from stream.drawing import AMBER, BLUE, GREEN, GREY, INK, RED, drawn, svg

Found = Mapping[str, Any]
SHOWN: Mapping[str, tuple[str, str]] = {
    NOWCAST: (BLUE, "-"), "flexible Farrington": (BLUE, ":"), "Farrington 1996": (GREEN, ":"), "EARS C3": (AMBER, "-"),
    "EARS C2 on arrivals": (RED, "-"), "fixed threshold": (GREY, "-"),
}  # fmt: skip
"""Methods that are drawn; the tables hold all."""
_TITLES = {"electronic": "all electronic", "was": "as it was", "is": "as it is"}
_FAR = 45
"""Days drawn; what is found later, or by fewer than half, leaves the drawing at its top."""


def found(target: Found, shape: str) -> str:
    """Sensitivity and median days to the alert by size of the outbreak, one column for each scenario."""
    title = f"Outbreaks in {target['text']}: {shape}"
    with drawn(8.4, 4.6) as (figure, axes):
        axes.remove()
        grid = figure.subplots(2, len(_TITLES), sharex=True, sharey="row")
        for column, (scenario, name) in enumerate(_TITLES.items()):
            upper, lower = grid[0][column], grid[1][column]
            for method, (colour, style) in SHOWN.items():
                sizes = target["scenarios"][scenario][method]["outbreaks"][shape]
                x = [int(size) for size in sizes]
                share = [one["sensitivity"]["value"] for one in sizes.values()]
                upper.plot(x, share, color=colour, linestyle=style, marker="o", markersize=3, label=method)
                days = [one["median_days"]["value"] for one in sizes.values()]
                lower.plot(
                    x, [np.nan if value is None else value for value in days], color=colour, linestyle=style, marker="o",
                    markersize=3,
                )  # fmt: skip
            upper.set_title(name)
            upper.set_xscale("log")
            upper.set_ylim(0, 1.03)
            lower.set_xlabel("excess deaths")
            lower.set_xticks(x, [f"{size:,}" for size in x])
            lower.minorticks_off()
        grid[0][0].set_ylabel("share found")
        grid[1][0].set_ylabel("median days to the alert")
        grid[1][0].set_ylim(bottom=0)
        figure.tight_layout()
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
        return svg(
            figure, title, "share found and median days from the first excess death by size, at equal false alarms"
        )


def price(targets: Sequence[Found], shape: str) -> str:
    """Median days to the alert against false alerts a year (an AMOC), for the middle size of each target."""
    with drawn(8.4, 2.9) as (figure, axes):
        axes.remove()
        grid = figure.subplots(1, len(targets), squeeze=False)
        for place, target in zip(grid[0], targets, strict=True):
            middle = ""
            for method, (colour, style) in SHOWN.items():
                curve = target["scenarios"][IS.name][method]["curve"]
                sizes = list(curve[0][shape])
                middle = sizes[len(sizes) // 2]
                x = [one["measured"] for one in curve]
                y = [one[shape][middle]["median_days"] for one in curve]
                place.plot(
                    x, [np.nan if v is None else v for v in y], color=colour, linestyle=style, marker="o", markersize=3,
                    label=method,
                )  # fmt: skip
            place.set_title(f"{target['text'].replace(', ', chr(10))}\n{int(middle):,} deaths", fontsize=9)
            place.set_xscale("log")
            place.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
            place.minorticks_off()
            place.set_ylim(0, _FAR)
            place.set_xlabel("false alerts a year")
        grid[0][0].set_ylabel("median days to the alert")
        figure.tight_layout()
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)
        return svg(figure, "Days to the alert against false alerts", "France as it is, sudden outbreaks")


def artefact(targets: Mapping[str, Found]) -> str:
    """False alerts where the electronic share rises slowly and steeply, with the completeness offset and without."""
    with drawn(6.4, 2.6) as (figure, axes):
        labels, place = [], 0.0
        for target in targets.values():
            for way, colour in (("without offset", RED), ("with completeness offset", BLUE)):
                for kind in ("slow", "steep"):
                    told = target[way][kind]
                    axes.barh(place, told["value"], color=colour, alpha=0.45 if kind == "slow" else 1.0, height=0.8)
                    axes.plot([told["low"], told["high"]], [place, place], color=INK, linewidth=1)
                    labels.append((place, f"{target['text'].split(', ')[1]}, {way.split()[0]} offset, {kind}"))
                    place += 1
            place += 0.6
        axes.set_yticks([at for at, _ in labels], [name for _, name in labels], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel("false alerts a year")
        return svg(figure, "A rising electronic share taken for an epidemic", "false alerts a year with intervals")


def outbreak(told: Found, size_text: str) -> str:
    """One outbreak of the year that went through the pipeline, evening by evening."""
    looks = [one for one in told["looks"] if one["expected"] is not None]
    days = [_number(date.fromisoformat(one["day"])) for one in looks]
    with drawn(7.2, 3.0) as (figure, axes):
        axes.plot(days, [one["known"] for one in looks], color=GREY, label="known that evening")
        nowcast = [one["known"] / one["completeness"] if one["completeness"] >= 0.1 else np.nan for one in looks]
        axes.plot(days, nowcast, color=BLUE, label="nowcast")
        axes.plot(days, [one["expected"] for one in looks], color=GREEN, label="expected")
        limits = [np.nan if one["threshold"] is None else one["threshold"] for one in looks]
        axes.plot(days, limits, color=RED, linewidth=1, label="threshold")
        first = _number(date.fromisoformat(told["first_death"]))
        axes.axvline(first, color=INK, linewidth=0.8)
        _mark(axes, first, "first death")
        for way, name in (("nowcast", "alert"), ("raw", "alert without nowcast")):
            after = told["days_to_alert"][way]
            if after is not None:
                at = first + after
                axes.axvline(at, color=BLUE if way == "nowcast" else GREY, linewidth=0.8, linestyle="--")
                _mark(axes, at, name, 0.85 if way == "nowcast" else 0.75)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("deaths of the week that ends")
        months = [day for number in range(int(days[0]), int(days[-1])) if (day := date.fromordinal(number)).day == 1]
        axes.set_xticks([_number(day) for day in months], [f"{day:%b}" for day in months])
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.02), frameon=False, ncols=4, fontsize=9)
        return svg(figure, f"An outbreak as it was seen: {told['name']}", size_text)


def simulated(seed: int = 1) -> str:
    """Eight years of one simulated series by week."""
    target = series.TARGETS["lung-fr"]
    rates = series.rates(target, world.world(seed), IS)
    one = series.draw(target, rates, (seed,))
    weeks = one.deaths[: world.DAYS // 7 * 7].reshape(-1, 7).sum(axis=1)
    days = [_number(world.FIRST + timedelta(days=7 * week)) for week in range(len(weeks))]
    with drawn(7.2, 2.4) as (figure, axes):
        axes.plot(days, weeks, color=BLUE, linewidth=0.9)
        axes.set_ylim(bottom=0)
        januaries = [date(year, 1, 1) for year in range(world.FIRST.year, world.LAST.year + 2)]
        axes.set_xticks([_number(day) for day in januaries], [str(day.year) for day in januaries])
        axes.set_ylabel("deaths a week")
        return svg(figure, "One simulated series", f"{target.text}: {tables.ALL_CAUSES} left aside, eight years")


def _number(day: date) -> float:
    return float(day.toordinal())


def _mark(axes: Axes, at: float, text: str, height: float = 0.95) -> None:
    axes.annotate(f" {text}", (at, height), xycoords=("data", "axes fraction"), fontsize=8, va="top")
