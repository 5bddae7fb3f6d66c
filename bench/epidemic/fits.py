"""Baselines of Farrington's algorithm and of the flexible one, fitted to hundreds of simulated series at once.

The same regression as `stream.surveillance.detection.baseline`, which fits one series at a time by statsmodels: weeks
and design of a day are the same for all series of a study, so that each step of the iteration is one matrix product.
`tests/surveillance/simulator` holds the figures of both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from bench.epidemic import world
from stream.surveillance.detection import farrington, flexible
from stream.surveillance.detection.reference import Reference, reference
from stream.surveillance.detection.series import Floats, Series
from stream.surveillance.detection.verdict import Reason

_STEPS, _RELATIVE, _ABSOLUTE = 25, 1e-8, 1e-9
_FARTHEST = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How a method builds its baseline; the fields of its options."""

    b: int
    w: int
    blocks: int
    past: int
    threshold: float
    p_trend: float
    floored: bool


NOUFAILY = Plan(
    flexible.NOUFAILY.b, flexible.NOUFAILY.w, flexible.NOUFAILY.noPeriods, flexible.NOUFAILY.past,
    flexible.NOUFAILY.weightsThreshold, flexible.NOUFAILY.pThresholdTrend, floored=False,
)  # fmt: skip
_CLASSIC = farrington.Options()
FARRINGTON = Plan(
    _CLASSIC.b, _CLASSIC.w, 1, _CLASSIC.w, _CLASSIC.weightsThreshold, _CLASSIC.pThresholdTrend, floored=True
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is expected of one week in each series (or of several weeks: one column each).

    Attributes:
        mean: expected count; nan where no model could be fitted.
        error: standard error of its logarithm.
        dispersion: variance by mean.
    """

    mean: Floats
    error: Floats
    dispersion: Floats


def baselines(daily: Floats, ends: range, plan: Plan) -> Baseline:
    """Baselines of the weeks that end on some days.

    Args:
        daily: counts by series (rows) and day of the world.
        ends: last days of the weeks.
        plan: of the method.
    """
    sums = np.concatenate([np.zeros((len(daily), 1)), np.cumsum(daily, axis=1)], axis=1)
    shape = len(daily), len(ends)
    mean, error, dispersion = np.full(shape, np.nan), np.zeros(shape), np.ones(shape)
    for place, end in enumerate(ends):
        first = (end + 1) % 7
        weeks = sums[:, first + 7 : end + 2 : 7] - sums[:, first : end - 5 : 7]
        found = _fitted(weeks, _reference(end, plan), weeks.shape[1] - 1, plan)
        mean[:, place], error[:, place], dispersion[:, place] = found.mean, found.error, found.dispersion
    return Baseline(mean, error, dispersion)


@lru_cache(4096)
def _reference(end: int, plan: Plan) -> Reference:
    """Weeks to compare the week that ends on a day with; the calendar alone decides."""
    weeks = (end + 1) // 7
    series = Series(world.day((end + 1) % 7), (1.0,) * weeks)
    found = reference(series, weeks - 1, b=plan.b, w=plan.w, blocks=plan.blocks, past=plan.past)
    assert not isinstance(found, Reason)  # a world has years enough
    return found


def _fitted(weeks: Floats, compared: Reference, i: int, plan: Plan) -> Baseline:
    counts, factor = weeks[:, compared.weeks], compared.factor()
    time = (compared.weeks - compared.weeks[0]).astype(float)
    at = np.zeros(factor.shape[1] + 1)
    at[0], at[-1] = 1.0, i - compared.weeks[0]
    with_trend = _twice(counts, np.column_stack([factor, time]), plan)
    mean, error = with_trend.at(at)
    slope = with_trend.parameters[:, -1]
    with np.errstate(all="ignore"):
        spread = np.sqrt(np.maximum(0.0, with_trend.told * with_trend.covariance[:, -1, -1]))
        p = np.where(spread > 0, 2 * special.stdtr(with_trend.free, -np.abs(slope) / spread), 1.0)
        kept = (p < plan.p_trend) & (mean <= np.log(counts.max(axis=1)) + 1e-12)
    plain = _twice(counts, factor, plan)
    plain_mean, plain_error = plain.at(at[:-1])
    with np.errstate(all="ignore"):
        found = Baseline(
            np.exp(np.where(kept, mean, plain_mean)), np.where(kept, error, plain_error),
            np.where(kept, with_trend.dispersion, plain.dispersion),
        )  # fmt: skip
    # Windows without a case: Jeffreys' predictive distribution, as `limits.quiet` has it.
    windows = compared.season == 0
    empty = ~weeks[:, compared.weeks[windows]].any(axis=1)
    n = float(windows.sum())
    found.mean[empty], found.dispersion[empty], found.error[empty] = 1 / (2 * n), 1 + 1 / n, 0.0
    return found


@dataclass(frozen=True, slots=True)
class _Fits:
    parameters: Floats
    covariance: Floats
    dispersion: Floats
    told: Floats
    free: int

    def at(self, row: Floats) -> tuple[Floats, Floats]:
        """Logarithm of the mean at a row of the design, and its standard error."""
        eta = self.parameters @ row
        variance = np.einsum("p,rpq,q->r", row, self.covariance, row) * self.told
        with np.errstate(all="ignore"):
            return eta, np.sqrt(np.maximum(0.0, variance))


def _twice(counts: Floats, design: Floats, plan: Plan) -> _Fits:
    """Fit, weigh past outbreaks down, fit again."""
    free = len(design) - design.shape[1]
    first = _fit(counts, design, None)
    residuals = first.anscombe(counts, design, free)
    with np.errstate(all="ignore"):
        weights = np.where(residuals > plan.threshold, residuals**-2.0, 1.0)
    weights *= weights.shape[1] / weights.sum(axis=1, keepdims=True)
    made = _fit(counts, design, weights)
    dispersion = np.maximum(1.0, made.pearson(counts) / free)
    # As the product does: R tells errors of the flexible algorithm with the weights of the outbreaks.
    with np.errstate(all="ignore"):
        told = dispersion if plan.floored else (weights * (counts / made.means - 1) ** 2).sum(axis=1) / free
    return _Fits(made.parameters, made.covariance, dispersion, told, free)


@dataclass(frozen=True, slots=True)
class _Step:
    parameters: Floats
    means: Floats
    working: Floats
    covariance: Floats

    def pearson(self, counts: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray((self.working * (counts / self.means - 1) ** 2).sum(axis=1), float)

    def anscombe(self, counts: Floats, design: Floats, free: int) -> Floats:
        squares = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
        leverage = self.working * (self.covariance.reshape(len(counts), -1) @ squares.T)
        dispersion = np.maximum(1.0, self.pearson(counts) / free)[:, None]
        with np.errstate(all="ignore"):
            spread = np.sqrt(dispersion * np.maximum(1 - leverage, 1e-12))
            found = 1.5 * (counts ** (2 / 3) * self.means ** (-1 / 6) - np.sqrt(self.means)) / spread
        return np.asarray(np.nan_to_num(found), float)


def _fit(counts: Floats, design: Floats, weights: Floats | None) -> _Step:
    """Quasi-Poisson regression of all rows; nan where one does not converge."""
    n, p = design.shape
    squares = (design[:, :, None] * design[:, None, :]).reshape(n, p * p)
    prior = np.ones_like(counts) if weights is None else weights
    means = counts + 0.1
    eta = np.log(means)
    old = np.full(len(counts), np.inf)
    working = parameters = None
    with np.errstate(all="ignore"):
        for step in range(_STEPS + 1):
            working = prior * means
            answer = working * (eta + counts / means - 1)
            normal = (working @ squares).reshape(-1, p, p)
            parameters = _solved(normal, answer @ design)
            eta = parameters @ design.T
            means = np.exp(np.clip(eta, -_FARTHEST, _FARTHEST))
            deviance = 2 * (prior * (special.xlogy(counts, counts / means) - counts + means)).sum(axis=1)
            # The product's first step is made of its start, and is not judged.
            settled = np.abs(deviance - old) <= _ABSOLUTE + _RELATIVE * np.abs(deviance)
            if step and bool((settled | ~np.isfinite(deviance)).all()):
                break
            old = deviance
    assert working is not None and parameters is not None
    bad = ~np.isfinite(parameters).all(axis=1) | (np.abs(parameters[:, 0]) >= _FARTHEST)
    parameters[bad] = np.nan
    covariance = np.full((len(counts), p, p), np.nan)
    covariance[~bad] = np.linalg.pinv((working[~bad] @ squares).reshape(-1, p, p), hermitian=True)
    return _Step(parameters, means, working, covariance)


def _solved(normal: Floats, right: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.solve(normal, right[..., None])[..., 0], float)
    except np.linalg.LinAlgError:
        found = np.full(right.shape, np.nan)
        for i, (matrix, row) in enumerate(zip(normal, right, strict=True)):
            if np.isfinite(matrix).all() and np.linalg.matrix_rank(matrix) == len(row):
                found[i] = np.linalg.solve(matrix, row)
        return found
