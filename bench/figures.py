"""Arithmetic of the measures, and the form in which a rung of the ladder is kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np


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


EDGE = 256
"""Results at either end that do not count: so many are under way in a worker at any time."""


def edge(count: int) -> int:
    """Results to leave out at either end of so many, so that half of a small run is left."""
    return max(1, min(EDGE, count // 4))


def steady_rate(stamps: Sequence[float], left_out: int | None = None) -> float:
    """Events a second while all is under way.

    At the first result others are half done, and at the last one nothing is: between two moments in the middle as much
    work begins as ends.

    Args:
        stamps: a moment for each event; results that become visible together share one.
        left_out: events at either end; `edge` of them where it is not said.

    >>> steady_rate([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 9.0], 1)
    2.0
    """
    ordered = sorted(stamps)
    left_out = edge(len(ordered)) if left_out is None else left_out
    if len(ordered) < 2 * left_out + 1:
        return 0.0
    first, last = ordered[left_out - 1], ordered[-1 - left_out]
    return (bisect_right(ordered, last) - bisect_right(ordered, first)) / (last - first) if last > first else 0.0


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept of the straight line through some points, by least squares; a flat one through fewer than two.

    >>> line([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)])
    (2.0, 1.0)
    """
    if len({x for x, _ in points}) < 2:
        return 0.0, (points[0][1] if points else 0.0)
    slope, intercept = np.polyfit([x for x, _ in points], [y for _, y in points], 1)
    return round(float(slope), 9), round(float(intercept), 9)


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
    """One rung of the ladder.

    Attributes:
        key, what: its name in the results, and in words.
        certificates: how many were coded.
        rate, lines_rate: certificates and lines a second.
        latency: at half of that rate, where it was measured.
        cpu_ms: processor time for each certificate, milliseconds, by process.
        memory_mib: most memory that each process held, MiB.
        notes: further figures.
        rates: certificates a second of every round, where there were several; `rate` is the best of them.
    """

    key: str
    what: str
    certificates: int
    rate: float
    lines_rate: float
    latency: Latency | None = None
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    memory_mib: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)
    rates: tuple[float, ...] = ()

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self)


def best(rounds: Sequence[Rung]) -> Rung:
    """The fastest round of one rung: what disturbs a round from outside makes it slower, never faster."""
    return replace(max(rounds, key=lambda r: r.rate), rates=tuple(round(r.rate, 1) for r in rounds))


Ratios = dict[str, dict[str, float | None]]


def ratios(rungs: Sequence[Rung], bases: Mapping[str, str]) -> Ratios:
    """Each rung's certificates/s against those of other rungs of the same run; None where one was not run.

    Args:
        rungs: all of the run.
        bases: key of the rung to compare with, by the name that the ratio gets.
    """
    rates = {r.key: r.rate for r in rungs}

    def over(rate: float, base: str) -> float | None:
        return round(rate / rates[base], 3) if rates.get(base) else None

    return {r.key: {name: over(r.rate, base) for name, base in bases.items()} for r in rungs}


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ladder should show; `measured` is None where a rung was not run."""

    what: str
    wanted: float
    measured: float | None
    most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether it does; None where it cannot be told."""
        if self.measured is None:
            return None
        return self.measured < self.wanted if self.most else self.measured >= self.wanted

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return asdict(self) | {"met": self.met}


def goals(rungs: Sequence[Rung], ceiling: str, peers: Sequence[str]) -> list[Goal]:
    """The goals of a ladder (issue 7), each with what this run says."""
    by_key = {r.key: r for r in rungs}
    own = by_key.get("exactly_once")
    cached = max((by_key[k] for k in ("cached", "cached_two") if k in by_key), key=lambda r: r.rate, default=None)

    def share(base: str) -> float | None:
        other = by_key.get(base)
        return round(own.rate / other.rate, 3) if own and other and other.rate else None

    found = [
        Goal("exactly once against at least once", 0.85, share("at_least_once")),
        Goal("exactly once against the offline core", 0.80, share("offline")),
        Goal("exactly once against the raw models", 0.70, share(ceiling)),
        *(Goal(f"exactly once against {key}", 1.0, share(key)) for key in peers),
        Goal("certificates a second with the cache on, the better of one worker and two", 1_000.0, round(cached.rate, 1) if cached else None),
        Goal("share of lines answered by the cache", 0.60001, cached.notes.get("coder_cached") if cached else None, most=True),
    ]  # fmt: skip
    for rung in (own, cached):
        if rung and rung.latency:
            found.append(Goal(f"p99 of {rung.key} at half rate, seconds", 1.0, round(rung.latency.p99, 3), most=True))
    return found
