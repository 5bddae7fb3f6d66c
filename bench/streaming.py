"""A rung through Kafka: a backlog coded as fast as may be, then latency at half of that rate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.figures import Latency, Rung, edge, percentile, steady_rate
from bench.shells import Shell
from bench.stage import Stage, staged
from bench.usage import metered
from stream.certificate import Certificate
from stream.embedded.servers import Endpoints
from stream.settings import Settings

LOAD = 0.5
"""Share of the measured rate that is offered while latency is measured."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a rung is run.

    Attributes:
        key, what: its name in the results, and in words.
        shell: what codes.
        certificates: the backlog.
        lines: its lines, for lines a second.
        latency_s: how long the second measure publishes; 0 leaves it out.
        partitions: of the topics; 0 for those of the settings.
        shells: how many of them.
    """

    key: str
    what: str
    shell: Shell
    certificates: Sequence[Certificate]
    lines: int
    latency_s: float
    partitions: int = 0
    shells: int = 1


async def run(settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], plan: Plan) -> Rung:
    """Publish the backlog, start the shells, measure; then publish at half that rate and measure latency.

    Raises:
        EmbeddedServerError: a shell died, or does not do the job.
    """
    async with staged(settings, endpoints, servers, plan.key, plan.partitions) as stage:
        if plan.shells > 1:  # all of them are there before the work is: else the first would have it to itself
            stage.start(plan.shell, plan.shells)
            await stage.ready()
            await stage.backlog(plan.certificates)
        else:
            await stage.backlog(plan.certificates)
            stage.start(plan.shell)
        rung = await _backlog(stage, plan)
        await stage.all_manual()
        if plan.latency_s and rung.rate:
            rung = replace(rung, latency=await _latency(stage, plan, rung.rate))
        return rung


async def _backlog(stage: Stage, plan: Plan) -> Rung:
    expected, counter = len(plan.certificates), stage.counter
    # Neither start nor end is what is measured: the processor is counted where the rate is.
    await stage.until(edge(expected))
    before = counter.count
    async with metered(stage.roots) as meter:
        await stage.until(expected - edge(expected))
        cpu = meter.per(counter.count - before)
        await stage.until(expected)
        meter.look()
    rate = steady_rate([a.at for a in counter.answers])
    notes = {"dead": float(counter.dead), "twice": float(counter.twice), **await _cached(stage)}
    return Rung(
        plan.key, plan.what, expected, rate, rate * plan.lines / expected, cpu_ms=cpu,
        memory_mib=meter.peak, notes=notes,
    )  # fmt: skip


async def _cached(stage: Stage) -> dict[str, float]:
    """Share of what each model was asked that the shells' caches answered."""
    sums: dict[tuple[str, str], float] = {}
    for one in stage.running:
        for place, number in (await one.answers()).items():
            sums[place] = sums.get(place, 0.0) + number
    return cached(sums)


def cached(answers: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Share of the answers of each model that came from the cache.

    >>> cached({("coder", "cache"): 1.0, ("coder", "server"): 3.0})
    {'coder_cached': 0.25}
    """
    totals: dict[str, float] = {}
    for (model, _), number in answers.items():
        totals[model] = totals.get(model, 0.0) + number
    return {
        f"{model}_cached": round(answers.get((model, "cache"), 0.0) / total, 4)
        for model, total in totals.items()
        if total
    }


async def _latency(stage: Stage, plan: Plan, rate: float) -> Latency:
    before, offered = len(stage.counter.answers), max(1, int(rate * LOAD * plan.latency_s))
    seconds = await stage.offer(due(plan.certificates, rate * LOAD, plan.latency_s))
    await stage.until(stage.published)
    latencies = [a.latency for a in stage.counter.answers[before:] if a.latency is not None]
    return Latency(
        rate * LOAD, offered / seconds, len(latencies), percentile(latencies, 0.5), percentile(latencies, 0.99),
        max(latencies, default=0.0),
    )  # fmt: skip


def due(
    certificates: Sequence[Certificate], rate: float, seconds: float, name: str = ""
) -> Iterator[tuple[float, Certificate]]:
    """Certificates of an open loop under ids never seen before, each with its moment after the start.

    Args:
        certificates: taken in turn.
        rate: a second.
        seconds: how long.
        name: tells the ids of one loop from another's of the same run.
    """
    name = name or f"{time.time_ns():x}"
    for number in range(max(1, int(rate * seconds))):
        certificate = certificates[number % len(certificates)]
        yield number / rate, replace(certificate, certificate_id=f"{certificate.certificate_id}-{name}-{number}")
