"""Series of one group in one place: their deaths drawn from a world, by the way their certificates go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.epidemic import delays, tables, world
from bench.epidemic.delays import Scenario, Source
from bench.epidemic.world import World
from stream.surveillance.detection.series import Floats

HISTORY = 182
"""Days before the judged year of which arrivals are drawn: those that nowcasts learn from, and more than the longest delay."""
BEGIN = world.JUDGED - HISTORY
"""First day of the arrivals."""


@dataclass(frozen=True, slots=True)
class Target:
    """A series that is watched.

    Attributes:
        name: for reports.
        text: what it is.
        group: of deaths.
        place: department, or FR.
        sizes: of the outbreaks, deaths.
    """

    name: str
    text: str
    group: str
    place: str
    sizes: tuple[int, ...]


TARGETS: Mapping[str, Target] = {
    one.name: one
    for one in (
        Target("all-fr", "all causes, France", "all_causes", "FR", (250, 500, 1000, 2000, 4000)),
        Target("lung-fr", "influenza and pneumonia, France", "pneumonia_influenza", "FR", (50, 100, 200, 400, 800)),
        Target("lung-33", "influenza and pneumonia, Gironde", "pneumonia_influenza", "33", (5, 10, 20, 40, 80)),
        Target("gut-fr", "gastroenteritis, France", "gastroenteritis", "FR", (5, 10, 20, 40, 80)),
    )
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Expected deaths of a series.

    Attributes:
        deaths: by day.
        electronic: share of the certificates that are electronic, by day.
        quiet: days on which waves add next to nothing.
    """

    deaths: Floats
    electronic: Floats
    quiet: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """One simulated series.

    Attributes:
        deaths: by day of the world.
        arrivals: by day from `BEGIN` on and delay, all sources together.
        electronic: the electronic ones among them.
    """

    deaths: Floats
    arrivals: Floats
    electronic: Floats


def places(target: Target) -> tuple[tables.Department, ...]:
    """Departments of a target."""
    return tuple(one for one in tables.departments() if target.place in ("FR", one.code))


def rates(target: Target, made: World, scenario: Scenario) -> Rates:
    """Expected deaths of a target in a world."""
    share, causes = _shares(target.place, scenario.share), tables.causes()
    scale = sum(place.deaths for place in places(target))
    local = made.local.get(target.place, 1.0)
    deaths, calm, electronic = np.zeros(world.DAYS), np.zeros(world.DAYS), np.zeros(world.DAYS)
    for name, part in tables.membership(target.group).items():
        cause = causes[name]
        quietly = part * scale * local * made.expected(cause, waves=False)
        expected = quietly * made.rise(cause)
        deaths, calm = deaths + expected, calm + quietly
        electronic += expected * (world.share_of(cause, share) if scenario.share != 1.0 else 1.0)
    return Rates(deaths, electronic / deaths, deaths <= calm * (1 + world.CALM))


def draw(target: Target, found: Rates, seed: Sequence[int]) -> Drawn:
    """Deaths and arrivals of one series; the deaths are the same in all scenarios of a seed."""
    rng = np.random.default_rng([*seed, 3])
    deaths = rng.poisson(found.deaths).astype(float)
    rng = np.random.default_rng([*seed, 4])
    rows = slice(BEGIN, world.DAYS)
    electronic = rng.binomial(deaths[rows].astype(int), np.clip(found.electronic[rows], 0.0, 1.0)).astype(float)
    sent = came(deaths[rows], electronic, BEGIN, rng, len(places(target)))
    return Drawn(deaths, sent[0] + sent[1], sent[0])


def came(
    deaths: Floats, electronic: Floats, first: int, rng: np.random.Generator, bundles: int
) -> tuple[Floats, Floats]:
    """Arrivals by day of death and delay: electronic, and on paper."""
    weekdays = (first + np.arange(len(deaths))) % 7
    sent = delays.arrivals(electronic, Source.ELECTRONIC, weekdays, rng)
    return sent, delays.arrivals(deaths - electronic, Source.PAPER, weekdays, rng, bundles)


@cache
def _shares(place: str, share: float | str | tuple[float, float]) -> Floats:
    """Electronic share of a place by day, whatever the cause."""
    told = [one for one in tables.departments() if place in ("FR", one.code)]
    weights = np.array([one.deaths for one in told])
    if isinstance(share, float):
        return np.full(world.DAYS, share)
    if isinstance(share, tuple):
        return world.electronic(told[0], share)
    each = [np.full(world.DAYS, one.first) if share == "first" else world.electronic(one) for one in told]
    return np.asarray((weights / weights.sum()) @ np.array(each), float)
