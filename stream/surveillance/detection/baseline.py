"""What Farrington's algorithm and the flexible one share: the model of past weeks, and the verdict from its bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from stream.errors import InvalidSettings
from stream.surveillance.detection import limits
from stream.surveillance.detection.limits import Limits
from stream.surveillance.detection.quasi import Fit, fit, outbreaks
from stream.surveillance.detection.reference import Reference
from stream.surveillance.detection.series import Floats, Series, Step
from stream.surveillance.detection.verdict import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Model:
    """A baseline fitted, at the point that is judged.

    Attributes:
        eta: logarithm of the count expected.
        error: its standard error.
        dispersion: variance by mean.
        trend: change of `eta` by week, where one was kept.
    """

    eta: float
    error: float
    dispersion: float
    trend: float | None

    @property
    def mean(self) -> float:
        """Count expected."""
        return math.exp(self.eta)


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a baseline is fitted; the options of either algorithm, and where the two differ.

    Attributes:
        threshold: Anscombe residual from which a week counts as an outbreak; None without reweighting.
        trend: whether one is tried.
        p_trend: p value under which it is kept.
        long: whether the baseline is long enough for a trend (three years).
        floored: whether errors are told with a dispersion of at least 1 from Pearson's residuals, as in 1996. R's
            flexible algorithm tells them with the weights of the outbreaks in place of those of the model.
    """

    threshold: float | None
    trend: bool
    p_trend: float
    long: bool
    floored: bool


def weekly(series: Series) -> None:
    """Refuse series by days.

    Raises:
        InvalidSettings: the series is not weekly.
    """
    if series.step is not Step.WEEK:
        raise InvalidSettings(
            "Farrington's algorithms compare weeks", hint="make weeks of the days first: series.weeks()"
        )


def checked(
    series: Series, points: Iterable[int] | None, method: str, least: float
) -> Iterator[tuple[int, Verdict | None]]:
    """Points to be judged, each with the verdict that it cannot be, if so.

    Args:
        series: the counts.
        points: places in it; all when None.
        method: name for the verdicts.
        least: completeness under which a point is not judged.
    """
    exposure = series.exposure()
    for i in range(len(series)) if points is None else points:
        if series.counts[i] is None:
            yield i, unjudged(series, i, method, Reason.MISSING)
        elif math.isnan(exposure[i]) or (series.completeness is not None and series.completeness[i] < least):
            yield i, unjudged(series, i, method, Reason.INCOMPLETE)
        else:
            yield i, None


def unjudged(series: Series, i: int, method: str, reason: Reason) -> Verdict:
    """Verdict of a point without a baseline."""
    return Verdict(series.day(i), method, series.counts[i], reason=reason)


def model(series: Series, i: int, weeks: Reference, how: Fitting) -> Model | None:
    """Fit a baseline; None where it did not converge."""
    counts, exposure = series.values()[weeks.weeks], series.exposure()
    relative = exposure[weeks.weeks] / exposure[i]
    offset, factor = np.log(relative), weeks.factor()
    seen = float((counts / relative).max())
    time = (weeks.weeks - weeks.weeks[0]).astype(float)
    if how.trend:
        found = _twice(counts, np.column_stack([factor, time]), offset, how)
        if found is not None:
            at = np.zeros(factor.shape[1] + 1)
            at[0], at[-1] = 1.0, i - weeks.weeks[0]
            made, p = _model(*found, at, trend=True)
            if how.long and p < how.p_trend and made.eta <= math.log(seen) + 1e-12:
                return made
    found = _twice(counts, factor, offset, how)
    if found is None:
        return None
    at = np.zeros(factor.shape[1])
    at[0] = 1.0
    return _model(*found, at, trend=False)[0]


def verdict(
    series: Series, i: int, method: str, weeks: Reference, how: Fitting, *, alpha: float, limit54: tuple[int, int],
    bounds: Callable[[float, Model], Limits],
) -> Verdict:  # fmt: skip
    """Verdict of one point.

    Args:
        series: the counts.
        i: the point.
        method: its name.
        weeks: the baseline.
        how: it is fitted.
        alpha: chance beyond the upper bound.
        limit54: least cases, in so many steps.
        bounds: from count and model.
    """
    count = float(series.counts[i] or 0.0)
    windows = weeks.weeks[weeks.season == 0]
    made = None
    if not series.values()[windows].any():
        exposure = series.exposure()
        seen = float(exposure[windows].sum())
        found = limits.quiet(count, seen, float(exposure[i]), alpha)
        expected = float(exposure[i]) / (2 * seen)
    else:
        made = model(series, i, weeks, how)
        if made is None:
            return unjudged(series, i, method, Reason.NOT_FITTED)
        expected = made.mean
        spread = thinned(made.dispersion, series, weeks.weeks, i) + expected * float(series.doubts()[i]) ** 2
        found = bounds(count, replace(made, dispersion=spread))
        if not math.isfinite(found.upper):
            return unjudged(series, i, method, Reason.NOT_FITTED)
    enough = few(series, i, limit54) >= limit54[0]
    return Verdict(
        series.day(i), method, series.counts[i], expected, found.upper if enough else None, found.score,
        found.p_value, found.mid_p, found.z, enough and count > found.upper, None if enough else Reason.TOO_FEW,
        made.dispersion if made else None, made.trend if made else None,
    )  # fmt: skip


def thinned(dispersion: float, series: Series, weeks: NDArray[np.int64], i: int) -> float:
    """Dispersion of a count of which another share is here than of the baseline: what exceeds 1 goes with the mean."""
    shares = series.shares()
    return 1 + (dispersion - 1) * float(shares[i] / shares[weeks].mean())


def few(series: Series, i: int, limit54: tuple[int, int]) -> float:
    """Cases of the last steps, point `i` among them, that an alarm asks some of."""
    return sum(count or 0.0 for count in series.counts[max(0, i - limit54[1] + 1) : i + 1])


def _twice(counts: Floats, design: Floats, offset: Floats, how: Fitting) -> tuple[Fit, float, float] | None:
    """Model after past outbreaks are weighed down; its dispersion, and the one that its errors are told with."""
    made, weights = fit(counts, design, offset), None
    if made is not None and how.threshold is not None:
        weights = outbreaks(made.anscombe(counts), how.threshold)
        made = fit(counts, design, offset, weights)
    if made is None:
        return None
    if how.floored:
        return made, made.dispersion, made.dispersion
    told = made.pearson if weights is None else float((weights * made.residuals**2).sum())
    return made, made.dispersion, told / made.free


def _model(made: Fit, dispersion: float, told: float, at: Floats, *, trend: bool) -> tuple[Model, float]:
    """Model at the row `at`; p value of its last column (Student's t, since the dispersion is estimated)."""
    eta, error = made.at(at, told)
    slope = float(made.parameters[-1])
    spread = math.sqrt(max(0.0, told * float(made.covariance[-1, -1])))
    p = 2 * float(special.stdtr(made.free, -abs(slope) / spread)) if spread > 0 else 1.0
    return Model(eta, error, dispersion, slope if trend else None), p
