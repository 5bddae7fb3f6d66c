"""``python -m bench [--quick] [--cache]``: the ladder from the raw model to the whole stream; ``--profile``: the core.

Every rung codes the same certificates on the same servers, one after the other: raw Triton (the ceiling), the core
offline, the worker end to end, the worker with one certificate a request (the naive design).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import direct, inputs, machine, profiling, report, streaming
from bench.figures import Rung, ratios
from stream.certificate import utc_now
from stream.embedded.servers import Embedded, Endpoints
from stream.errors import CausaError
from stream.pipeline.core import Core
from stream.settings import Settings, load

RESULTS = Path(__file__).parent / "results" / "latest.json"
NAIVE = {"CAUSA_WORKER__BATCH_MAX": "1", "CAUSA_WORKER__IN_FLIGHT": "1", "CAUSA_WORKER__CACHE_LINES": "0"}
UNCACHED = {"CAUSA_WORKER__CACHE_LINES": "0"}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the certificates: to see that it works")
    parser.add_argument("--cache", action="store_true", help="one more rung: cache on, half of the lines repeated")
    parser.add_argument("--profile", action="store_true", help="profile the pure core instead; no servers")
    options = parser.parse_args(arguments)
    console = Console()
    # A topic just made has no leader for a moment: aiokafka tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        settings = load()
        if options.profile:
            profiling.run(settings, console, 200 if options.quick else 2_000)
            return 0
        # SIGTERM ends like Ctrl-C: topics deleted, worker and servers ended.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        _bench(settings, console, quick=options.quick, cache=options.cache)
        return 0
    except CausaError as error:
        console.print(f"[red]{error}[/red]" + (f" ({error.hint})" if error.hint else ""))
        return 1
    except KeyboardInterrupt:
        return 130


def _bench(settings: Settings, console: Console, *, quick: bool, cache: bool) -> None:
    described = machine.describe()
    console.print(
        f"{described['cores']} cores, {described['cpu']} ({' '.join(described['flags']) or 'no flags of interest'}), "
        f"{described['memory_gib']} GiB, load {described['load_before']} before the run"
    )
    if described["load_before"] > 0.5:
        console.print("[yellow]the machine is busy with something else: take ratios, not figures[/yellow]")
    embedded = Embedded(settings)
    with console.status("starting Kafka and Triton"):
        embedded.up()
    try:
        pids = {s.name.lower(): s.pid for s in embedded.status() if s.pid is not None}
        found = asyncio.run(_ladder(settings, embedded.endpoints(), pids, console, quick=quick, cache=cache))
    finally:
        embedded.release()
    rungs: list[Rung] = found.pop("measured")
    # The ceiling is the better of the two ways of asking: what no pipeline around this model can pass.
    ceiling = max((r for r in rungs if r.key.startswith("triton_")), key=lambda r: r.rate).key
    against = ratios(rungs, ceiling=ceiling, naive="naive")
    console.print(report.table(rungs, against))
    for rung in rungs:
        if rung.notes.get("dead"):
            console.print(f"[red]{rung.key}: {rung.notes['dead']:.0f} dead letters[/red]")
        if rung.key == "cached":
            console.print(f"cache: {rung.notes['cache_hits']:.1%} of the lines were not asked for")
    described["load_after"] = round(os.getloadavg()[0], 2)
    content = {
        "at": utc_now().isoformat(), "quick": quick, "machine": described, "ceiling": ceiling, **found,
        "rungs": [{**r.record(), **against[r.key]} for r in rungs],
    }  # fmt: skip
    report.write(RESULTS, content)
    console.print(f"written to {RESULTS}")


async def _ladder(
    settings: Settings, endpoints: Endpoints, pids: dict[str, int], console: Console, *, quick: bool, cache: bool
) -> dict[str, Any]:
    """All rungs in order; what they measured and what they were given."""
    count, latency_s = (600, 8.0) if quick else (6_000, 30.0)
    core = Core(None, settings)
    certificates = inputs.varied(count)
    requests = inputs.requests_of(certificates, core)
    mix = inputs.mix(count, requests)
    console.print(str(mix))
    fewer = certificates[: max(100, count // 6)]
    fewer_lines = len(inputs.requests_of(fewer, core))
    found: dict[str, Any] = {"inputs": {"varied": mix.record()}, "versions": machine.versions()}
    rungs: list[Rung] = []

    def done(rung: Rung) -> None:
        rungs.append(rung)
        cores = ", ".join(f"{who} {used:.2f}" for who, used in rung.cores.items())
        console.print(f"  {rung.what}: {rung.rate:,.0f} certificates/s{f'; cores used: {cores}' if cores else ''}")

    with console.status("warming the model"):
        found["versions"] |= await direct.warm(endpoints.triton, settings, requests)
    found["versions"] |= {f"causa_{name}": str(value) for name, value in _knowledge(core).items()}
    raw: dict[int, Rung] = {}

    async def ceilings() -> None:
        for batch in (64, 256):
            rung = await direct.ceiling(endpoints.triton, settings, requests, count, batch=batch, in_flight=4)
            raw[batch] = max(rung, raw.get(batch, rung), key=lambda r: r.rate)

    await ceilings()
    done(await direct.offline(endpoints.triton, settings, core, certificates, len(requests)))
    options = settings.worker
    plans = [
        streaming.Plan(
            "worker", f"worker through Kafka, batches of {options.batch_max}, {options.in_flight} in flight",
            UNCACHED, certificates, len(requests), latency_s,
        ),
        streaming.Plan(
            "naive", "the same, one certificate a request, one in flight", NAIVE, fewer, fewer_lines, latency_s
        ),
    ]  # fmt: skip
    if cache:
        repeating = inputs.repeating(count)
        asked = inputs.requests_of(repeating, core)
        told = inputs.mix(count, asked)
        console.print(f"for the cache: {told}")
        found["inputs"]["repeating"] = told.record()
        plans.append(streaming.Plan("cached", "worker, cache on, repeated lines", {}, repeating, len(asked), 0.0))
    for plan in plans:
        done(await streaming.run(settings, endpoints, pids, plan))
    # Once more at the end, the better one counts: a machine that slowed down meanwhile must not flatter the worker.
    await ceilings()
    for rung in raw.values():
        done(rung)
    return {**found, "measured": [*raw.values(), *rungs[: -len(raw)]]}


def _knowledge(core: Core) -> dict[str, str]:
    versions = core.versions
    return {name: getattr(versions, name) for name in ("nomenclature", "lexicon", "rules", "underlying", "policy")}


if __name__ == "__main__":
    sys.exit(main())
