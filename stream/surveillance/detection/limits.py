"""From an expected count and its errors to a threshold.

Two families. Prediction intervals on a power of the count that is nearly symmetric (Farrington et al., JRSS A 159,
1996, section 3.5), with the dispersion and the error of the mean; and quantiles of a negative binomial (Noufaily et
al., Statistics in Medicine 32, 2013, section 3.3; Salmon, Schumacher and Höhle, Journal of Statistical Software 70,
2016), at the expected mean (nbPlugin) or at its own upper quantile (muan).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.surveillance.detection import chance

POWERS = {"2/3": 2 / 3, "1/2": 0.5, "none": 1.0}
"""R's names of the transformations (`powertrans`)."""
METHODS = ("delta", "nbPlugin", "muan")
"""R's names of the thresholds (`thresholdMethod`)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is expected, and where a count lies.

    Attributes:
        lower, upper: bounds; a count above `upper` is an alarm.
        p_value, mid_p: chance of at least the count; with half the chance of exactly it.
        score: 0 at what is expected, 1 at `upper`.
        z: standard normal score.
    """

    lower: float
    upper: float
    p_value: float
    mid_p: float
    score: float
    z: float


def power(count: float, mean: float, error: float, dispersion: float, alpha: float, powertrans: str = "2/3") -> Limits:
    """Prediction interval on a power scale.

    Args:
        count: observed.
        mean: expected.
        error: standard error of `mean`, on the scale of counts.
        dispersion: variance by mean.
        alpha: chance beyond each bound.
        powertrans: one of `POWERS`.
    """
    to = POWERS[powertrans]
    tau = dispersion + error**2 / mean
    # Delta method: var(Y^p) = p² mean^(2p-1) tau.
    spread = math.sqrt(to**2 * mean ** (2 * to - 1) * tau)
    middle, reach = mean**to, chance.normal(1 - alpha) * spread
    upper = (middle + reach) ** (1 / to)
    z = (count**to - middle) / spread
    tail = chance.tail(z)
    return Limits(max(0.0, middle - reach) ** (1 / to), upper, tail, tail, _score(count, mean, upper), z)


def counted(count: float, eta: float, error: float, dispersion: float, alpha: float, method: str) -> Limits:
    """Quantiles of a negative binomial.

    Args:
        count: observed.
        eta: logarithm of the expected mean.
        error: standard error of `eta`; muan alone uses it.
        dispersion: variance by mean.
        alpha: chance beyond each bound.
        method: nbPlugin or muan.

    Returns:
        As R's, the score mixes scales: the mean enters it by its logarithm.
    """
    mean = math.exp(min(_LARGEST, eta + (chance.normal(1 - alpha) * error if method == "muan" else 0.0)))
    lower, upper = (chance.quantile(share, mean, dispersion) for share in (alpha, 1 - alpha))
    mid = chance.mid(count, mean, dispersion)
    at_least = chance.at_least(count, mean, dispersion)
    return Limits(lower, upper, at_least, mid, _score(count, eta, upper), chance.score(mid))


def quiet(count: float, weeks: float, exposure: float, alpha: float) -> Limits:
    """Limits after a baseline without any case, of which a model can tell nothing.

    The predictive distribution under Jeffreys' prior for a Poisson rate: negative binomial with size 1/2 (Gelman et
    al., Bayesian Data Analysis, 2013, section 2.6).

    Args:
        count: observed.
        weeks: weeks without a case, each by its exposure.
        exposure: of the week judged.
        alpha: chance beyond the upper bound.
    """
    mean = exposure / (2 * weeks)
    dispersion = 1 + exposure / weeks
    return Limits(
        0.0, upper := chance.quantile(1 - alpha, mean, dispersion), chance.at_least(count, mean, dispersion),
        mid := chance.mid(count, mean, dispersion), _score(count, mean, upper), chance.score(mid),
    )  # fmt: skip


_LARGEST = 300.0


def _score(count: float, expected: float, upper: float) -> float:
    """Exceedance score; where nothing is between what is expected and the bound, the side the count is on."""
    if math.isinf(upper):
        return 0.0
    if upper <= expected:
        return math.copysign(2.0, count - upper) if count != upper else 1.0
    return (count - expected) / (upper - expected)
