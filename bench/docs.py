"""Puts the figures of the last runs into docs/performance.md, between the marks that stand there, and draws the plots."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console

from bench import plots, report
from bench.report import shown
from stream.errors import InvalidData
from stream.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"
NAMES = ("ladder", "overload", "soak", "scale")
_PLACE = re.compile(r"<!-- bench:(\w+) -->\n.*?<!-- /bench -->", re.DOTALL)
Found = Mapping[str, Any]


def write(console: Console) -> int:
    """Fill the page from bench/results; runs that are not there leave their part as it is. The exit status.

    Raises:
        InvalidData: the page has no place for what was measured.
    """
    parts: dict[str, str] = {}
    for name in NAMES:
        found = report.read(report.RESULTS / f"{name}.json")
        if found is None:
            console.print(f"{name}: not measured yet")
            continue
        if found["quick"]:
            console.print(f"[yellow]{name}: a quick run, fit to see that it works[/yellow]")
        parts |= PARTS[name](found) | pictures(name, found)
        for file, drawing in drawings(name, found).items():
            (PAGE.parent / file).write_text(drawing, encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    console.print(f"{', '.join(parts) or 'nothing'} written to {PAGE}")
    return 0


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page with its parts in their places.

    Raises:
        InvalidData: a part has no place.
    """
    places = set(_PLACE.findall(page))
    if missing := set(parts) - places:
        raise InvalidData(f"{PAGE.name}: no place for {', '.join(sorted(missing))}")

    def put(found: re.Match[str]) -> str:
        name = found[1]
        return f"<!-- bench:{name} -->\n{parts[name]}\n<!-- /bench -->" if name in parts else found[0]

    return _PLACE.sub(put, page)


def _ladder(found: Found) -> dict[str, str]:
    rungs = found["rungs"]
    heads = ("certs/s", "of the ceiling", "of the offline core", "of at least once", "× naive", "p50 ms", "p99 ms")
    rows = []
    for rung in rungs:
        latency = rung["latency"]
        rows.append([
            rung["what"], f"{rung['rate']:,.0f}",
            *(shown(rung[name], "{:.0%}") for name in ("of_ceiling", "of_offline", "of_at_least_once")),
            shown(rung["times_naive"], "{:.1f}"),
            shown(latency and latency["p50"] * 1000, "{:.0f}"), shown(latency and latency["p99"] * 1000, "{:.0f}"),
        ])  # fmt: skip
    names = report.processes_of([r["cpu_ms"] for r in rungs])
    used = [
        [r["key"], *(shown(r["cpu_ms"].get(n), "{:.2f}") for n in names), f"{sum(r['cpu_ms'].values()):.2f}"]
        for r in rungs
    ]
    held = [[r["key"], *(shown(r["memory_mib"].get(n), "{:,.0f}") for n in names)] for r in rungs]
    goals = [
        [g["what"], f"{'<' if g['most'] else '≥'} {round(g['wanted'], 2):g}", shown(g["measured"], "{:g}"),
         {True: "yes", False: "**no**", None: "–"}[g["met"]]]
        for g in found["goals"]
    ]  # fmt: skip
    cached = next((r for r in rungs if r["key"] == "cached"), None)
    hits = cached["notes"].get("coder_cached") if cached else None
    left = "".join(f"\n\nNot run: {key}: {why}" for key, why in found["failed"].items())
    return {
        "ladder": f"{_when(found)}\n\n{_table(('rung', *heads), rows)}\n\nThe cache answered {shown(hits, '{:.1%}')} of the "
        f"lines of its rung.{left}",
        "goals": _table(("goal", "wanted", "measured", "met"), goals),
        "processes": _table(("processor ms a certificate", *names, "all"), used),
        "memory": _table(("most memory, MiB", *names), held),
    }


def _overload(found: Found) -> dict[str, str]:
    pressed = found["overload"]
    heads = ("from s", "published/s", "answered/s", "largest lag", "lag at the end", "p50 s", "p99 s", "worker MiB")
    keys = ("from_s", "published_per_s", "answered_per_s", "largest_lag", "lag_at_the_end", "p50", "p99", "worker_mib")
    rows = [[name, *(f"{phase[key]:,}" for key in keys)] for name, phase in pressed["phases"].items()]
    recovered = pressed["recovered_s"]
    parts = {
        "overload": f"{_when(found)} Capacity {pressed['capacity']:,} certificates/s.\n\n{_table(('phase', *heads), rows)}\n\n"
        f"Rebalances: {pressed['rebalances']}. Latency as before: "
        + (f"{recovered} s after the overload ended." if recovered is not None else "never in this run.")
    }
    for kind, one in found["slow_partition"].items():
        pairs = zip(one["before"], one["during"], strict=True)
        shares = [
            [str(a["partition"]), *(f"{s[k]:,.2f}" for s in (a, b) for k in ("rate", "p50", "p99", "silence_s"))]
            for a, b in pairs
        ]
        names = ("partition", "before: /s", "p50 s", "p99 s", "silent s", "during: /s", "p50 s", "p99 s", "silent s")
        parts[f"slow_{kind}"] = f"{_table(names, shares)}\n\nDead letters: {one['dead']}."
    return parts


def _soak(found: Found) -> dict[str, str]:
    rows = [
        [name, f"{s['first_mib']:,.0f}", f"{s['last_mib']:,.0f}", f"{s['mib_per_hour']:+.1f}"]
        for name, s in found["slopes"].items()
    ]
    low, high = found["connections"]
    return {
        "soak": f"{_when(found)} {found['minutes']:g} minutes at {found['rate']:,} certificates/s, {found['published']:,} in "
        f"all.\n\n{_table(('process', 'first MiB', 'last MiB', 'MiB an hour'), rows)}\n\nConnections of the worker: {low} to "
        f"{high}. Latency p50 {found['p50'] * 1000:.0f} ms, p99 {found['p99'] * 1000:.0f} ms. Rebalances "
        f"{found['rebalances']}, dead letters {found['dead']}, results written twice {found['twice']}."
    }


def _scale(found: Found) -> dict[str, str]:
    parts = []
    for what in ("certificates", "partitions", "workers"):
        rungs = found[what]
        names = report.processes_of([r["cpu_ms"] for r in rungs])
        rows = [
            [f"{r['value']:,}", f"{r['rate']:,.0f}", *(shown(r["cpu_ms"].get(n), "{:.2f}") for n in names),
             f"{sum(r['cpu_ms'].values()):.2f}"]
            for r in rungs
        ]  # fmt: skip
        parts.append(_table((what, "certs/s", *(f"{n} ms" for n in names), "all ms"), rows))
    year = found["year"]
    told = (
        f"A year of France, {year['certificates']:,} certificates: {year['hours']:.2f} hours, extrapolated from "
        f"{year['from']:,} ({year['off_the_line']:.1%} off a straight line at most)."
    )
    return {"scale": "\n\n".join([_when(found), *parts, told])}


PARTS: Mapping[str, Callable[[Found], dict[str, str]]] = {
    "ladder": _ladder, "overload": _overload, "soak": _soak, "scale": _scale,
}  # fmt: skip


def drawings(name: str, found: Found) -> dict[str, str]:
    """Plots of a run by the name of their file."""
    if name == "overload":
        pressed = found["overload"]
        series = pressed["series"]
        return {
            "performance_overload.svg": plots.load(series, pressed["phases"]),
            "performance_overload_memory.svg": plots.memory(series, "Memory under overload"),
            **{f"performance_slow_{k}.svg": plots.partitions(one) for k, one in found["slow_partition"].items()},
        }
    if name == "soak":
        return {"performance_soak.svg": plots.memory(found["series"], "Memory over a long time")}
    if name == "scale":
        kinds = ("certificates", "partitions", "workers")
        return {f"performance_{what}.svg": plots.growth(found[what], what) for what in kinds}
    return {}


PLOTS: Mapping[str, tuple[str, str]] = {
    "performance_overload.svg": ("overload_plots", "Lag and latency"),
    "performance_overload_memory.svg": ("overload_plots", "Memory"),
    "performance_slow_large.svg": ("slow_large_plots", "Large certificates"),
    "performance_slow_poisoned.svg": ("slow_poisoned_plots", "Certificates that the model fails on"),
    "performance_soak.svg": ("soak_plots", "Memory"),
    "performance_certificates.svg": ("scale_plots", "Certificates"),
    "performance_partitions.svg": ("scale_plots", "Partitions"),
    "performance_workers.svg": ("scale_plots", "Workers"),
}
"""Where on the page each plot stands, and what it shows."""


def pictures(name: str, found: Found) -> dict[str, str]:
    """The plots of a run as the page shows them, by their places."""
    parts: dict[str, str] = {}
    for file in drawings(name, found):
        place, title = PLOTS[file]
        parts[place] = f"{parts[place]}\n" if place in parts else ""
        parts[place] += f"![{title}]({file})"
    return parts


def _when(found: Found) -> str:
    machine = found["machine"]
    quick = " A quick run: it shows that it works, not what it costs." if found["quick"] else ""
    return (
        f"{found['at'][:10]}, {machine['cores']} cores ({machine['cpu']}; {', '.join(machine['flags']) or 'no flags'}), "
        f"{machine['memory_gib']} GiB, {machine['system']}; load {machine['load_before']} before the run.{quick}"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
