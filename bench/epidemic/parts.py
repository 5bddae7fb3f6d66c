"""The parts of the command: each leaves its figures in bench/results."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console

from bench import machine, report
from bench.epidemic import artefact as artefacts
from bench.epidemic import delays, scores, series
from bench.epidemic import study as studies
from stream.certificate import utc_now

STUDY, ARTEFACT, YEAR = "epidemic", "epidemic-artefact", "epidemic-year"


def study(console: Console, *, quick: bool, targets: str | None) -> None:
    """Many simulated years of counts."""
    size = studies.QUICK if quick else studies.FULL
    chosen = [series.TARGETS[name] for name in targets.split(",")] if targets else list(series.TARGETS.values())
    began = time.monotonic()
    found = studies.run(chosen, size, lambda said: console.print(f"{said} ({time.monotonic() - began:.0f} s)"))
    told = {
        "scenarios": {one.name: one.text for one in (*delays.SCENARIOS.values(), delays.STEEP)},
        "methods": dict(scores.METHODS), **found,
    }  # fmt: skip
    _write(STUDY, quick, told, began, console)


def artefact(console: Console, *, quick: bool, targets: str | None) -> None:
    """The electronic share rises steeply."""
    del targets
    began = time.monotonic()
    number = 8 if quick else 60
    _write(ARTEFACT, quick, artefacts.run(number, number), began, console)


def year(console: Console, *, quick: bool, targets: str | None) -> None:
    """One year of certificates through the pipeline."""
    del targets
    from bench.epidemic import pipeline

    began = time.monotonic()
    _write(YEAR, quick, pipeline.run(console, quick=quick), began, console)


def docs(console: Console, *, quick: bool, targets: str | None) -> None:
    """Tables and drawings of docs/surveillance.md."""
    del quick, targets
    from bench.epidemic import pages

    pages.write(console)


def wordings(console: Console, *, quick: bool, targets: str | None) -> None:
    """Whether the wordings code to the groups they are meant for."""
    del quick, targets
    from bench.epidemic import wordings as words
    from stream.settings import load

    checked = words.check(load())
    for one in words.wrong(checked):
        text = " | ".join(line for line, _ in one.wording.part1)
        console.print(
            f"{one.wording.cause}: {text}: {one.underlying}, without {set(one.missing)}, with {set(one.added)}"
        )
    console.print(f"{len(checked)} certificates, {len(words.wrong(checked))} in other groups than wanted")


def _write(name: str, quick: bool, found: dict[str, Any], began: float, console: Console) -> None:
    """A quick run leaves the figures of a full one alone."""
    path = report.RESULTS / f"{name}{'-quick' if quick else ''}.json"
    told = {
        "at": utc_now().isoformat(timespec="seconds"), "quick": quick, "machine": machine.describe(),
        "seconds": round(time.monotonic() - began, 1), **found,
    }  # fmt: skip
    report.write(path, told)
    console.print(f"written to {path}")
