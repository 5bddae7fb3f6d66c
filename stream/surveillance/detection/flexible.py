"""The flexible Farrington algorithm: all weeks of the past years, with a seasonal factor.

Against the algorithm of 1996 it uses more weeks, keeps a trend unless it predicts more than was ever seen, weighs down
clearer outbreaks only, and takes its threshold from a negative binomial. Source: Noufaily, Enki, Farrington, Garthwaite,
Andrews and Charlett, An improved algorithm for outbreak detection in multiple surveillance systems, Statistics in
Medicine 32 (2013) 1206-1222; Salmon, Schumacher and Höhle, Monitoring count time series in R, Journal of Statistical
Software 70 (10), 2016, for muan.

Exposure and doubt of completeness: as in `farrington`.
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

NAME = "farringtonFlexible"


@dataclass(frozen=True, slots=True)
class Options:
    """How the algorithm looks; names and defaults are those of R's `farringtonFlexible`.

    Attributes:
        b: years back.
        w: weeks to either side of the windows.
        noPeriods: levels of the seasonal factor; 1 uses the windows alone, Noufaily et al. use 10.
        pastWeeksNotIncluded: newest weeks left out of the baseline; `w` when None. Noufaily et al. use 26.
        reweight: whether past outbreaks are weighed down.
        weightsThreshold: Anscombe residual from which a week is one.
        trend: whether a trend is tried.
        pThresholdTrend: p value under which it is kept, where b is at least 3 and it predicts no more than was seen; 1
            keeps it whatever its p value, as Noufaily et al. do.
        alpha: chance of an alarm in a week like those of the baseline; one-sided.
        limit54: at least so many cases (first) in so many weeks (second), the week judged among them.
        powertrans: scale of the interval of delta: 2/3, 1/2 or none.
        thresholdMethod: delta, nbPlugin or muan.
        exclude: periods left out of baselines (not of R); a year whose own week is left out does not count for `b`.
        leastYears: years back that will do where the series begins later; `b` when None. R takes any number.
        leastComplete: weeks of which a smaller share is here are not judged (not of R).
    """

    b: int = 5
    w: int = 3
    noPeriods: int = 1  # noqa: N815 - options are named as in R
    pastWeeksNotIncluded: int | None = None  # noqa: N815
    reweight: bool = True
    weightsThreshold: float = 2.58  # noqa: N815
    trend: bool = True
    pThresholdTrend: float = 0.05  # noqa: N815
    alpha: float = 0.05
    limit54: tuple[int, int] = (5, 4)
    powertrans: str = "2/3"
    thresholdMethod: str = "delta"  # noqa: N815
    exclude: tuple[Period, ...] = ()
    leastYears: int | None = None  # noqa: N815
    leastComplete: float = 0.1  # noqa: N815

    def __post_init__(self) -> None:
        least = (self.b - 1, self.w, self.noPeriods - 1, self.past, self.weightsThreshold, *self.limit54)
        if min(least) < 0 or not 0 < self.alpha < 1:
            raise InvalidSettings(
                "b and noPeriods from 1 on; w, pastWeeksNotIncluded, weightsThreshold and limit54 "
                "from 0 on; alpha in 0 to 1"
            )
        if self.leastYears is not None and self.leastYears < 1:
            raise InvalidSettings("leastYears is 1 or more")
        if self.powertrans not in limits.POWERS:
            raise InvalidSettings(f"powertrans is one of {', '.join(limits.POWERS)}")
        if self.thresholdMethod not in limits.METHODS:
            raise InvalidSettings(f"thresholdMethod is one of {', '.join(limits.METHODS)}")
        if self.noPeriods > 1 and self.noPeriods - 1 > 52 - 2 * self.w - 1:
            raise InvalidSettings("more seasonal levels than weeks between the windows")

    @property
    def past(self) -> int:
        """Newest weeks left out."""
        return self.w if self.pastWeeksNotIncluded is None else self.pastWeeksNotIncluded


NOUFAILY = Options(b=5, noPeriods=10, pastWeeksNotIncluded=26, pThresholdTrend=1.0, thresholdMethod="nbPlugin")
"""The algorithm as its paper has it, at R's default alpha."""


def judge(series: Series, options: Options | None = None, points: Iterable[int] | None = None) -> tuple[Verdict, ...]:
    """Verdicts on some points of a weekly series, or on all of them.

    Raises:
        InvalidSettings: the series is not weekly.
    """
    options = options or Options()
    baseline.weekly(series)
    threshold = options.weightsThreshold if options.reweight else None
    how = Fitting(threshold, options.trend, options.pThresholdTrend, options.b >= 3, floored=False)

    def bounds(count: float, model: Model) -> Limits:
        if options.thresholdMethod == "delta":
            error = model.mean * model.error
            return limits.power(count, model.mean, error, model.dispersion, options.alpha, options.powertrans)
        return limits.counted(count, model.eta, model.error, model.dispersion, options.alpha, options.thresholdMethod)

    def one(i: int) -> Verdict:
        weeks = reference(
            series, i, b=options.b, w=options.w, blocks=options.noPeriods, past=options.past, exclude=options.exclude,
            least=options.leastYears,
        )  # fmt: skip
        if isinstance(weeks, Reason):
            return baseline.unjudged(series, i, NAME, weeks)
        return baseline.verdict(
            series, i, NAME, weeks, how, alpha=options.alpha, limit54=options.limit54, bounds=bounds
        )

    return tuple(no or one(i) for i, no in baseline.checked(series, points, NAME, options.leastComplete))
