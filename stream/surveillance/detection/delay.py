"""Delay as EuroMOMO sees it: the share registered so many weeks after death, which holidays lower.

For each number r of weeks that have passed since a week's deaths, the share registered within r in past weeks is
modelled by a binomial regression (logit) on the closed days in between, with Pearson's dispersion; what is registered
is divided by it, and never lowered. Source: euromomo.eu, Methods. EuroMOMO then models the count on what is registered
by a second regression; that step is not taken here: the same share follows from the first.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from stream.surveillance.detection.series import Floats, Series
from stream.surveillance.detection.triangle import Triangle

LEAST = 10
"""Complete weeks under which nothing is said of a share."""


def registered(triangle: Triangle, closed: Collection[date] = (), m: int | None = None) -> Series:
    """Deaths registered so far by week, with the share that they are of all and its doubt.

    Args:
        triangle: of weeks (or days).
        closed: days without registration, weekends left aside.
        m: newest steps that shares are learned from; all when None.

    Returns:
        A share of 0 where it is not known: fewer than ten complete steps, or nothing registered so soon.
    """
    series = triangle.reported()
    n, longest = len(triangle.cells), triangle.longest
    share, doubt = np.ones(n), np.zeros(n)
    whole = np.arange(max(0, n - (m or n)), n - longest)
    sums = np.cumsum(np.nan_to_num(triangle.array()), axis=1)
    for delay in range(min(longest, n)):
        i = n - 1 - delay
        share[i], doubt[i] = 0.0, 0.0
        learned = whole[sums[whole, -1] > 0]
        if len(learned) >= LEAST:
            days = np.array([_closed(triangle, k, delay, closed) for k in (*learned.tolist(), i)], float)
            share[i], doubt[i] = _share(sums[learned, delay], sums[learned, -1], days)
    return replace(series, completeness=tuple(share.tolist()), doubt=tuple(doubt.tolist()))


def corrected(series: Series) -> Series:
    """Counts divided by the share that is here, never lowered; gaps where it is not known. The doubt stays."""
    if series.completeness is None:
        return series
    counts = tuple(
        None if count is None or share <= 0 else max(count, count / share)
        for count, share in zip(series.counts, series.completeness, strict=True)
    )
    return replace(series, counts=counts, completeness=None)


def _closed(triangle: Triangle, i: int, delay: int, closed: Collection[date]) -> int:
    """Closed days from the first day of a step to the end of the step in which its delay ends."""
    first, last = triangle.day(i), triangle.day(i + delay + 1) - timedelta(days=1)
    return sum(first <= day <= last for day in closed)


def _share(came: Floats, whole: Floats, days: Floats) -> tuple[float, float]:
    """Share at the last of `days`, and the standard error of its logarithm."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    total, all_in = float(came.sum()), float(whole.sum())
    if total <= 0:
        return 0.0, 0.0
    if total >= all_in:
        return 1.0, 0.0
    columns = [np.ones(len(days))]
    if len(set(days[:-1])) > 1:
        columns.append(days)
    design = np.column_stack(columns)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = GLM(np.column_stack([came, whole - came]), design[:-1], family=Binomial()).fit(scale="X2")
        logit = float(design[-1] @ found.params)
        variance = float(design[-1] @ found.cov_params() @ design[-1])
    if not (found.converged and math.isfinite(logit) and math.isfinite(variance)):
        return total / all_in, math.sqrt((1 - total / all_in) / total)
    share = 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
    return share, (1 - share) * math.sqrt(variance)
