"""Negative binomial chances in the form that surveillance uses: a mean, and the variance by mean (dispersion).

Dispersion 1 is Poisson. Otherwise size = mean / (dispersion - 1) and prob = 1 / dispersion (Noufaily et al., Statistics
in Medicine 32, 2013, section 3.3). From scipy.special, since scipy.stats takes a second to load.
"""

from __future__ import annotations

import math

from scipy import special

_POISSON = 1 + 1e-9
"""Under this dispersion a size would be past what the incomplete beta function can tell."""
_LARGEST = 1e15
"""Beyond it floats do not tell whole numbers apart."""


def at_most(count: float, mean: float, dispersion: float) -> float:
    """Chance of at most `count`."""
    k = math.floor(count + 1e-9)
    if k < 0:
        return 0.0
    if mean <= 0:
        return 1.0
    if dispersion <= _POISSON:
        return float(special.pdtr(k, mean))
    return float(special.betainc(mean / (dispersion - 1), k + 1, 1 / dispersion))


def at_least(count: float, mean: float, dispersion: float) -> float:
    """Chance of at least `count`; a fraction counts as the next whole number. Exact in the far tail too."""
    k = math.ceil(count - 1e-9)
    if k <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    if dispersion <= _POISSON:
        return float(special.gammainc(k, mean))
    return float(special.betainc(k, mean / (dispersion - 1), 1 - 1 / dispersion))


def mid(count: float, mean: float, dispersion: float) -> float:
    """Mid-p: chance of more, and half the chance of just as many (Lancaster, JASA 56, 1961)."""
    return (at_least(count, mean, dispersion) + at_least(math.ceil(count - 1e-9) + 1, mean, dispersion)) / 2


def quantile(share: float, mean: float, dispersion: float) -> float:
    """Smallest count that is not exceeded with a chance of at least `share`; infinity where floats cannot tell it."""
    if mean <= 0:
        return 0.0
    if not mean < _LARGEST:
        return math.inf
    # A hair of leeway, so that a share that is met exactly is not missed by rounding.
    wanted = share * (1 - 64 * 2.0**-52)
    high = max(1.0, math.ceil(mean))
    while at_most(high, mean, dispersion) < wanted:
        high *= 2
        if high > _LARGEST:
            return math.inf
    low = -1.0
    while high - low > 1:
        middle = math.floor((low + high) / 2)
        if at_most(middle, mean, dispersion) < wanted:
            low = middle
        else:
            high = middle
    return high


def score(chance: float) -> float:
    """Standard normal score of an upper tail, finite for chances that a float cannot tell from 0 and 1."""
    return float(-special.ndtri(min(max(chance, 1e-300), 1 - 1e-16)))


def tail(z: float) -> float:
    """Chance of a standard normal of at least `z`."""
    return float(special.ndtr(-z))


def normal(share: float) -> float:
    """Quantile of the standard normal."""
    return float(special.ndtri(share))
