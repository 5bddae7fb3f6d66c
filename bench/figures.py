"""Arithmetic of the measures, and the form in which a rung of the ladder is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """Value at a share of the sorted values (nearest rank); 0.0 when there is none.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5), percentile([1.0], 0.99), percentile([], 0.5)
    (2.0, 1.0, 0.0)
    """
    if not values:
        return 0.0
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # the ceiling of share × n
    return ordered[min(len(ordered), max(1, rank)) - 1]


def steady_rate(stamps: Sequence[float], first: int) -> float:
    """Events a second from the end of the first batch to the last event.

    The first `first` events come together after all the work on them, so they mark the beginning and do not count.

    >>> steady_rate([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], 2)
    2.0
    """
    ordered = sorted(stamps)
    first = min(max(1, first), len(ordered) - 1)
    if first < 1:
        return 0.0
    seconds = ordered[-1] - ordered[first - 1]
    return (len(ordered) - first) / seconds if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the moment a certificate was due to be published to the moment its coded record was read."""

    offered: float
    achieved: float
    count: int
    p50: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung: what was run, certificates and lines a second, latency where it was measured, and further figures."""

    key: str
    what: str
    certificates: int
    rate: float
    lines_rate: float
    latency: Latency | None = None
    cores: dict[str, float] = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


def ratios(rungs: Sequence[Rung], *, ceiling: str, naive: str) -> dict[str, dict[str, float | None]]:
    """Each rung's certificates/s against those of the raw model and of the naive pipeline; None where it was not run."""
    rates = {r.key: r.rate for r in rungs}

    def over(rate: float, base: str) -> float | None:
        return round(rate / rates[base], 3) if rates.get(base) else None

    return {r.key: {"of_ceiling": over(r.rate, ceiling), "times_naive": over(r.rate, naive)} for r in rungs}
