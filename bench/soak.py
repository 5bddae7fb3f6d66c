"""Half load for a long time: does anything grow that should not?

The worker is the one that ships, cache on; its certificates never repeat as a whole, half of their lines do, more as it goes on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console

from bench import inputs
from bench.figures import line, percentile, steady_rate
from bench.series import Sample, watched
from bench.shells import worker
from bench.stage import staged
from bench.streaming import LOAD, due
from stream.certificate import Certificate, Line
from stream.embedded.servers import Endpoints
from stream.settings import Settings

BACKLOG = 3_000
LOOKS = 600
"""About so many looks in all, at least a second apart."""
WARM = 0.25
"""Share of the time before slopes are measured: until then the caches fill, and the allocator finds its size."""


async def run(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, minutes: float
) -> dict[str, Any]:
    """All of it; the content of the results' file."""
    seconds = minutes * 60
    backlog = min(BACKLOG, max(300, int(seconds * 10)))
    certificates = inputs.repeating(backlog)
    async with staged(settings, endpoints, servers, "soak") as stage:
        await stage.backlog(certificates)
        stage.start(worker())
        await stage.until(len(certificates))
        capacity = steady_rate([a.at for a in stage.counter.answers])
        rate = capacity * LOAD
        console.print(f"capacity {capacity:,.1f} certificates/s; {rate:,.1f}/s for {minutes:g} minutes")
        before, heard = await stage.generation(), [time.monotonic()]

        def told(sample: Sample) -> None:
            if time.monotonic() - heard[0] >= 60:
                heard[0] = time.monotonic()
                console.print(
                    f"  {sample.at:,.0f} s: lag {sample.lag}, {sample.memory_mib}, {sample.connections} connections"
                )

        async with watched(stage, max(1.0, seconds / LOOKS), told) as series:
            await stage.offer(_anew(due(certificates, rate, seconds), len(certificates)))
            await stage.until(stage.published)
        latencies = [a.latency for a in stage.counter.answers if a.latency is not None]
        slopes = slopes_of(series.samples)
        for name, told_slope in slopes.items():
            console.print(f"  {name}: {told_slope}")
        connections = [s.connections for s in series.samples]
        console.print(f"  connections of the worker {min(connections)} to {max(connections)}")
        return {
            "minutes": minutes, "capacity": round(capacity, 1), "rate": round(rate, 1), "published": stage.published,
            "dead": stage.counter.dead, "twice": stage.counter.twice, "rebalances": await stage.generation() - before,
            "p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99),
            "longest": max(latencies, default=0.0), "slopes": slopes,
            "connections": [min(connections), max(connections)], "series": series.record(),
        }  # fmt: skip


def slopes_of(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """For each process its memory in MiB, first and last once it is warm, and how it grows in an hour."""
    last = samples[-1].at if samples else 0.0
    warm = [s for s in samples if s.at >= last * WARM]
    found = {}
    for name in dict.fromkeys(name for s in warm for name in s.memory_mib):
        points = [(s.at / 3600, s.memory_mib[name]) for s in warm if name in s.memory_mib]
        found[name] = {
            "first_mib": points[0][1], "last_mib": points[-1][1], "mib_per_hour": round(line(points)[0], 2),
        }  # fmt: skip
    return found


def _anew(ones: Iterator[tuple[float, Certificate]], cycle: int, seed: int = 9) -> Iterator[tuple[float, Certificate]]:
    """Certificates that come round again get new words in those lines that no other certificate shares."""
    rng = random.Random(seed)
    for number, (after, certificate) in enumerate(ones):
        turn = number // cycle

        def again(each: Line, turn: int = turn) -> Line:
            if not turn or not isinstance(each.text, str) or rng.random() < inputs.REPEATED:
                return each
            return replace(each, text=f"{each.text} J{turn} n{rng.randrange(10_000)}")

        part1, part2 = (tuple(map(again, part)) for part in (certificate.part1, certificate.part2))
        yield after, replace(certificate, part1=part1, part2=part2)
