"""The results as tables for the console and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Goal, Ratios, Rung

RESULTS = Path(__file__).parent / "results"


def table(rungs: Sequence[Rung], against: Ratios) -> Table:
    """Rungs with their ratios to others of the same run."""
    made = _table("certificates a second, one machine, one run", "rung")
    for name in ("certs/s", "lines/s", "ceiling", "offline", "at least once", "× naive", "p50 ms", "p99 ms", "at /s"):
        made.add_column(name, justify="right")
    for rung in rungs:
        ratio, latency = against[rung.key], rung.latency
        made.add_row(
            rung.key, f"{rung.rate:,.0f}", f"{rung.lines_rate:,.0f}",
            *(shown(ratio.get(name), "{:.0%}") for name in ("of_ceiling", "of_offline", "of_at_least_once")),
            shown(ratio.get("times_naive"), "{:.1f}"),
            shown(latency.p50 * 1000 if latency else None, "{:.0f}"),
            shown(latency.p99 * 1000 if latency else None, "{:.0f}"),
            shown(latency.achieved if latency else None, "{:.0f}"),
        )  # fmt: skip
    return made


def processes(rungs: Sequence[Rung]) -> Table:
    """Processor time of each certificate by process, and the most memory that each held."""
    names = processes_of([dict(r.cpu_ms) for r in rungs])
    made = _table("processor ms a certificate (memory, MiB) by process", "rung")
    for name in (*names, "all"):
        made.add_column(name, justify="right")
    for rung in rungs:
        cells = [
            f"{rung.cpu_ms[name]:.2f} ({rung.memory_mib.get(name, 0.0):,.0f})" if name in rung.cpu_ms else "–"
            for name in names
        ]
        made.add_row(rung.key, *cells, f"{sum(rung.cpu_ms.values()):.2f}")
    return made


def processes_of(found: Sequence[Mapping[str, float]]) -> list[str]:
    """Names of all processes: what codes first, then the models and servers."""
    last = ("worker", "kafka", "triton", "model coder", "model underlying", "feeder")
    names = list(dict.fromkeys(name for one in found for name in one))
    return [n for n in names if n not in last] + [n for n in last if n in names]


def goals(found: Sequence[Goal]) -> Table:
    """What was to be shown, and what this run shows."""
    made = _table("goals", "goal")
    for name in ("wanted", "measured", "met"):
        made.add_column(name, justify="right")
    for goal in found:
        said = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "–"}[goal.met]
        made.add_row(
            goal.what, f"{'<' if goal.most else '≥'} {round(goal.wanted, 2):g}", shown(goal.measured, "{:g}"), said
        )
    return made


def _table(title: str, first: str) -> Table:
    made = Table(title=title, title_style="bold")
    made.add_column(first, no_wrap=True)
    return made


def shown(value: float | None, form: str) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else form.format(value)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """The whole run as JSON; a run broken off leaves the file of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """What a run wrote; None where none did."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(content, dict)
    return content
