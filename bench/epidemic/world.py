"""How many die where, when and of what: season, trend, weekdays, waves of influenza and of heat, and chance drift.

A world is drawn from a seed. It tells the expected deaths of each day by cause; deaths themselves are drawn from it,
either as counts of a series (`series.py`) or one by one (`people.py`).

A winter's wave of influenza is a bell around the end of January with a random week, width and size; a summer has 0 to
4 heat waves of some days. Causes rise by their own factors (`causes.tsv`). Each cause drifts by an autoregression with
a memory of two weeks, each department by another, so that counts vary more than Poisson's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from bench.epidemic import tables
from bench.epidemic.tables import Cause, Department
from stream.surveillance.detection.series import Floats

FIRST = date(2018, 1, 1)
LAST = date(2025, 12, 31)
DAYS = (LAST - FIRST).days + 1
JUDGED = (date(2025, 1, 1) - FIRST).days
"""First day of the last year, the one that is judged."""
MEMORY_DAYS = 14.0
COMMON, LOCAL = 0.012, 0.03
"""Standard deviations of the drift that all causes share, and of a department's own."""
CALM = 0.01
"""Largest share of a series that waves may add on a quiet day."""


@dataclass(frozen=True, slots=True)
class World:
    """What a seed made.

    Attributes:
        seed: it.
        influenza, heat: height of the waves by day, 1 for a usual one at its peak.
        drift: factor of each cause by day.
        local: factor of each department by day; departments that were asked for.
    """

    seed: int
    influenza: Floats
    heat: Floats
    drift: Mapping[str, Floats]
    local: Mapping[str, Floats]

    def expected(self, cause: Cause, waves: bool = True) -> Floats:
        """Deaths by day of a cause for each death a year that a place has."""
        rate = cause.share / 365.25 * _calendar(cause) * self.drift[cause.name]
        return rate * self.rise(cause) if waves else rate

    def rise(self, cause: Cause) -> Floats:
        """Factor of the waves."""
        return np.asarray(1 + cause.influenza * self.influenza + cause.heat * self.heat, float)


def world(seed: int, places: Sequence[str] = ()) -> World:
    """Draw a world.

    Args:
        seed: all that is drawn follows from it.
        places: departments whose own drift is wanted.
    """
    rng = np.random.default_rng([seed, 1])
    influenza, heat = _influenza(rng), _heat(rng)
    common = _drift(rng, COMMON)
    drift = {cause.name: np.exp(common + _drift(rng, cause.spread)) for cause in tables.causes().values()}
    local = {place: np.exp(_drift(np.random.default_rng([seed, 2, int(place, 36)]), LOCAL)) for place in places}
    return World(seed, influenza, heat, drift, local)


def day(index: int) -> date:
    """Date of a day of the worlds."""
    return FIRST + timedelta(days=int(index))


def electronic(department: Department, steep: tuple[float, float] | None = None) -> Floats:
    """Electronic share of a department by day: a slow rise around the summer of 2022.

    Args:
        department: with its first and last share.
        steep: share from which, and to which, it rises within the spring of the last year instead; the years before
            have the first.
    """
    days = np.arange(DAYS)
    if steep is None:
        return _between(department.first, department.last, days, (date(2022, 6, 1) - FIRST).days, 270.0)
    return _between(*steep, days, (date(2025, 5, 1) - FIRST).days, 14.0)


def share_of(cause: Cause, electronic: Floats) -> Floats:
    """Electronic share of a cause's certificates: hospital deaths are certified electronically more often."""
    odds = np.clip(electronic, 1e-6, 1 - 1e-6)
    odds = odds / (1 - odds) * cause.electronic**2
    return np.asarray(odds / (1 + odds), float)


def weekdays() -> NDArray[np.int64]:
    """Weekday of each day, Monday 0; the first day is a Monday."""
    return np.arange(DAYS) % 7


def _calendar(cause: Cause) -> Floats:
    """Season, trend and weekday."""
    days = np.arange(DAYS)
    year = np.exp(cause.season * np.cos(2 * math.pi * (days - 20) / 365.25))
    trend = (1 + cause.trend / 100) ** ((days - DAYS / 2) / 365.25)
    weekend = np.where(weekdays() >= 5, cause.weekend, 1.0)
    return np.asarray(year * trend * weekend, float)


def _influenza(rng: np.random.Generator) -> Floats:
    found, days = np.zeros(DAYS), np.arange(DAYS)
    for year in range(FIRST.year, LAST.year + 2):
        peak = (date(year, 1, 25) - FIRST).days + rng.normal(0, 16)
        width, height = rng.uniform(11, 18), rng.lognormal(0, 0.45)
        found += height * np.exp(-0.5 * ((days - peak) / width) ** 2)
    return np.where(found < 1e-4, 0.0, found)


def _heat(rng: np.random.Generator) -> Floats:
    found = np.zeros(DAYS)
    for year in range(FIRST.year, LAST.year + 1):
        for _ in range(min(4, rng.poisson(1.4))):
            begin = (date(year, 6, 15) - FIRST).days + int(rng.integers(0, 70))
            length, height = 4 + int(rng.geometric(0.3)), rng.lognormal(-0.2, 0.5)
            shape = np.sin(math.pi * (np.arange(length) + 0.5) / length)
            found[begin : begin + length] += height * shape
    return found


def _drift(rng: np.random.Generator, spread: float) -> Floats:
    """Autoregression of order 1, stationary, mean 0."""
    keep = math.exp(-1 / MEMORY_DAYS)
    shocks = rng.normal(0, spread * math.sqrt(1 - keep**2), DAYS)
    shocks[0] = rng.normal(0, spread)
    found = np.empty(DAYS)
    value = 0.0
    for i, shock in enumerate(shocks.tolist()):
        value = keep * value + shock if i else shock
        found[i] = value
    return found


def _between(first: float, last: float, days: Floats | NDArray[np.int64], middle: float, width: float) -> Floats:
    return np.asarray(first + (last - first) / (1 + np.exp(-(days - middle) / width)), float)
