"""More certificates than can be coded, then fewer; and one partition that is slow among others that are not.

The worker is the one that ships, cache off. What is to be seen: its memory stays bounded, the lag that grew is worked
off, latency comes back to where it was, the group shares its partitions out no more often than without, and a partition
whose certificates are large, or fail in the model, holds the others up no longer than their share of the work.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from aiokafka.partitioner import DefaultPartitioner
from rich.console import Console

from bench import inputs
from bench.figures import percentile, steady_rate
from bench.front import MARK
from bench.ladder import UNCACHED
from bench.series import Series, Share, shares, watched
from bench.shells import worker
from bench.stage import Stage, staged
from bench.streaming import due
from stream.certificate import Certificate, Line
from stream.embedded.servers import Endpoints
from stream.settings import Settings

OVER, UNDER, SHARED = 1.5, 0.4, 0.4
"""Rates against what can be done: too many, few, and while one partition is slow."""
SLOW = 0
"""The partition that is slow."""
LARGE_LINES, LARGE_CHARS = 10, 160
"""A large certificate: ten lines instead of two or three, each four times as long as usual."""
EVERY_POISON = 100
"""One in so many certificates of the slow partition fails in the model."""


@dataclass(frozen=True, slots=True)
class Size:
    """Backlog that tells the capacity; minutes above it and below it, and of each slow partition."""

    backlog: int
    over_min: float
    under_min: float
    slow_min: float


FULL, QUICK = Size(3_000, 4.0, 6.0, 2.0), Size(300, 0.25, 0.5, 0.3)


async def run(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, size: Size
) -> dict[str, Any]:
    """All of it; the content of the results' file."""
    certificates = inputs.varied(size.backlog)
    pressed = await _pressed(settings, endpoints, servers, console, size, certificates)
    rate = pressed["capacity"] * SHARED
    slow = {}
    for kind in ("large", "poisoned"):
        slow[kind] = await _slow(settings, endpoints, servers, console, kind, certificates, rate, size.slow_min * 60)
    return {"overload": pressed, "slow_partition": slow}


async def _pressed(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, size: Size,
    certificates: Sequence[Certificate],
) -> dict[str, Any]:  # fmt: skip
    async with staged(settings, endpoints, servers, "overload") as stage:
        capacity = await _capacity(stage, certificates)
        console.print(f"capacity: {capacity:,.1f} certificates/s")
        before = await stage.generation()
        async with watched(stage, 1.0) as series:
            # As it is before anything happens: what the latency should come back to.
            calm = await _phase(stage, series, certificates, capacity * UNDER, size.over_min * 15)
            over = await _phase(stage, series, certificates, capacity * OVER, size.over_min * 60)
            under = await _phase(stage, series, certificates, capacity * UNDER, size.under_min * 60)
            await stage.until(stage.published)
        rebalances = await stage.generation() - before
        phases = {name: _told(series, span) for name, span in (("calm", calm), ("over", over), ("under", under))}
        recovered = _recovered(series, under, phases["calm"]["p99"])
        for name, told in phases.items():
            console.print(f"  {name}: " + ", ".join(f"{key} {value}" for key, value in told.items()))
        console.print(f"  rebalances {rebalances}; latency as before {recovered} s after the end of the overload")
        return {
            "capacity": round(capacity, 1), "rates": {"over": OVER, "under": UNDER}, "rebalances": rebalances,
            "recovered_s": recovered, "phases": phases, "dead": stage.counter.dead, "series": series.record(),
        }  # fmt: skip


async def _capacity(stage: Stage, certificates: Sequence[Certificate]) -> float:
    await stage.backlog(certificates)
    stage.start(worker(**UNCACHED))
    await stage.until(len(certificates))
    return steady_rate([a.at for a in stage.counter.answers])


Span = tuple[float, float]


async def _phase(
    stage: Stage, series: Series, certificates: Sequence[Certificate], rate: float, seconds: float
) -> Span:
    first = time.time() - series.began
    await stage.offer(due(certificates, rate, seconds))
    return first, time.time() - series.began


def _told(series: Series, span: Span) -> dict[str, Any]:
    """Figures of a phase."""
    inside = [s for s in series.samples if span[0] <= s.at <= span[1]] or series.samples[-1:]
    latencies = [s.p99 for s in inside if s.p99 is not None]
    seconds = max(0.001, inside[-1].at - inside[0].at)
    return {
        "seconds": round(span[1] - span[0], 1), "from_s": round(span[0], 1),
        "published_per_s": round((inside[-1].published - inside[0].published) / seconds, 1),
        "answered_per_s": round((inside[-1].answered - inside[0].answered) / seconds, 1),
        "lag_at_the_end": inside[-1].lag, "largest_lag": max(s.lag for s in inside),
        "p50": round(percentile([s.p50 for s in inside if s.p50 is not None], 0.5), 3),
        "p99": round(percentile(latencies, 0.5), 3),
        "worker_mib": round(max(s.memory_mib.get("worker", 0.0) for s in inside), 1),
    }  # fmt: skip


def _recovered(series: Series, under: Span, calm: float) -> float | None:
    """Seconds after the overload from which on p99 is as it was, within a factor of two; None where it never is."""
    after = [s for s in series.samples if s.at >= under[0]]
    good = itertools.takewhile(lambda s: s.p99 is None or s.p99 <= 2 * calm, reversed(after))
    since = [s.at for s in good if s.p99 is not None]
    return round(min(since) - under[0], 1) if since else None


async def _slow(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], console: Console, kind: str,
    certificates: Sequence[Certificate], rate: float, seconds: float,
) -> dict[str, Any]:  # fmt: skip
    async with staged(settings, endpoints, servers, kind) as stage:
        await stage.backlog(certificates[:64])
        stage.start(worker(**UNCACHED))
        await stage.until(64)
        number = stage.settings.kafka.partitions
        spans = []
        async with watched(stage, 1.0) as series:
            for slow in (False, True):
                first = time.time()
                ones = due(certificates, rate, seconds)
                await stage.offer(_slowed(ones, kind, number) if slow else ones)
                spans.append((first, time.time()))
            # What the slow partition still owes is waited for: nothing may be lost on it either.
            await stage.until(stage.published)
        answers = stage.counter.answers
        done = time.time()
        before, during = (
            shares(answers, number, *span, end) for span, end in zip(spans, (spans[1][0], done), strict=True)
        )
        _tell(console, kind, before, during, stage.counter.dead)
        return {
            "kind": kind, "rate": round(rate, 1), "slow": SLOW, "dead": stage.counter.dead,
            "before": [asdict(s) for s in before], "during": [asdict(s) for s in during], "series": series.record(),
        }  # fmt: skip


def _tell(console: Console, kind: str, before: Sequence[Share], during: Sequence[Share], dead: int) -> None:
    console.print(f"partition {SLOW} {kind}; {dead} dead letters")
    for then, now in zip(before, during, strict=True):
        console.print(
            f"  partition {then.partition}: {then.rate:.1f}/s, p99 {then.p99:.2f} s, silent {then.silence_s:.1f} s → "
            f"{now.rate:.1f}/s, p99 {now.p99:.2f} s, silent {now.silence_s:.1f} s"
        )


def _slowed(
    ones: Iterator[tuple[float, Certificate]], kind: str, partitions: int
) -> Iterator[tuple[float, Certificate]]:
    """The same certificates, but those of the slow partition made slow."""
    met = 0
    for after, certificate in ones:
        if partition_of(certificate.certificate_id, partitions) != SLOW:
            yield after, certificate
            continue
        met += 1
        if kind == "large":
            yield after, large(certificate)
        else:
            yield after, poisoned(certificate) if met % EVERY_POISON == 1 else certificate


def partition_of(key: str, partitions: int) -> int:
    """Where the producer puts a key, as every Kafka client does by default (murmur2)."""
    places = list(range(partitions))
    return int(DefaultPartitioner()(key.encode(), places, places))


def large(certificate: Certificate) -> Certificate:
    """The certificate with many long lines, made of its own."""
    texts = [line.text for line in (*certificate.part1, *certificate.part2) if isinstance(line.text, str) and line.text]
    turns = itertools.cycle(texts or ["insuffisance cardiaque"])
    lines = []
    for number in range(LARGE_LINES):
        text = f"{number}"
        while len(text) < LARGE_CHARS:
            text += f", {next(turns)}"
        lines.append(Line(text[: LARGE_CHARS + 80]))
    return replace(certificate, part1=tuple(lines[:4]), part2=tuple(lines[4:]))


def poisoned(certificate: Certificate) -> Certificate:
    """The certificate with a line that the front of the model fails on."""
    return replace(certificate, part2=(*certificate.part2, Line(f"allergie {MARK}")))
