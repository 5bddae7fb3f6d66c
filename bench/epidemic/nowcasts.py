"""What is here of each day's deaths on every day of a year: the nowcast of `detection.nowcast`, for a whole year at once.

The product makes one nowcast at a time from a triangle; here the triangles of 365 days overlap, and sums that slide
over them give the hazards of all. The doubt is that of the same posterior by its variance instead of by draws.
`tests/surveillance/simulator` holds both against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.surveillance.detection.nowcast import Options
from stream.surveillance.detection.series import Floats

USED_DAYS = 182
"""Newest days of deaths that delays are learned from."""
OPTIONS = Options(m=USED_DAYS, weekday=True)
WEEK = 7
Whole = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Shares:
    """By day of looking (rows) and age of the day of death in days, 0 today: share that is here, its log's standard error."""

    share: Floats
    doubt: Floats


def shares(arrivals: Floats, looks: range, longest: int) -> Shares:
    """Nowcasts of some days.

    Args:
        arrivals: by day of death and delay; what a look does not see yet is left out here.
        looks: rows at whose end is looked, each at least `USED_DAYS` from the first.
        longest: longest delay; later arrivals count as so long.
    """
    cells = arrivals[:, : longest + 1].copy()
    cells[:, longest] += arrivals[:, longest + 1 :].sum(axis=1)
    now = np.arange(looks.start, looks.stop)
    pooled, own = _Sums(cells, 1), _Sums(cells, WEEK)
    delay = np.arange(longest + 1)
    last = now[:, None] - delay[None, :]
    before = now - USED_DAYS
    all_days = pooled.between(before[:, None], last)
    with np.errstate(all="ignore"):
        g = np.where(all_days.within > 0, all_days.exactly / all_days.within, np.nan)
    weight = np.where(np.isfinite(g), OPTIONS.shrink, 0.0)
    share, doubt = np.zeros((len(now), longest)), np.zeros((len(now), longest))
    rows = np.arange(len(now))
    for residue in range(WEEK):
        # Rows of one weekday: the last of them that a delay has reached, and the last before the window.
        stratum = own.between(_latest(before, residue)[:, None], _latest(last, residue))
        dispersion = _dispersion(stratum, longest)[:, None]
        exactly = stratum.exactly + weight * np.nan_to_num(g)
        within = stratum.within + weight
        with np.errstate(all="ignore"):
            stay = 1 - exactly[:, 1:] / within[:, 1:]
        until = np.cumprod(stay[:, ::-1], axis=1)[:, ::-1]
        prior = 1 / (longest + 1)
        gone = (within - exactly)[:, 1:] / dispersion + prior * delay[1:]
        variance = _trigamma(gone) - _trigamma(gone + exactly[:, 1:] / dispersion + prior)
        error = np.sqrt(np.cumsum(np.maximum(variance, 0.0)[:, ::-1], axis=1)[:, ::-1])
        for age in range(longest):
            at = rows[(now - age) % WEEK == residue]
            share[at, age], doubt[at, age] = until[at, age], error[at, age]
    return Shares(np.where(np.isfinite(share) & (share > 0), share, 0.0), np.nan_to_num(doubt))


@dataclass(frozen=True, slots=True)
class _Counts:
    exactly: Floats
    within: Floats
    squares: Floats
    cells: Floats


class _Sums:
    """Sums over rows a step apart, from any row to any other, of what hazards and their dispersion are made of."""

    def __init__(self, cells: Floats, step: int) -> None:
        self.step = step
        so_far = np.cumsum(cells, axis=1)
        with np.errstate(all="ignore"):
            squares = np.where(so_far > 0, cells**2 / so_far, 0.0)
        self._sums = [_strided(values, step) for values in (cells, so_far, squares, (so_far > 0).astype(float))]

    def between(self, before: Whole, last: Whole) -> _Counts:
        """Sums of the rows after `before` up to `last`, by delay (columns)."""
        column = np.arange(last.shape[1])[None, :]
        # A delay that no row of the window has reached yet counts nothing.
        found = [
            np.where(last > before, of[np.maximum(last, -1) + self.step, column] - of[np.maximum(before, -1) + self.step, column], 0.0)
            for of in self._sums
        ]  # fmt: skip
        return _Counts(*found)


def _strided(values: Floats, step: int) -> Floats:
    """Row i + step holds the sum of rows i, i - step, …; the first rows hold nothing."""
    found = np.zeros((len(values) + step, values.shape[1]))
    for residue in range(step):
        found[step + residue :: step] = np.cumsum(values[residue::step], axis=0)
    return found


def _latest(rows: Whole, residue: int) -> Whole:
    """Latest row of a residue up to each row; those before the first keep to it."""
    return rows - (rows - residue) % WEEK


def _dispersion(of: _Counts, longest: int) -> Floats:
    """Pearson's dispersion of the cells by look, at least 1."""
    with np.errstate(all="ignore"):
        g = of.exactly / of.within
        squares = of.squares - 2 * g * of.exactly + g**2 * of.within
        each = squares / (g * (1 - g))
    told = np.isfinite(each[:, 1:]) & (g[:, 1:] > 0) & (g[:, 1:] < 1)
    counted = np.where(told, of.cells[:, 1:], 0.0).sum(axis=1) - longest
    total = np.where(told, np.nan_to_num(each[:, 1:], posinf=0.0, neginf=0.0), 0.0).sum(axis=1)
    return np.asarray(np.where(counted > 0, np.maximum(1.0, total / np.maximum(counted, 1.0)), 1.0), float)


def _trigamma(x: Floats) -> Floats:
    """Second derivative of log gamma: its recurrence to beyond 4, then the asymptotic series."""
    x = np.maximum(x, 1e-9)
    found = np.zeros_like(x)
    for k in range(4):
        found += 1 / (x + k) ** 2
    y = x + 4
    return np.asarray(found + 1 / y + 1 / (2 * y**2) + 1 / (6 * y**3) - 1 / (30 * y**5), float)


def weeks(known: Floats, told: Shares, ages: tuple[int, ...]) -> Shares:
    """Shares and doubts of the weeks that ended `ages` days before each look (columns).

    Args:
        known: deaths known by look and age of their day.
        told: nowcasts; days older than they reach are complete.
        ages: of the weeks' last days.
    """
    longest = told.share.shape[1]
    width = max(ages) + WEEK
    share, doubt = np.ones((len(known), width)), np.zeros((len(known), width))
    upto = min(width, longest)
    share[:, :upto], doubt[:, :upto] = told.share[:, :upto], told.doubt[:, :upto]
    whole = known[:, :width] + 0.5
    with np.errstate(all="ignore"):
        expected = np.where(share > 0, whole / share, np.inf)
    found, errors = np.zeros((len(known), len(ages))), np.zeros((len(known), len(ages)))
    for column, age in enumerate(ages):
        some = slice(age, age + WEEK)
        found[:, column] = whole[:, some].sum(axis=1) / expected[:, some].sum(axis=1)
        weights = np.where(np.isinf(expected[:, some]), 0.0, expected[:, some])
        heaviest = weights.sum(axis=1)
        errors[:, column] = (weights * doubt[:, some]).sum(axis=1) / np.where(heaviest > 0, heaviest, 1.0)
    return Shares(found, errors)
