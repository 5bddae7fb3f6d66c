"""What each method says of a series on each day, as an office would have known it then: one statistic, large is alarming.

Every evening an office judges, with all that has arrived, the week that ends today and the seven weeks before it (those
on days: the newest 56 days), so that what arrives late can still raise an alarm. The day's statistic is the largest. An
alarm is a statistic above the method's knob, which `judging.py` tunes; whatever the knob, weeks are fitted once.

Weeks with days of an influenza wave or a heat wave in them are left out: they are epidemics of their own, no false alarms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from bench.epidemic import nowcasts
from bench.epidemic.fits import Baseline
from stream.surveillance.detection import ears, farrington
from stream.surveillance.detection.series import Floats

AGES = tuple(range(0, 56, 7))
"""Days since the end of the weeks that a look judges."""
OLDEST = AGES[-1] + 28
"""Age of the oldest day that a look needs: the least number of cases is asked of four weeks."""
_LEAST_COMPLETE = farrington.Options().leastComplete
_LIMIT = farrington.Options().limit54[0]
_MIN_SIGMA = 0.5
_BASE = ears.Options().baseline
_CALM_AFTER = 42
"""Days after a wave in which its paper still arrives."""
NOWCAST = "nowcast + flexible Farrington"
METHODS: Mapping[str, str] = {
    NOWCAST: "completeness from the nowcast as offset, its doubt in the variance",
    "flexible Farrington": "counts as they have arrived",
    "nowcast + Farrington 1996": "as the first, older algorithm",
    "Farrington 1996": "counts as they have arrived",
    "EARS C1": "days of death, counts as they have arrived",
    "EARS C2": "days of death, counts as they have arrived",
    "EARS C3": "days of death, counts as they have arrived; the authors' form",
    "EARS C2 on arrivals": "days of arrival, whenever death was",
    "fixed threshold": "deaths of a week as they have arrived",
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """Baselines of a series: one column for each week's end, from `AGES[-1]` days before the first look on."""

    flexible: Baseline
    classic: Baseline

    def of(self, row: int) -> Fitted:
        """Those of one series."""
        return Fitted(*(
            Baseline(one.mean[row : row + 1], one.error[row : row + 1], one.dispersion[row : row + 1])
            for one in (self.flexible, self.classic)
        ))  # fmt: skip


def scored(
    arrivals: Floats, looks: range, first_look: int, longest: int, fitted: Fitted, quiet: NDArray[np.bool_]
) -> dict[str, Floats]:
    """Statistics of each method by look.

    Args:
        arrivals: by day of death and delay.
        looks: rows of `arrivals` at whose end is looked.
        first_look: the row whose baselines stand first (after those of the weeks before it).
        longest: of the nowcast.
        fitted: baselines of this series.
        quiet: by row.
    """
    known = known_by_age(arrivals, looks, OLDEST + ears.LAG + _BASE)
    told = nowcasts.shares(arrivals, looks, longest)
    week = nowcasts.weeks(known, told, AGES)
    counts = np.stack([known[:, age : age + 7].sum(axis=1) for age in AGES], axis=1)
    cases = np.stack([known[:, age : age + 28].sum(axis=1) for age in AGES], axis=1)
    ends = np.arange(looks.start, looks.stop)[:, None] - np.array(AGES)[None, :]
    calm = np.minimum.reduce([quiet[ends - back] for back in range(7)])
    allowed = calm & (cases >= _LIMIT)
    column = ends - first_look + AGES[-1]
    flexible, classic = _at(fitted.flexible, column), _at(fitted.classic, column)
    here = week.share >= _LEAST_COMPLETE
    one, none = np.ones_like(week.share), np.zeros_like(week.share)
    found = {
        NOWCAST: _most(_tail(counts, flexible, week.share, week.doubt), allowed & here),
        "flexible Farrington": _most(_tail(counts, flexible, one, none), allowed),
        "nowcast + Farrington 1996": _most(_power(counts, classic, week.share, week.doubt), allowed & here),
        "Farrington 1996": _most(_power(counts, classic, one, none), allowed),
        "fixed threshold": _most(counts, calm),
    }
    found |= _ears(known, looks, quiet)
    found["EARS C2 on arrivals"] = _arriving(arrivals, looks, quiet)
    return found


def known_by_age(arrivals: Floats, looks: range, oldest: int) -> Floats:
    """Deaths known at each look (rows) by age of their day, 0 to `oldest`."""
    so_far = np.cumsum(arrivals, axis=1)
    age = np.arange(oldest + 1)
    rows = np.arange(looks.start, looks.stop)[:, None] - age[None, :]
    return np.asarray(so_far[rows, np.minimum(age, arrivals.shape[1] - 1)[None, :]], float)


def _at(baseline: Baseline, column: NDArray[np.int64]) -> Baseline:
    return Baseline(baseline.mean[0, column], baseline.error[0, column], baseline.dispersion[0, column])


def _most(values: Floats, allowed: NDArray[np.bool_]) -> Floats:
    """Largest of the weeks that may be judged; minus infinity where there is none."""
    return np.asarray(np.where(allowed & ~np.isnan(values), values, -np.inf).max(axis=1), float)


def _tail(counts: Floats, baseline: Baseline, share: Floats, doubt: Floats) -> Floats:
    """Minus the decimal logarithm of the chance of at least so many (`chance.at_least`): above -log10(alpha) is an alarm."""
    mean = baseline.mean * share
    spread = np.maximum(1 + (baseline.dispersion - 1) * share + mean * doubt**2, 1 + 1e-9)
    with np.errstate(all="ignore"):
        p = np.where(counts > 0, special.betainc(np.maximum(counts, 1.0), mean / (spread - 1), 1 - 1 / spread), 1.0)
        return np.asarray(-np.log10(np.maximum(p, 1e-300)), float)


def _power(counts: Floats, baseline: Baseline, share: Floats, doubt: Floats) -> Floats:
    """Normal score on the scale of the power 2/3 (`limits.power`)."""
    mean = baseline.mean * share
    spread = 1 + (baseline.dispersion - 1) * share + mean * doubt**2
    with np.errstate(all="ignore"):
        tau = spread + mean * baseline.error**2
        width = np.sqrt((2 / 3) ** 2 * mean ** (1 / 3) * tau)
        return np.asarray((counts ** (2 / 3) - mean ** (2 / 3)) / width, float)


def _ears(known: Floats, looks: range, quiet: NDArray[np.bool_]) -> dict[str, Floats]:
    """C1 to C3 of the days that a look judges."""
    ages = AGES[-1] + 7
    calm = quiet[np.arange(looks.start, looks.stop)[:, None] - np.arange(ages)[None, :]]
    c1, c2 = _score(known, ages, 0), _score(known, ages + ears.LAG, ears.LAG)
    c3 = sum(np.maximum(0.0, c2[:, back : back + ages] - 1) for back in range(ears.LAG + 1))
    return {"EARS C1": _most(c1, calm), "EARS C2": _most(c2[:, :ages], calm), "EARS C3": _most(np.asarray(c3), calm)}


def _score(known: Floats, ages: int, lag: int) -> Floats:
    """Standard deviations above the mean of the days before; columns run from the newest day backwards."""
    padded = np.pad(known, ((0, 0), (0, max(0, ages + lag + 1 + _BASE - known.shape[1]))), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _BASE, axis=1)[:, lag + 1 : lag + 1 + ages]
    return np.asarray(
        (padded[:, :ages] - windows.mean(axis=2)) / np.maximum(_MIN_SIGMA, windows.std(axis=2, ddof=1)), float
    )


def _arriving(arrivals: Floats, looks: range, quiet: NDArray[np.bool_]) -> Floats:
    """C2 of what arrived on the day."""
    first = looks.start - ears.LAG - _BASE
    days = np.arange(first, looks.stop)
    delay = np.arange(arrivals.shape[1])
    rows = days[:, None] - delay[None, :]
    came = np.where(rows >= 0, arrivals[np.maximum(rows, 0), delay[None, :]], 0.0).sum(axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(came, _BASE)[: len(looks)]
    found = (came[-len(looks) :] - windows.mean(axis=1)) / np.maximum(_MIN_SIGMA, windows.std(axis=1, ddof=1))
    return np.where(settled(quiet, looks), found, -np.inf)


def settled(quiet: NDArray[np.bool_], looks: range) -> NDArray[np.bool_]:
    """Looks by whose evening nothing of a wave arrives any more."""
    rows = np.arange(looks.start, looks.stop)
    return np.asarray(np.minimum.reduce([quiet[rows - back] for back in range(_CALM_AFTER + 1)]))
