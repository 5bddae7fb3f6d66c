"""How cost grows with certificates, partitions and workers; from it the time for a year of France."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bench import inputs, report, streaming
from bench.figures import Rung, line
from bench.ladder import UNCACHED, YEAR
from bench.shells import worker
from bench.streaming import Plan
from stream.embedded.servers import Endpoints
from stream.pipeline.core import Core
from stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Size:
    """What is varied; the others are then `certificates[1]`, the settings' partitions and one worker."""

    certificates: tuple[int, ...]
    partitions: tuple[int, ...]
    workers: tuple[int, ...]


FULL, QUICK = Size((1_000, 3_000, 10_000), (1, 4, 16), (1, 2, 3)), Size((100, 300, 600), (1, 16), (2,))


async def run(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, size: Size
) -> dict[str, Any]:
    """All of it; the content of the results' file."""
    core = Core(None, settings)
    certificates = inputs.varied(max(size.certificates))
    asked = [len(inputs.requests_of([c], core)) for c in certificates]
    usual = size.certificates[1]
    rungs: dict[str, list[tuple[int, Rung]]] = {"certificates": [], "partitions": [], "workers": []}

    async def measured(what: str, value: int, count: int, partitions: int, workers: int) -> None:
        plan = Plan(
            f"{what}-{value}", f"{value} {what}", worker(**UNCACHED), certificates[:count], sum(asked[:count]), 0.0,
            partitions=partitions, shells=workers,
        )  # fmt: skip
        rung = await streaming.run(settings, endpoints, servers, plan)
        rungs[what].append((value, rung))
        console.print(f"  {rung.what}: {rung.rate:,.1f} certificates/s; processor ms each: {dict(rung.cpu_ms)}")

    for count in size.certificates:
        await measured("certificates", count, count, settings.kafka.partitions, 1)
    for partitions in size.partitions:
        await measured("partitions", partitions, usual, partitions, 1)
    for workers in size.workers:
        await measured("workers", workers, usual, settings.kafka.partitions, workers)
    for what, found in rungs.items():
        console.print(f"by {what}", report.processes([rung for _, rung in found]))
    year = year_of([(value, rung.rate) for value, rung in rungs["certificates"]])
    console.print(f"{YEAR:,} certificates: {year['hours']:.2f} hours, extrapolated from {year['from']:,}")
    return {
        "year": year,
        **{what: [{"value": value, **rung.record()} for value, rung in found] for what, found in rungs.items()},
    }


def year_of(rates: list[tuple[int, float]]) -> dict[str, float]:
    """Hours for a year of France, from how the time grows with the number of certificates.

    Args:
        rates: certificates, and certificates a second.
    """
    seconds = [(float(count), count / rate) for count, rate in rates if rate]
    slope, start = line(seconds)
    fitted = [slope * count + start for count, _ in seconds]
    off = max((abs(f - s) / s for f, (_, s) in zip(fitted, seconds, strict=True)), default=0.0)
    return {
        "certificates": YEAR, "from": max((int(count) for count, _ in seconds), default=0),
        "ms_per_certificate": round(slope * 1000, 3), "start_s": round(start, 2), "off_the_line": round(off, 3),
        "hours": round((slope * YEAR + start) / 3600, 3),
    }  # fmt: skip
