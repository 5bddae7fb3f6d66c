"""The ladder: the same certificates by the raw models, the core offline, the worker, the naive design and the peers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bench import direct, inputs, machine, report, streaming
from bench.figures import Rung, best, goals, ratios
from bench.inputs import Mix
from bench.peers import environment
from bench.shells import worker
from bench.streaming import Plan
from bench.usage import FEEDER
from stream.certificate import Certificate
from stream.embedded.servers import Endpoints
from stream.errors import EmbeddedServerError
from stream.pipeline.core import Core
from stream.settings import Settings

UNCACHED = {"cache_lines": "0"}
NAIVE = {"batch_max": "1", "in_flight": "1", "cache_lines": "0", "delivery": "at_least_once"}
SLOW = 6
"""The designs that ask for one certificate at a time get so many times fewer."""
YEAR = 650_000
"""Deaths of France in a year."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a ladder runs: certificates, seconds of each measure of latency, rounds of which the best counts."""

    certificates: int
    latency_s: float
    rounds: int


FULL, QUICK = Size(6_000, 30.0, 2), Size(600, 8.0, 1)


@dataclass(frozen=True, slots=True)
class Given:
    """Certificates with what they ask."""

    certificates: Sequence[Certificate]
    lines: int
    mix: Mix


async def run(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, size: Size, peers: bool
) -> dict[str, Any]:
    """Every rung, printed as it comes; the content of the results' file."""
    core = Core(None, settings)
    varied, repeating = (
        _given(inputs.varied(size.certificates), core),
        _given(inputs.repeating(size.certificates), core),
    )
    console.print(f"{varied.mix}\nfor the cache: {repeating.mix}")
    with console.status("asking once for everything, so that the models are warm"):
        asked = await direct.asked(endpoints.triton, settings, core, varied.certificates)
        served = await direct.served(endpoints.triton, settings)
    cases = sum(len(a.cases) for a in asked)
    console.print(f"{varied.lines / len(asked):.2f} lines and {cases / len(asked):.2f} cases a certificate")
    plans = _plans(settings, varied, repeating, size, console, peers)
    rounds: dict[str, list[Rung]] = {}

    def done(rung: Rung) -> None:
        rounds.setdefault(rung.key, []).append(rung)
        used = ", ".join(f"{who} {ms:.2f}" for who, ms in rung.cpu_ms.items())
        console.print(f"  {rung.what}: {rung.rate:,.1f} certificates/s; processor ms each: {used}")

    roots = [*servers.items(), (FEEDER, os.getpid())]
    failed: dict[str, str] = {}
    # Round after round, not rung after rung: a machine that slows down meanwhile must not flatter what came first.
    for number in range(size.rounds):
        console.print(f"round {number + 1} of {size.rounds}")
        for chunk in direct.CHUNKS:
            done(await direct.ceiling(endpoints.triton, settings, asked, roots, chunk=chunk))
        done(
            await direct.offline(
                endpoints.triton, settings, core, varied.certificates, varied.lines, list(servers.items())
            )
        )
        for plan in plans:
            try:
                done(await streaming.run(settings, endpoints, servers, plan))
            except EmbeddedServerError as error:
                if plan.shell.pages:  # our own worker: no figure is worth anything then
                    raise
                failed[plan.key] = f"{error}; {error.hint}" if error.hint else str(error)
                console.print(f"[red]  {plan.what}: {failed[plan.key]}[/red]")
    return _content(rounds, failed, console) | {
        "inputs": {"varied": varied.mix.record(), "repeating": repeating.mix.record(), "cases": cases},
        "versions": machine.versions() | served | {f"causa {k}": v for k, v in knowledge(core).items()},
    }


def _given(certificates: Sequence[Certificate], core: Core) -> Given:
    requests = inputs.requests_of(certificates, core)
    return Given(certificates, len(requests), inputs.mix(len(certificates), requests))


def _plans(
    settings: Settings, varied: Given, repeating: Given, size: Size, console: Console, peers: bool
) -> list[Plan]:
    options, wait = settings.worker, size.latency_s
    batches = f"batches of {options.batch_max}, {options.in_flight} in flight"
    count = max(100, size.certificates // SLOW)
    fewer, fewer_lines = varied.certificates[:count], round(varied.lines * count / size.certificates)
    plans = [
        Plan(
            "exactly_once", f"worker, exactly once, {batches}", worker(**UNCACHED), varied.certificates, varied.lines, wait
        ),
        Plan(
            "at_least_once", f"worker, at least once, {batches}", worker(**UNCACHED, delivery="at_least_once"),
            varied.certificates, varied.lines, wait,
        ),
        Plan(
            "naive", "worker, one certificate a request, each acknowledged before the next", worker(**NAIVE), fewer,
            fewer_lines, wait,
        ),
        Plan(
            "cached", "worker, exactly once, cache on, repeated lines", worker(), repeating.certificates, repeating.lines,
            wait,
        ),
        Plan(
            "cached_two", "two workers, exactly once, caches on, repeated lines", worker(), repeating.certificates,
            repeating.lines, wait, shells=2,
        ),
    ]  # fmt: skip
    uncached = worker(**UNCACHED).environment
    for peer in environment.PEERS if peers else ():
        try:
            with console.status(f"installing {peer.package}"):
                shell = environment.shell(peer, settings, uncached)
        except EmbeddedServerError as error:
            console.print(f"[yellow]{peer.what} is left out: {error}[/yellow]")
            continue
        given, lines = (varied.certificates, varied.lines) if peer.batches else (fewer, fewer_lines)
        plans.append(Plan(peer.key, peer.what, shell, given, lines, wait))
    return plans


def _content(rounds: Mapping[str, Sequence[Rung]], failed: Mapping[str, str], console: Console) -> dict[str, Any]:
    rungs = [best(found) for found in rounds.values()]
    # The ceiling is the best of the ways of asking: what no pipeline around these models can pass.
    ceiling = max((r for r in rungs if r.key.startswith("triton_")), key=lambda r: r.rate).key
    peers = [p.key for p in environment.PEERS if p.key in rounds]
    bases = {
        "of_ceiling": ceiling,
        "of_offline": "offline",
        "of_at_least_once": "at_least_once",
        "times_naive": "naive",
    }
    against, told = ratios(rungs, bases), goals(rungs, ceiling, peers)
    console.print(report.table(rungs, against), report.processes(rungs), report.goals(told))
    for rung in rungs:
        for name, what in (("dead", "dead letters"), ("twice", "results written twice")):
            if rung.notes.get(name):
                console.print(f"[red]{rung.key}: {rung.notes[name]:.0f} {what}[/red]")
    own = next(r for r in rungs if r.key == "exactly_once")
    console.print(
        f"{YEAR:,} certificates at {own.rate:,.1f}/s: {YEAR / own.rate / 3600:.2f} hours, exactly once, cache off"
    )
    return {
        "ceiling": ceiling, "failed": dict(failed), "goals": [g.record() for g in told],
        "rungs": [{**r.record(), **against[r.key]} for r in rungs],
    }  # fmt: skip


def knowledge(core: Core) -> dict[str, str]:
    """Versions of what the core knows."""
    versions = core.versions
    return {name: str(getattr(versions, name)) for name in ("nomenclature", "lexicon", "rules", "underlying", "policy")}
