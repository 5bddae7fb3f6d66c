"""`causa detect`: a method of detection over any series."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from stream.errors import InvalidData, InvalidSettings

if TYPE_CHECKING:  # scipy and matplotlib take a while
    from stream.surveillance.detection.series import Series
    from stream.surveillance.detection.verdict import Verdict

COLUMNS = (
    "day", "observed", "expected", "threshold", "score", "p_value", "z", "alarm", "reason", "completeness",
)  # fmt: skip


def command(
    *,
    source: Annotated[
        Path | None, typer.Option("--csv", help="The series: columns day and count; population, completeness, doubt.")
    ] = None,
    method: Annotated[str, typer.Option(help="Name of the method; --options lists them.")] = "noufaily",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, by R's names; may be given again.")] = None,
    step: Annotated[Literal["auto", "day", "week"], typer.Option(help="What a line of the file is.")] = "auto",
    last: Annotated[int, typer.Option(min=1, help="Judge so many of the newest points.")] = 26,
    every: Annotated[bool, typer.Option("--all", help="Judge every point.")] = False,
    form: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="Of the answer.")] = "table",
    plot: Annotated[Path | None, typer.Option(help="Draw the series into this PNG or SVG.")] = None,
    options: Annotated[bool, typer.Option("--options", help="List methods and their options, with defaults.")] = False,
) -> None:
    """Judge a series of counts: is the newest larger than the past lets expect?

    Days are summed to weeks from Monday where the method wants weeks. An alarm is a count above the threshold.
    Examples: `causa detect --csv influenza.csv`, `causa detect --csv deaths.csv --method euromomo --all --plot out.png`,
    `causa detect --csv s.csv --method farringtonFlexible --option b=4 --option alpha=0.01 --option exclude=2020:2022`

    Exit status: 0; 2 a file, a method or an option is not as it should be.
    """
    from stream.surveillance.detection import methods, table

    if options:
        for name, values in methods.described().items():
            typer.echo(f"{name}: {', '.join(f'{key}={_shown(value)}' for key, value in values.items())}")
        return
    if source is None:
        raise InvalidSettings("no series", hint="--csv FILE")
    from stream.surveillance.detection.series import Step

    try:
        series = table.read(source, {"auto": None, "day": Step.DAY, "week": Step.WEEK}[step])
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(
            f"{source} cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8'}"
        ) from None
    except csv.Error as error:
        raise InvalidData(f"{source} is no CSV file: {error}") from None
    known = methods.METHODS.get(method)
    judged = series.weeks() if known is not None and known.weekly else series
    points = range(len(judged)) if every else range(max(0, len(judged) - last), len(judged))
    verdicts = methods.judge(method, judged, _options(option or []), points)
    if plot is not None:
        _plotted(judged, verdicts, method, source.stem, plot)
    rows = [_row(judged, verdict) for verdict in verdicts]
    if form == "json":
        typer.echo(json.dumps({"method": method, "points": rows}, indent=1))
    elif form == "csv":
        lines = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(rows)
    else:
        _table(rows, method)


def _options(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or not name.strip():
            raise InvalidSettings(f"option {text!r} is no NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _row(series: Series, verdict: Verdict) -> dict[str, Any]:
    share = series.shares()[series.index(verdict.day)] if series.completeness is not None else None
    return {
        "day": verdict.day.isoformat(), "observed": verdict.observed, "expected": _rounded(verdict.expected),
        "threshold": _rounded(verdict.threshold), "score": _rounded(verdict.score),
        "p_value": None if verdict.p_value is None else float(f"{verdict.p_value:.6g}"), "z": _rounded(verdict.z),
        "alarm": verdict.alarm, "reason": verdict.reason.value if verdict.reason else None,
        "completeness": None if share is None else round(float(share), 4),
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    """For reading, and for JSON, which knows no infinity."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def _shown(value: Any) -> str:
    return (
        ",".join(map(str, value))
        if isinstance(value, tuple)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _table(rows: list[dict[str, Any]], method: str) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table("day", "observed", "expected", "threshold", "score", "p", "", title=method)
    for row in rows:
        mark = "[bold red]ALARM[/]" if row["alarm"] else row["reason"] or ""
        cells = [_cell(row[name]) for name in ("observed", "expected", "threshold", "score", "p_value")]
        shown.add_row(row["day"], *cells, mark)
    Console().print(shown)
    typer.echo(f"{sum(row['alarm'] for row in rows)} alarms in {len(rows)} points")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, int) or value == int(value) else f"{value:.4g}"


def _plotted(series: Series, verdicts: tuple[Verdict, ...], method: str, name: str, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".svg"):
        raise InvalidSettings(f"{path} is neither a PNG nor an SVG by its name")
    from stream.drawing import BLUE, GREY, INK, RED, drawn

    days: Any = [series.day(i) for i in range(len(series))]  # matplotlib takes days, its types do not say so
    counts = [float("nan") if count is None else count for count in series.counts]
    with drawn(10, 4) as (figure, axes):
        axes.step(days, counts, where="mid", color=INK, linewidth=1, label="observed")
        told = [(verdict.day, verdict) for verdict in verdicts]
        for field, colour, style in (("expected", BLUE, "-"), ("threshold", RED, "--")):
            points = [(day, getattr(verdict, field)) for day, verdict in told if getattr(verdict, field) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=1, label=field)
        alarms = [(day, verdict.observed) for day, verdict in told if verdict.alarm]
        if alarms:
            axes.plot(*zip(*alarms, strict=True), "^", color=RED, markersize=6, linestyle="none", label="alarm")
        axes.set_title(f"{name}, {method}")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GREY, alpha=0.3)
        axes.legend(frameon=False, loc="upper left", fontsize=8)
        try:
            figure.savefig(path, dpi=150, bbox_inches="tight")
        except OSError as error:
            raise InvalidSettings(f"{path} cannot be written: {error.strerror}") from None
