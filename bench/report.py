"""The results as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Rung


def table(rungs: Sequence[Rung], against: Mapping[str, Mapping[str, float | None]]) -> Table:
    """Rungs with their ratios to the raw model and to the naive pipeline of the same run."""
    made = Table(title="certificates a second, one machine, one run", title_style="bold")
    made.add_column("rung", no_wrap=True)
    for name in ("certs/s", "lines/s", "ceiling", "× naive", "p50 ms", "p99 ms", "at /s"):
        made.add_column(name, justify="right")
    for rung in rungs:
        ratio, latency = against[rung.key], rung.latency
        made.add_row(
            rung.key, f"{rung.rate:,.0f}", f"{rung.lines_rate:,.0f}",
            _shown(ratio["of_ceiling"], "{:.0%}"), _shown(ratio["times_naive"], "{:.1f}"),
            _shown(latency.p50 * 1000 if latency else None, "{:.0f}"),
            _shown(latency.p99 * 1000 if latency else None, "{:.0f}"),
            _shown(latency.achieved if latency else None, "{:.0f}"),
        )  # fmt: skip
    return made


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def write(path: Path, content: Mapping[str, Any]) -> None:
    """The whole run as JSON; a run broken off leaves the file of the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)
