"""A series of counts in time: one for each day or week, gaps told as such."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from stream.errors import InvalidData

Floats = NDArray[np.float64]


class Step(IntEnum):
    """Days from one count to the next."""

    DAY = 1
    WEEK = 7


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both among them."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InvalidData(f"a period ends on {self.last}, before it begins on {self.first}")

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    @classmethod
    def years(cls, first: int, last: int) -> Period:
        """Whole calendar years."""
        return cls(date(first, 1, 1), date(last, 12, 31))


@dataclass(frozen=True, slots=True)
class Series:
    """Counts at equal steps.

    Attributes:
        start: first day of the first step; all weeks begin on its weekday.
        counts: one for each step, not negative; None where nothing is known, which is not zero. Corrected counts may
            be fractions.
        step: day or week.
        population: people (or any denominator) at each step; None where it plays no part.
        completeness: share of each count that is already here, as nowcasting tells it; over 1 where more came than was
            expected. None where all is here.
        doubt: standard error of that share's logarithm; None where it is taken for certain.
    """

    start: date
    counts: tuple[float | None, ...]
    step: Step = Step.WEEK
    population: tuple[float, ...] | None = None
    completeness: tuple[float, ...] | None = None
    doubt: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if any(count is not None and not 0 <= count < math.inf for count in self.counts):
            raise InvalidData("a series holds a count that is negative or no number")
        for name, least in (("population", math.ulp(0.0)), ("completeness", 0.0), ("doubt", 0.0)):
            beside: tuple[float, ...] | None = getattr(self, name)
            if beside is None:
                continue
            if len(beside) != len(self.counts):
                raise InvalidData(f"a series of {len(self.counts)} counts has {len(beside)} values of {name}")
            if not all(least <= value < math.inf for value in beside):
                raise InvalidData(f"a series holds a value of {name} that is out of its domain")

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, counts: Mapping[date, float], step: Step = Step.WEEK) -> Series:
        """Series from counts by first day of their step; steps that are not among them are gaps.

        Raises:
            InvalidData: a day that is not a whole number of steps after the first.
        """
        if not counts:
            return cls(date.min, (), step)
        start = min(counts)
        places = {(day - start).days: count for day, count in counts.items()}
        if any(days % step for days in places):
            raise InvalidData(f"a series with steps of {step.value} days holds days between its steps")
        return cls(start, tuple(places.get(days) for days in range(0, max(places) + 1, step)), step)

    def day(self, i: int) -> date:
        """First day of a step; steps before the start and after the end have one too."""
        return self.start + timedelta(days=i * self.step)

    def index(self, day: date) -> int:
        """Step that holds a day; negative, or past the end, where the series holds it not."""
        return (day - self.start).days // self.step

    def values(self) -> Floats:
        """Counts as numbers, nan for gaps."""
        return np.array([math.nan if count is None else count for count in self.counts], float)

    def exposure(self) -> Floats:
        """What each expected count is proportional to: population by completeness; nan where nothing can be here."""
        known = self.shares() if self.population is None else np.array(self.population, float) * self.shares()
        known[known <= 0] = np.nan
        return known

    def shares(self) -> Floats:
        """Completeness; 1 where the series tells none."""
        return np.ones(len(self)) if self.completeness is None else np.array(self.completeness, float)

    def doubts(self) -> Floats:
        """Standard errors of the logarithm of completeness."""
        return np.zeros(len(self)) if self.doubt is None else np.array(self.doubt, float)

    def within(self, periods: Iterable[Period]) -> NDArray[np.bool_]:
        """Whether the first day of each step lies in one of the periods."""
        found = np.zeros(len(self), bool)
        for period in periods:
            first, last = -((self.start - period.first).days // self.step), self.index(period.last)
            found[max(0, first) : max(0, last + 1)] = True
        return found

    def until(self, i: int) -> Series:
        """The series as it was when step `i` was its newest (with counts as they are known now)."""
        cut = {name: value[: i + 1] for name in _BESIDE if (value := getattr(self, name)) is not None}
        return replace(self, counts=self.counts[: i + 1], **cut)

    def weeks(self, weekday: int = 0) -> Series:
        """Weeks that begin on `weekday` (0 is Monday, as in ISO 8601; 6 is Sunday, as MMWR weeks do) from days.

        Days before the first and after the last whole week are left out; a week with a gap is a gap. A week is as
        complete as its counts together; its doubt is that of days whose errors go together, the larger case.
        """
        if self.step is Step.WEEK:
            return self
        skip = (weekday - self.start.weekday()) % 7
        n = max(0, len(self) - skip) // 7

        def by_week(values: Sequence[float | None] | Floats) -> Floats:
            return np.array(values[skip : skip + 7 * n], float).reshape(n, 7)

        counts = by_week(self.values())
        sums = tuple(None if math.isnan(value) else float(value) for value in counts.sum(axis=1))
        population = None if self.population is None else tuple(by_week(self.population).mean(axis=1).tolist())
        completeness = doubt = None
        if self.completeness is not None:
            shares = by_week(self.completeness)
            whole = np.nan_to_num(counts) + 0.5  # days without any death weigh a little, so that no weight is zero
            expected = np.divide(whole, shares, out=np.full_like(shares, np.inf), where=shares > 0)
            found = whole.sum(axis=1) / expected.sum(axis=1)
            completeness = tuple(found.tolist())
            if self.doubt is not None:
                errors = by_week(self.doubt)
                weights = np.where(np.isinf(expected), 0.0, expected)
                heaviest = weights.sum(axis=1)
                mean = (weights * errors).sum(axis=1) / np.where(heaviest > 0, heaviest, 1.0)
                doubt = tuple(mean.tolist())
        return Series(self.day(skip), sums, Step.WEEK, population, completeness, doubt)


_BESIDE = ("population", "completeness", "doubt")
