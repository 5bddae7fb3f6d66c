"""What is seen of a run from second to second: results, lag, latency, memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import psutil

from bench.figures import percentile
from bench.stage import Answer, Stage
from bench.usage import held


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Attributes:
        at: seconds after the beginning.
        published, answered: certificates so far.
        memory_mib: resident memory by process.
        p50, p99: latency in seconds of the results read since the look before; None where there were none.
        connections, files: open ones of the first shell.
    """

    at: float
    published: int
    answered: int
    memory_mib: dict[str, float]
    p50: float | None
    p99: float | None
    connections: int
    files: int

    @property
    def lag(self) -> int:
        """Published and not answered."""
        return self.published - self.answered


@dataclass
class Series:
    """Looks at a stage, at even distances."""

    stage: Stage
    began: float = field(default_factory=time.time)
    samples: list[Sample] = field(default_factory=list)
    _read: int = 0

    def look(self) -> Sample:
        """One look, kept."""
        counter = self.stage.counter
        news = [a.latency for a in counter.answers[self._read :] if a.latency is not None]
        self._read = len(counter.answers)
        connections, files = _open(self.stage.running[0].process.pid) if self.stage.running else (0, 0)
        sample = Sample(
            round(time.time() - self.began, 2), self.stage.published, counter.count,
            {name: round(mib, 1) for name, mib in held(self.stage.roots).items()},
            percentile(news, 0.5) if news else None, percentile(news, 0.99) if news else None, connections, files,
        )  # fmt: skip
        self.samples.append(sample)
        return sample

    def record(self) -> list[dict[str, Any]]:
        """For the JSON file."""
        return [asdict(sample) | {"lag": sample.lag} for sample in self.samples]


def _open(pid: int) -> tuple[int, int]:
    """Connections and open files of a process."""
    try:
        process = psutil.Process(pid)
        return len(process.net_connections(kind="inet")), process.num_fds()
    except psutil.Error:
        return 0, 0


@asynccontextmanager
async def watched(stage: Stage, every_s: float, told: Callable[[Sample], None] | None = None) -> AsyncIterator[Series]:
    """A series that looks every so many seconds.

    Args:
        stage: what is looked at.
        every_s: seconds between two looks.
        told: hears of each.
    """
    series = Series(stage)

    async def looking() -> None:
        while True:
            sample = series.look()
            if told:
                told(sample)
            await asyncio.sleep(every_s)

    task = asyncio.create_task(looking())
    try:
        yield series
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        series.look()


@dataclass(frozen=True, slots=True)
class Share:
    """What one partition got of a stretch of time.

    Attributes:
        partition: which.
        results, rate: how many, and how many a second.
        p50, p99: latencies of the timed ones, seconds.
        silence_s: longest time without a result, seconds.
    """

    partition: int
    results: int
    rate: float
    p50: float
    p99: float
    silence_s: float


def shares(answers: Sequence[Answer], partitions: int, first: float, last: float, end: float) -> list[Share]:
    """Results read between two moments, by partition; silence is listened for until the `end` of all work."""
    found = []
    for partition in range(partitions):
        heard = [a for a in answers if a.partition == partition and first <= a.at < end]
        mine = [a for a in heard if a.at < last]
        latencies = [a.latency for a in heard if a.latency is not None]
        silence = max((b - a for a, b in pairwise([first, *(a.at for a in heard)])), default=0.0)
        found.append(
            Share(
                partition, len(mine), round(len(mine) / max(0.001, last - first), 2), percentile(latencies, 0.5),
                percentile(latencies, 0.99), round(silence, 2),
            )
        )  # fmt: skip
    return found
