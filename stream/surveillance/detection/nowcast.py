"""How many events there are in all, when the newest are not all reported yet.

Among those who are reported with a delay of at most d, a share g(d) has the delay d: the hazard backwards in time. It
is estimated from all events that happened long enough ago, however few of them are complete, and the share reported
within d is F(d) = (1 - g(d+1)) … (1 - g(D)). Source: Lawless, Canadian Journal of Statistics 22 (1994) 15-31; Kalbfleisch
and Lawless, Statistica Sinica 1 (1991) 19-32; Höhle and an der Heiden, Biometrics 70 (2014) 993-1002, for its use with a
moving window. The estimate is n / F(d).

The intervals come from draws: g from its posterior under independent Beta distributions, which together are a
generalised Dirichlet for the delays (its prior weighs one event, spread evenly over the delays), then what is still to
come from a negative binomial around n (1 - F) / F. Reports come in bundles: both spreads are widened by Pearson's
dispersion of the cells, where it is above 1. Draws are seeded, so that the same triangle gives the same interval.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from stream.errors import InvalidSettings
from stream.surveillance.detection.series import Floats, Series
from stream.surveillance.detection.triangle import Triangle


@dataclass(frozen=True, slots=True)
class Options:
    """How it is estimated.

    Attributes:
        m: newest steps of events that delays are estimated from (R's name); all when None. It is to be longer than the
            longest delay, or the delays beyond stay unknown.
        weekday: whether delays depend on the weekday of a daily event; each is drawn to what all have in common, which
            weighs `shrink` events.
        shrink: that weight.
        alpha: chance that the interval misses the count.
        draws: simulated.
        seed: of the draws.
    """

    m: int | None = None
    weekday: bool = False
    shrink: float = 50.0
    alpha: float = 0.05
    draws: int = 1000
    seed: int = 1

    def __post_init__(self) -> None:
        if (self.m is not None and self.m < 1) or self.shrink < 0 or not 0 < self.alpha < 1 or self.draws < 100:
            raise InvalidSettings("nowcast: m from 1 on, shrink from 0 on, alpha in 0 to 1, at least 100 draws")


@dataclass(frozen=True, slots=True)
class Nowcast:
    """Events of one step.

    Attributes:
        day: first day of the step.
        reported: events known.
        share: that this is of all, as estimated; 0 where nothing is known of it.
        doubt: standard error of its logarithm.
        estimate: of all events; None where the share is not known.
        low, high: interval of all events; None as above.
    """

    day: date
    reported: int
    share: float
    doubt: float
    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class _Hazards:
    """Of one stratum: events with delay d, and with at most d, among those seen long enough; index 0 stays unused."""

    exactly: Floats
    within: Floats
    dispersion: float

    def shares(self) -> Floats:
        """F(d) for d from 0 on; nan where a delay beyond d was never seen to its end."""
        with np.errstate(invalid="ignore", divide="ignore"):
            stay = 1 - self.exactly[1:] / self.within[1:]
        return np.append(np.cumprod(stay[::-1])[::-1], 1.0)

    def drawn(self, rng: np.random.Generator, draws: int) -> Floats:
        """F(d) in draws (rows)."""
        delay = np.arange(1, len(self.exactly))
        prior = 1 / len(self.exactly)
        came = self.exactly[1:] / self.dispersion + prior
        before = (self.within[1:] - self.exactly[1:]) / self.dispersion + prior * delay
        stay = rng.beta(before, came, (draws, len(delay)))
        return np.hstack([np.cumprod(stay[:, ::-1], axis=1)[:, ::-1], np.ones((draws, 1))])


def lawless(triangle: Triangle, options: Options | None = None) -> tuple[Nowcast, ...]:
    """Nowcasts of all steps of a triangle; those older than its longest delay are complete."""
    options = options or Options()
    n, longest = len(triangle.cells), triangle.longest
    cells = triangle.array()
    used = np.arange(n) >= n - (options.m or n)
    pooled = _hazards(cells[used])
    days = np.array([triangle.day(i).weekday() for i in range(n)])
    strata = {k: _shrunk(_hazards(cells[used & (days == k)]), pooled, options) for k in range(7)}
    rng = np.random.default_rng(options.seed)
    told: dict[int, tuple[Floats, Floats]] = {}
    found: list[Nowcast] = []
    for i in range(n):
        delay, reported = n - 1 - i, int(np.nansum(cells[i]))
        if delay >= longest:
            found.append(
                Nowcast(triangle.day(i), reported, 1.0, 0.0, float(reported), float(reported), float(reported))
            )
            continue
        stratum = int(days[i]) if options.weekday and triangle.step == 1 else -1
        hazards = strata[stratum] if stratum >= 0 else pooled
        if stratum not in told:
            told[stratum] = hazards.shares(), hazards.drawn(rng, options.draws)
        shares, drawn = told[stratum]
        found.append(_nowcast(triangle.day(i), reported, float(shares[delay]), drawn[:, delay], hazards, options, rng))
    return tuple(found)


def completed(series: Series, nowcasts: tuple[Nowcast, ...]) -> Series:
    """A series with the completeness of its newest points; those that no nowcast speaks of are complete."""
    share, doubt = np.ones(len(series)), np.zeros(len(series))
    for nowcast in nowcasts:
        i = series.index(nowcast.day)
        if 0 <= i < len(series) and series.day(i) == nowcast.day:
            share[i], doubt[i] = nowcast.share, nowcast.doubt
    return replace(series, completeness=tuple(share.tolist()), doubt=tuple(doubt.tolist()))


def _nowcast(
    day: date, reported: int, share: float, drawn: Floats, hazards: _Hazards, options: Options, rng: np.random.Generator
) -> Nowcast:
    if not share > 0:
        return Nowcast(day, reported, 0.0, 0.0, None, None, None)
    drawn = np.clip(drawn, 1e-9, 1 - 1e-12)
    # Half an event stands for what may come where none did (Jeffreys).
    mean = (reported + 0.5) * (1 - drawn) / drawn
    # Negative binomial thinning has variance mean / F; a binomial's dispersion widens it.
    size = mean / np.maximum(hazards.dispersion / drawn - 1, 1e-9)
    ahead = rng.poisson(rng.gamma(size, mean / size))
    low, high = np.quantile(reported + ahead, [options.alpha / 2, 1 - options.alpha / 2])
    return Nowcast(day, reported, share, float(np.log(drawn).std()), reported / share, float(low), float(high))


def _hazards(cells: Floats) -> _Hazards:
    """Counts that the hazards are made of."""
    longest = cells.shape[1] - 1 if cells.ndim > 1 else 0
    so_far = np.cumsum(np.nan_to_num(cells), axis=1)
    seen = ~np.isnan(cells)
    exactly = np.where(seen, np.nan_to_num(cells), 0.0).sum(axis=0)
    within = np.where(seen, so_far, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        g = exactly / within
        expected = so_far[:, 1:] * g[1:]
        squares = (cells[:, 1:] - expected) ** 2 / (expected * (1 - g[1:]))
    counted: NDArray[np.bool_] = seen[:, 1:] & (so_far[:, 1:] > 0) & np.isfinite(squares)
    free = int(counted.sum()) - longest
    return _Hazards(exactly, within, max(1.0, float(squares[counted].sum()) / free) if free > 0 else 1.0)


def _shrunk(own: _Hazards, pooled: _Hazards, options: Options) -> _Hazards:
    """Hazards of a weekday, drawn to those of all."""
    with np.errstate(invalid="ignore", divide="ignore"):
        g = pooled.exactly / pooled.within
    weight = np.where(np.isfinite(g), options.shrink, 0.0)
    return _Hazards(
        own.exactly + weight * np.nan_to_num(g), own.within + weight, max(own.dispersion, 1.0)
    )  # fmt: skip
