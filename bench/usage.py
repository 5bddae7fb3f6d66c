"""What the processes of a run use: processor seconds and memory, the model processes of Triton told apart."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psutil

CODES = "worker"
"""Whatever codes: the worker, a peer, the core offline."""
FEEDER = "feeder"
"""The bench's own process: it publishes, reads results and counts."""
EVERY_S = 0.5
_MODEL = re.compile(r"/([^/]+)/\d+/model\.py$")

Roots = Sequence[tuple[str, int]]
"""Name and process id; several of one name are told together."""


def spent(roots: Roots) -> dict[str, float]:
    """Processor seconds so far, by name; those of processes that have ended are gone."""
    return _sums(roots, _seconds)


def held(roots: Roots) -> dict[str, float]:
    """Resident memory in MiB, by name. Pages that two processes share count in both."""
    return _sums(roots, lambda process: process.memory_info().rss / 2**20)


def _sums(roots: Roots, measure: Callable[[psutil.Process], float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, process in _family(roots):
        with suppress(psutil.Error):
            found[name] = found.get(name, 0.0) + measure(process)
    return found


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _family(roots: Roots) -> Iterator[tuple[str, psutil.Process]]:
    for name, pid in roots:
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            yield name, root
            # The servers and the workers are children of the bench: they have names of their own.
            for child in [] if pid == os.getpid() else root.children(recursive=True):
                with suppress(psutil.Error):
                    yield name_of(name, child.cmdline()), child


def name_of(name: str, command: Sequence[str]) -> str:
    """Name of a child: Triton's stub of a model is told by the model, any other by its parent's name.

    >>> name_of("triton", ["…/triton_python_backend_stub", "/models/coder/1/model.py", "region"])
    'model coder'
    """
    if command and command[0].endswith("triton_python_backend_stub"):
        for argument in command[1:]:
            if found := _MODEL.search(argument):
                return f"model {found[1]}"
    return name


@dataclass
class Meter:
    """Use of the processor since the beginning, and the most memory seen."""

    roots: Roots
    peak: dict[str, float] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Count from now on."""
        self._before = spent(self.roots)

    def look(self) -> dict[str, float]:
        """Memory now."""
        now = held(self.roots)
        self.peak = {name: round(max(mib, self.peak.get(name, 0.0)), 1) for name, mib in (self.peak | now).items()}
        return now

    def per(self, certificates: int) -> dict[str, float]:
        """Milliseconds of processor time for each of so many certificates, by name."""
        now = spent(self.roots)
        used = {name: max(0.0, seconds - self._before.get(name, 0.0)) for name, seconds in now.items()}
        return {name: round(seconds / max(1, certificates) * 1000, 3) for name, seconds in used.items()}


@asynccontextmanager
async def metered(roots: Roots) -> AsyncIterator[Meter]:
    """A meter that looks at the memory now and then."""
    meter = Meter(roots)
    meter.begin()

    async def looking() -> None:
        while True:
            meter.look()
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(looking())
    try:
        yield meter
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
