"""EARS C1, C2 and C3: is a count far above the mean of the few counts before it?

For series without years of history. C1 compares with the `baseline` counts just before, C2 leaves two counts between,
so that the beginning of an outbreak is not its own baseline, and C3 sums what C2 saw lately beyond one standard
deviation: by Hutwagner et al. at the point and the two before it, in R at the two before it alone, so that the count
itself matters to no alarm, but for a count of 0, which is none. Sources:
Hutwagner, Thompson, Seeman and Treadwell, Journal of Urban Health 80 (2003) i89-i96; Fricker, Hegler and Dunfee,
Statistics in Medicine 27 (2008) 3407-3429; Salmon, Schumacher and Höhle, Journal of Statistical Software 70 (10), 2016,
section 3.1, for the thresholds.

Where a series tells an exposure (population by completeness), counts are compared by exposure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stream.errors import InvalidSettings
from stream.surveillance.detection import chance
from stream.surveillance.detection.baseline import checked, few, unjudged
from stream.surveillance.detection.series import Floats, Period, Series
from stream.surveillance.detection.verdict import Reason, Verdict

ALPHA = {"C1": 0.001, "C2": 0.001, "C3": 0.025}
"""R's defaults: three standard deviations, and two for C3."""
LAG = 2
"""Points between a count and its baseline in C2 and C3."""


@dataclass(frozen=True, slots=True)
class Options:
    """How EARS looks; names and defaults are those of R's `earsC`.

    Attributes:
        method: C1, C2 or C3.
        baseline: counts in the baseline, at least 3.
        minSigma: least standard deviation; 0.5 or more keeps a single case after a quiet baseline from an alarm.
        alpha: chance of an alarm, were counts normal; `ALPHA` when None.
        own: whether C3 sums what C2 sees at the point itself too, as its authors do (not of R).
        limit54: at least so many cases (first) in so many steps (second), as in Farrington's algorithm (not of R).
        exclude: periods left out of baselines (not of R).
        leastComplete: points of which a smaller share is here are not judged (not of R).
    """

    method: str = "C1"
    baseline: int = 7
    minSigma: float = 0.0  # noqa: N815 - options are named as in R
    alpha: float | None = None
    own: bool = False
    limit54: tuple[int, int] = (0, 4)
    exclude: tuple[Period, ...] = ()
    leastComplete: float = 0.1  # noqa: N815

    def __post_init__(self) -> None:
        if self.method not in ALPHA:
            raise InvalidSettings(f"method is one of {', '.join(ALPHA)}")
        if self.baseline < 3 or self.minSigma < 0 or not 0 < self.level < 1 or min(self.limit54) < 0:
            raise InvalidSettings("baseline from 3 on, minSigma and limit54 from 0 on, alpha in 0 to 1")

    @property
    def level(self) -> float:
        """Alpha in force."""
        return ALPHA[self.method] if self.alpha is None else self.alpha


@dataclass(frozen=True, slots=True)
class _Norm:
    """Mean and standard deviation by unit of exposure."""

    mean: float
    spread: float

    def score(self, rate: float) -> float:
        """Standard deviations above the mean; without spread, any rise is beyond all."""
        if self.spread > 0:
            return (rate - self.mean) / self.spread
        return 0.0 if rate == self.mean else math.copysign(math.inf, rate - self.mean)


def judge(series: Series, options: Options | None = None, points: Iterable[int] | None = None) -> tuple[Verdict, ...]:
    """Verdicts on some points of a daily or weekly series, or on all of them.

    The score of a verdict is the statistic: standard deviations above the mean; for C3 the sum, which has neither a p
    value nor a normal score.
    """
    options = options or Options()
    name = f"EARS {options.method}"
    exposure, counts, doubts = series.exposure(), series.values(), series.doubts()
    rates, excluded = counts / exposure, series.within(options.exclude)
    lag = 0 if options.method == "C1" else LAG
    reach = chance.normal(1 - options.level)

    def norm(i: int) -> _Norm | Reason:
        first = i - lag - options.baseline
        if first < 0:
            return Reason.TOO_SHORT
        window = slice(first, i - lag)
        kept = rates[window][~excluded[window]]
        known = kept[~np.isnan(kept)]
        least = max(3, math.ceil(options.baseline / 2))
        if len(known) < least:
            return Reason.EXCLUDED if len(kept) < least else Reason.GAPS
        mean, spread = _moments(known)
        return _Norm(mean, max(options.minSigma, spread))

    def before(i: int) -> float | Reason:
        """What C2 saw at the two points before, each beyond one standard deviation."""
        total = 0.0
        for k in range(i - LAG, i):
            found = norm(k) if k >= 0 else Reason.TOO_SHORT
            if isinstance(found, Reason):
                return found
            if not math.isnan(rates[k]):
                total += max(0.0, found.score(float(rates[k])) - 1)
        return total

    def one(i: int) -> Verdict:
        found = norm(i)
        added = before(i) if options.method == "C3" else 0.0
        if isinstance(found, Reason):
            return unjudged(series, i, name, found)
        if isinstance(added, Reason):
            return unjudged(series, i, name, added)
        unit, rate = float(exposure[i]), float(rates[i])
        here = _Norm(found.mean, math.hypot(found.spread, found.mean * float(doubts[i])))
        score = max(-_FARTHEST, min(_FARTHEST, here.score(rate)))
        p: float | None = chance.tail(score)
        z: float | None = score
        if options.method != "C3":
            limit = here.mean + here.spread * reach
        else:
            p = z = None
            score = min(_FARTHEST, added + (max(0.0, score - 1) if options.own else 0.0))
            if options.own:
                limit = here.mean + here.spread * (1 + reach - min(added, _FARTHEST))
            else:
                limit = rate + here.spread * (reach - added) if math.isfinite(added) else 0.0
        threshold = max(0.0, limit) * unit
        enough = few(series, i, options.limit54) >= options.limit54[0]
        return Verdict(
            series.day(i), name, series.counts[i], here.mean * unit, threshold if enough else None, score, p, p, z,
            enough and float(counts[i]) > threshold + _HAIR, None if enough else Reason.TOO_FEW,
        )  # fmt: skip

    return tuple(no or one(i) for i, no in checked(series, points, name, options.leastComplete))


_FARTHEST = 1e6
"""Stands for a score without bound: a rise after a baseline of equal counts."""
_HAIR = 1e-9
"""Counts by exposure and back differ by rounding alone."""


def _moments(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation; of equal values exactly that value and 0, whatever the last digit of their sum."""
    if (values == values[0]).all():
        return float(values[0]), 0.0
    return float(values.mean()), float(values.std(ddof=1))
