"""Where the core's time goes: cProfile over the pure core, bytes to bytes, with a model that says nothing."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import inputs
from stream.certificate import Certificate, certificate_record, utc_now
from stream.pipeline.core import Core, Prepared
from stream.pipeline.record import Incoming
from stream.registry import open_registry
from stream.settings import REPOSITORY, Settings
from stream.underlying.ranking import SILENT
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SHOWN = 15


@dataclass(frozen=True, slots=True)
class Cost:
    """One function: calls and microseconds for each certificate, under the profiler."""

    name: str
    calls: float
    own_us: float
    total_us: float


def run(settings: Settings, console: Console, count: int) -> None:
    """Profile and print."""
    wire = Wire(open_registry(settings.registry, subject_topics(settings)))
    core = Core(wire, settings)
    warming, certificates = inputs.varied(300, seed=3), inputs.varied(count)
    _passes(core, _records(wire, warming))
    records = _records(wire, certificates)
    read, decide = _passes(core, records)
    console.print(
        f"pure core, {count:,} certificates, silent model, without the profiler: prepare {read / count * 1e6:.0f} µs, "
        f"decide {decide / count * 1e6:.0f} µs a certificate: {count / (read + decide):.0f} certificates/s on one core"
    )
    # Other certificates, or the caches of the first pass would answer.
    records = _records(wire, inputs.varied(count, seed=4))
    profile = cProfile.Profile()
    profile.enable()
    _passes(core, records)
    profile.disable()
    costs = costs_of(pstats.Stats(profile), count)
    by_own = sorted(costs, key=lambda c: -c.own_us)[:SHOWN]
    by_total = sorted((c for c in costs if c.name.startswith("stream/")), key=lambda c: -c.total_us)[: SHOWN * 2]
    console.print(_table("dearest by own time (under the profiler, which makes calls dearer)", by_own))
    console.print(_table("Causa's own functions by time with all that they call", by_total))


def costs_of(stats: pstats.Stats, count: int) -> list[Cost]:
    """Costs a certificate of every function."""
    found = []
    for (path, line, name), (_, calls, own, total, _) in stats.stats.items():  # type: ignore[attr-defined]
        found.append(Cost(_place(path, line, name), calls / count, own / count * 1e6, total / count * 1e6))
    return found


def _place(path: str, line: int, name: str) -> str:
    if path == "~":
        return name
    file = Path(path)
    if file.is_relative_to(REPOSITORY) and ".venv" not in file.parts:
        return f"{file.relative_to(REPOSITORY)}:{line} {name}"
    return f"{'/'.join(file.parts[-2:])}:{line} {name}"


def _records(wire: Wire, certificates: Sequence[Certificate]) -> list[Incoming]:
    return [
        Incoming(wire.encode("certificates", certificate_record(c)), c.certificate_id.encode()) for c in certificates
    ]


def _passes(core: Core, records: Sequence[Incoming]) -> tuple[float, float]:
    """Processor seconds in `prepare` and in `decide` over all records."""
    now = utc_now()
    # Processor time: what other processes of the machine take does not count.
    began = time.process_time()
    prepared = [core.prepare(core.receive(record), now) for record in records]
    between = time.process_time()
    for item in prepared:
        if isinstance(item, Prepared):
            worded = core.worded(item, {}, "silent-0")
            core.decide(worded, dict.fromkeys(worded.requests, SILENT), "silent-0", now)
    return between - began, time.process_time() - between


def _table(title: str, costs: Sequence[Cost]) -> Table:
    table = Table(title=title, title_style="bold")
    table.add_column("function", overflow="fold")
    for name in ("calls", "own µs", "total µs"):
        table.add_column(name, justify="right")
    for cost in costs:
        table.add_row(cost.name, f"{cost.calls:.1f}", f"{cost.own_us:.0f}", f"{cost.total_us:.0f}")
    return table
