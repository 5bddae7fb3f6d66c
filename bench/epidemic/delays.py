"""How long a certificate takes: electronic ones hours to days, paper weeks.

An electronic certificate is sent some hours after death (lognormal, median 9 h), more slowly on Saturdays and Sundays.
Paper goes by town hall and regional agency (lognormal, median 23 days) and is opened on working days, more on Mondays.
Paper comes in bundles: the delays of one day's deaths vary more than a multinomial's (Dirichlet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stream.surveillance.detection.series import Floats

LONGEST = 84
"""Days after which nothing more comes; what would have come later comes then."""
ELECTRONIC_HOURS, ELECTRONIC_SPREAD = 9.0, 1.1
PAPER_DAYS, PAPER_SPREAD = 23.0, 0.45
WEEKEND_SENT = 0.6
"""Share of the electronic certificates due on a day of the weekend that are sent that day."""
BUNDLES = 30.0
"""Mass of a department's Dirichlet: the smaller, the larger the bundles. Those of several departments even out."""


class Source(StrEnum):
    """How a certificate goes."""

    ELECTRONIC = "ELECTRONIC"
    PAPER = "PAPER"


@dataclass(frozen=True, slots=True)
class Scenario:
    """A country's way of certifying.

    Attributes:
        name: for reports.
        text: what it means.
        share: electronic share in the judged year: 1, "first" or "last" for those of the departments in 2018 or 2025,
            or two shares that it rises between within weeks.
        longest: days that the nowcast waits for.
    """

    name: str
    text: str
    share: float | str | tuple[float, float]
    longest: int = LONGEST


ELECTRONIC = Scenario("electronic", "all certificates electronic", 1.0, 14)
WAS = Scenario("was", "France as it was in 2018: one certificate in six electronic", "first")
IS = Scenario("is", "France as it is in 2025, as assumed: over half electronic", "last")
STEEP = Scenario("steep", "electronic share rises from 35 to 75 % within spring", (0.35, 0.75))
SCENARIOS: Mapping[str, Scenario] = {one.name: one for one in (ELECTRONIC, WAS, IS)}


@cache
def chances(source: Source, weekday: int) -> Floats:
    """Chance of each delay, 0 to `LONGEST` days, of a death on a weekday (Monday 0)."""
    found = np.zeros(LONGEST + 1)
    if source is Source.ELECTRONIC:
        # A death falls at any hour of its day.
        hours = (np.arange(24) + 0.5)[:, None]
        ends = 24.0 * np.arange(1, LONGEST + 2)[None, :] - hours
        until = special.ndtr(np.log(ends / ELECTRONIC_HOURS) / ELECTRONIC_SPREAD).mean(axis=0)
    else:
        until = special.ndtr(np.log(np.arange(1, LONGEST + 2) / PAPER_DAYS) / PAPER_SPREAD)
    until[-1] = 1.0
    due, waiting = np.diff(until, prepend=0.0), 0.0
    for delay in range(LONGEST + 1):
        weekend = (weekday + delay) % 7 >= 5
        sent = 1.0
        if weekend:
            sent = WEEKEND_SENT if source is Source.ELECTRONIC else 0.0
        if delay == LONGEST:
            sent = 1.0
        waiting += due[delay]
        found[delay] = waiting * sent
        waiting -= found[delay]
    return found


@cache
def table(source: Source) -> Floats:
    """Chances by weekday (rows) and delay."""
    return np.array([chances(source, weekday) for weekday in range(7)])


def arrivals(
    deaths: Floats, source: Source, weekdays: NDArray[np.integer[Any]], rng: np.random.Generator, places: int = 1
) -> Floats:
    """Deaths by day and delay.

    Args:
        deaths: by day, whole numbers.
        source: how their certificates go.
        weekdays: of the days.
        rng: chance.
        places: departments whose bundles come together.
    """
    told = table(source)[weekdays]
    if source is Source.PAPER:
        drawn = rng.standard_gamma(np.maximum(told * BUNDLES * places, 1e-12))
        drawn[told == 0] = 0.0
        whole = drawn.sum(axis=1, keepdims=True)
        told = np.where(whole > 0, drawn / np.where(whole > 0, whole, 1.0), told)
    # Rounding may bring the sum a hair above 1, which numpy refuses.
    told = told / np.maximum(told.sum(axis=1, keepdims=True), 1.0)
    return np.asarray(rng.multinomial(deaths.astype(np.int64), told), float)
