"""EuroMOMO's baseline of all-cause mortality and its z-scores.

An overdispersed Poisson model with a trend, and a yearly sine where one is asked for, is fitted to the weeks of spring
and autumn alone, when neither influenza nor heat moves mortality; winters and summers are then judged against it. The
newest weeks, still incomplete, are left out of the fit, and so may be 2020 to 2022. Sources: euromomo.eu, Methods;
Nielsen et al., Euro Surveillance 24 (2019) 1800393 and 26 (2021) 2002023; Farrington et al., JRSS A 159 (1996), for the
2/3 power.

z = (N^(2/3) - P^(2/3)) / sqrt(4/9 P^(1/3) (od + P se² + P doubt²)), with N the deaths (corrected for delay), P the
baseline, od its dispersion, se the standard error of its logarithm.

One model, fitted at the newest point, judges all points asked for, those of years ago as well, as EuroMOMO shows them.
What it would have said then is told by `series.until(then)`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.errors import InvalidSettings
from stream.surveillance.detection import chance
from stream.surveillance.detection.baseline import checked, few, thinned, unjudged, weekly
from stream.surveillance.detection.quasi import fit
from stream.surveillance.detection.series import Floats, Period, Series
from stream.surveillance.detection.verdict import Reason, Verdict

NAME = "EuroMOMO"
YEAR = 52.18
"""Weeks of the sine, as EuroMOMO has them."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the baseline is fitted.

    Attributes:
        spring, autumn: first and last ISO week of each season of the fit.
        histPer: weeks before and with the newest that the fit looks at; excluded weeks do not count among them.
        delay: newest weeks left out of the fit (EuroMOMO: 13 at most).
        trend: whether the baseline has a trend.
        seasonal: whether it has a yearly sine (EuroMOMO's model LINE_SIN; without it LINE, for the young).
        Z: score above which a week is an alarm; EuroMOMO draws 2 and 4.
        least: weeks that the fit needs: two springs and two autumns.
        limit54: at least so many cases (first) in so many weeks (second).
        exclude: periods left out of the fit.
        leastComplete: weeks of which a smaller share is here are not judged.
    """

    spring: tuple[int, int] = (16, 25)
    autumn: tuple[int, int] = (37, 44)
    histPer: int = 290  # noqa: N815 - named as in EuroMOMO's package
    delay: int = 13
    trend: bool = True
    seasonal: bool = True
    Z: float = 2.0
    least: int = 36
    limit54: tuple[int, int] = (0, 4)
    exclude: tuple[Period, ...] = ()
    leastComplete: float = 0.1  # noqa: N815

    def __post_init__(self) -> None:
        if self.histPer < 1 or self.delay < 0 or self.least < 5 or min(self.limit54) < 0:
            raise InvalidSettings("histPer from 1 on, delay and limit54 from 0 on, least from 5 on")
        for first, last in (self.spring, self.autumn):
            if not 1 <= first <= last <= 53:
                raise InvalidSettings("spring and autumn are each a first and a last ISO week of one year")


def judge(series: Series, options: Options | None = None, points: Iterable[int] | None = None) -> tuple[Verdict, ...]:
    """Verdicts on some points of a weekly series, or on all of them, by one baseline fitted at its newest point.

    The score of a verdict is z.

    Raises:
        InvalidSettings: the series is not weekly.
    """
    options = options or Options()
    weekly(series)
    if not len(series):
        return ()
    exposure, doubts = series.exposure(), series.doubts()
    design = _design(len(series), options)
    weeks = _fitted(series, options)
    made, unit = None, 1.0
    if not isinstance(weeks, Reason):
        # Offsets by their mean, so that the constant stays near the logarithm of a count.
        unit = float(exposure[weeks].mean())
        made = fit(series.values()[weeks], design[weeks], np.log(exposure[weeks] / unit))
        if made is None or not series.values()[weeks].any():
            weeks = Reason.NOT_FITTED

    def one(i: int) -> Verdict:
        if isinstance(weeks, Reason) or made is None:
            return unjudged(series, i, NAME, weeks if isinstance(weeks, Reason) else Reason.NOT_FITTED)
        logarithm, error = made.at(design[i], made.dispersion)
        if not -_FARTHEST < logarithm < _FARTHEST:
            return unjudged(series, i, NAME, Reason.NOT_FITTED)
        expected = math.exp(logarithm) * float(exposure[i]) / unit
        count = float(series.counts[i] or 0.0)
        spread = thinned(made.dispersion, series, weeks, i)
        z, upper = _score(count, expected, spread, math.hypot(error, float(doubts[i])), options.Z)
        enough = few(series, i, options.limit54) >= options.limit54[0]
        p = chance.tail(z)
        return Verdict(
            series.day(i), NAME, series.counts[i], expected, upper if enough else None, z, p, p, z,
            enough and z > options.Z, None if enough else Reason.TOO_FEW, made.dispersion,
            float(made.parameters[1]) if options.trend else None,
        )  # fmt: skip

    return tuple(no or one(i) for i, no in checked(series, points, NAME, options.leastComplete))


_FARTHEST = 100.0


def _score(count: float, expected: float, dispersion: float, error: float, level: float) -> tuple[float, float]:
    """z, and the count at which z is `level`."""
    variance = dispersion + expected * error**2
    spread = math.sqrt(4 / 9 * expected ** (1 / 3) * variance)
    middle = expected ** (2 / 3)
    return (count ** (2 / 3) - middle) / spread, max(0.0, middle + level * spread) ** 1.5


def _design(n: int, options: Options) -> Floats:
    """Constant, week number and sine of each week; numbered from the newest, so that nothing grows large."""
    week = np.arange(1 - n, 1, dtype=float)
    columns = [np.ones(n)]
    if options.trend:
        columns.append(week)
    if options.seasonal:
        columns += [np.sin(2 * np.pi * week / YEAR), np.cos(2 * np.pi * week / YEAR)]
    return np.column_stack(columns)


def _fitted(series: Series, options: Options) -> NDArray[np.int64] | Reason:
    """Places of the weeks of the fit; the reason where there are too few."""
    n = len(series)
    excluded = series.within(options.exclude)
    number = np.array([series.day(i).isocalendar().week for i in range(n)])
    (a, b), (c, d) = options.spring, options.autumn
    season = ((number >= a) & (number <= b)) | ((number >= c) & (number <= d))
    newest = np.arange(n) < n - options.delay
    recent = np.cumsum(~excluded[::-1])[::-1] <= options.histPer
    whole = season & newest & (np.arange(n) >= n - options.histPer)
    kept = season & newest & recent & ~excluded
    known = kept & ~np.isnan(series.values()) & ~np.isnan(series.exposure())
    if known.sum() >= options.least:
        return np.flatnonzero(known)
    if whole.sum() < options.least:
        return Reason.TOO_SHORT
    return Reason.EXCLUDED if kept.sum() < options.least else Reason.GAPS
