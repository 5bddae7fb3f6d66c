"""How many inputs, and what became of them.

``CAUSA_FUZZ=N`` makes the campaign N times as long as it is within `make test`; `make fuzz` sets it.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings

SCALE = int(os.environ.get("CAUSA_FUZZ", "1"))
MARK = "zzmarqueur"
"""Stands in the text of inputs, and never in an error."""

TALLY: dict[str, Counter[str]] = defaultdict(Counter)
COUNTED: Counter[str] = Counter()
SLOWEST: dict[str, float] = defaultdict(float)
Test = TypeVar("Test", bound=Callable[..., Any])


def inputs(number: int) -> Callable[[Test], Test]:
    """Run a property on so many inputs, times the scale."""
    found: Callable[[Test], Test] = settings(
        max_examples=number * SCALE, deadline=None, suppress_health_check=list(HealthCheck)
    )
    return found


def told(target: str, outcome: str) -> None:
    """Count what became of an input."""
    TALLY[target][outcome] += 1


@contextmanager
def timed(target: str) -> Iterator[None]:
    """One input. The longest time that one took of the processor is told at the end; nothing is asserted of it."""
    COUNTED[target] += 1
    began = time.process_time()
    try:
        yield
    finally:
        SLOWEST[target] = max(SLOWEST[target], time.process_time() - began)


def report() -> list[str]:
    """The campaign so far, a line for each target."""
    lines = []
    for target, outcomes in sorted(TALLY.items()):
        parts = ", ".join(f"{outcome} {count:,}" for outcome, count in outcomes.most_common())
        lines.append(f"{target}: {COUNTED[target]:,} inputs, slowest {SLOWEST[target] * 1000:.0f} ms: {parts}")
    return [*lines, f"all: {sum(COUNTED.values()):,} inputs"]
