"""Farrington's algorithm of 1996.

A quasi-Poisson model with a linear trend is fitted to the weeks nearest the same date in the years before; weeks that
look like outbreaks are weighed down and it is fitted again; a count above the upper bound of the prediction interval
raises an alarm. Source: Farrington, Andrews, Beale and Catchpole, A statistical algorithm for the early detection of
outbreaks of infectious disease, JRSS A 159 (1996) 547-563.

The exposure of a series (population by completeness) enters as an offset: a week of which a third is here is compared
with a third of what is expected, and with what is left of the dispersion when a count is thinned. The doubt of
completeness adds mean² doubt² to the variance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stream.errors import InvalidSettings
from stream.surveillance.detection import baseline, limits
from stream.surveillance.detection.baseline import Fitting, Model
from stream.surveillance.detection.limits import Limits
from stream.surveillance.detection.reference import reference
from stream.surveillance.detection.series import Period, Series
from stream.surveillance.detection.verdict import Reason, Verdict

NAME = "farrington"


@dataclass(frozen=True, slots=True)
class Options:
    """How the algorithm looks; names and defaults are those of R's `farrington`.

    Attributes:
        b: years back.
        w: weeks to either side.
        reweight: whether past outbreaks are weighed down.
        weightsThreshold: Anscombe residual from which a week is one.
        alpha: of the two-sided prediction interval: half of it is above the threshold.
        trend: whether a trend is tried.
        pThresholdTrend: p value under which it is kept, where b is at least 3 and it predicts no more than was seen.
        limit54: at least so many cases (first) in so many weeks (second), the week judged among them.
        powertrans: scale of the interval: 2/3, 1/2 or none.
        exclude: periods left out of baselines (not of R); a year whose own week is left out does not count for `b`.
        leastYears: years back that will do where the series begins later; `b` when None. R takes any number.
        leastComplete: weeks of which a smaller share is here are not judged (not of R).
    """

    b: int = 5
    w: int = 3
    reweight: bool = True
    weightsThreshold: float = 1.0  # noqa: N815 - options are named as in R
    alpha: float = 0.05
    trend: bool = True
    pThresholdTrend: float = 0.05  # noqa: N815
    limit54: tuple[int, int] = (5, 4)
    powertrans: str = "2/3"
    exclude: tuple[Period, ...] = ()
    leastYears: int | None = None  # noqa: N815
    leastComplete: float = 0.1  # noqa: N815

    def __post_init__(self) -> None:
        if self.b < 1 or self.w < 0 or not 0 < self.alpha < 1 or self.weightsThreshold < 0 or min(self.limit54) < 0:
            raise InvalidSettings("b from 1 on; w, weightsThreshold, limit54 from 0 on; alpha in 0 to 1")
        if self.leastYears is not None and self.leastYears < 1:
            raise InvalidSettings("leastYears is 1 or more")
        if self.powertrans not in limits.POWERS:
            raise InvalidSettings(f"powertrans is one of {', '.join(limits.POWERS)}")


def judge(series: Series, options: Options | None = None, points: Iterable[int] | None = None) -> tuple[Verdict, ...]:
    """Verdicts on some points of a weekly series, or on all of them.

    Raises:
        InvalidSettings: the series is not weekly.
    """
    options = options or Options()
    baseline.weekly(series)
    threshold = options.weightsThreshold if options.reweight else None
    how = Fitting(threshold, options.trend, options.pThresholdTrend, options.b >= 3, floored=True)

    def bounds(count: float, model: Model) -> Limits:
        error = model.mean * model.error
        return limits.power(count, model.mean, error, model.dispersion, options.alpha / 2, options.powertrans)

    def one(i: int) -> Verdict:
        weeks = reference(
            series, i, b=options.b, w=options.w, blocks=1, past=options.w, exclude=options.exclude,
            least=options.leastYears,
        )  # fmt: skip
        if isinstance(weeks, Reason):
            return baseline.unjudged(series, i, NAME, weeks)
        return baseline.verdict(
            series, i, NAME, weeks, how, alpha=options.alpha / 2, limit54=options.limit54, bounds=bounds
        )

    return tuple(no or one(i) for i, no in baseline.checked(series, points, NAME, options.leastComplete))
