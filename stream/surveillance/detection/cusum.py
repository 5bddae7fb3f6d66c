"""CUSUM of standard scores: many small excesses that no single week shows.

C = max(0, C + z - k); an alarm when C reaches h. Sources: Page, Biometrika 41 (1954) 100-115; Siegmund, Sequential
Analysis, 1985, for the run length; Rogerson, Statistics in Medicine 25 (2006) 373-383, for h; EuroMOMO for its figures.

EuroMOMO's h is Rogerson's formula at k = 1/2, though its k is 1/4: 1.449 for a run of 20 weeks. With Siegmund's
approximation that pair raises a false alarm every 11 weeks; `threshold(20, k=0.25)` gives the h that fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stream.errors import InvalidSettings
from stream.surveillance.detection.verdict import Reason, Verdict

NAME = "CUSUM"
_SIEGMUND = 1.16666
"""Correction for the overshoot of discrete steps; 2 · 0.583, to the digits of EuroMOMO."""


@dataclass(frozen=True, slots=True)
class Options:
    """How scores are summed.

    Attributes:
        k: taken off each score: half the shift, in standard deviations, that is to be found soonest.
        ARL0: steps between false alarms that `h` is chosen for.
        h: sum that is an alarm; EuroMOMO's for `ARL0` when None.
        reset: whether the sum begins anew after an alarm; EuroMOMO's goes on.
    """

    k: float = 0.25
    ARL0: float = 20.0
    h: float | None = None
    reset: bool = False

    def __post_init__(self) -> None:
        if self.k < 0 or self.ARL0 <= 0 or (self.h is not None and self.h <= 0) or self.limit <= 0:
            raise InvalidSettings("k from 0 on; ARL0 and h above 0, and ARL0 so large that h is above 0")

    @property
    def limit(self) -> float:
        """The h in force."""
        return threshold(self.ARL0) if self.h is None else self.h


def threshold(ARL0: float, k: float = 0.5) -> float:  # noqa: N803 - named as in the literature
    """Rogerson's h for so many steps between false alarms; with k = 1/2 EuroMOMO's, whatever k they sum with."""
    a = 2 * k * k * ARL0
    return (a + 2) / (a + 1) * math.log(1 + a) / (2 * k) - _SIEGMUND


def run_length(h: float, k: float) -> float:
    """Steps between false alarms of independent standard normal scores, by Siegmund's approximation."""
    b = h + _SIEGMUND
    return b * b if k == 0 else (math.exp(2 * k * b) - 2 * k * b - 1) / (2 * k * k)


def cusum(scores: Iterable[float | None], options: Options | None = None) -> tuple[float, ...]:
    """Sums after each score; a gap leaves the sum as it is."""
    options = options or Options()
    found: list[float] = []
    last = 0.0
    for z in scores:
        if options.reset and last >= options.limit:
            last = 0.0
        if z is not None:
            last = max(0.0, last + z - options.k)
        found.append(last)
    return tuple(found)


def judge(verdicts: Sequence[Verdict], options: Options | None = None) -> tuple[Verdict, ...]:
    """Verdicts on the sum of the scores of another method's verdicts, in the order of time; it begins at 0.

    The score is the sum, the threshold is h. An alarm needs a score of its own: a gap raises none.
    """
    options = options or Options()
    sums = cusum((verdict.z for verdict in verdicts), options)
    return tuple(
        replace(
            verdict, method=f"{NAME} of {verdict.method}", threshold=options.limit, score=value, p_value=None,
            mid_p=None, alarm=value >= options.limit, reason=None,
        )
        if verdict.z is not None
        else replace(verdict, method=f"{NAME} of {verdict.method}", alarm=False, reason=verdict.reason or Reason.MISSING)
        for verdict, value in zip(verdicts, sums, strict=True)
    )  # fmt: skip
