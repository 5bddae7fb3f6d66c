"""Intervals for shares and totals that a sample with unequal chances of being drawn tells.

Sources: Clopper and Pearson (Biometrika 26, 1934); Kish (Survey Sampling, 1965) and Korn and Graubard (Survey
Methodology 24, 1998) for its use with an effective size of the sample; Fay and Feuer (Statistics in Medicine 16, 1997)
for weighted sums of rare events, with Jeffreys' half event as Brown, Cai and DasGupta recommend it (Statistica Sinica
13, 2003); Zou and Donner (Statistics in Medicine 27, 2008) for the difference of two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import special

CONFIDENCE = 0.95
# Quantiles come from scipy.special: scipy.stats wraps the same functions, and takes a second to load.


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure between its bounds."""

    value: float
    low: float
    high: float


def clopper_pearson(right: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided bounds of a share: `right` of `n`; both may be fractions, as effective sizes are."""
    tail = (1 - confidence) / 2
    low = 0.0 if right <= 0 else float(special.betaincinv(right, n - right + 1, tail))
    high = 1.0 if right >= n else float(special.betaincinv(right + 1, n - right, 1 - tail))
    return low, high


def effective_size(weights: Sequence[float], hits: Sequence[bool], strata: Sequence[object]) -> float:
    """Size of an equal-chance sample that would tell a weighted share as precisely: the smaller of two.

    Kish's, (Σw)² / Σw², knows the weights alone. The other is p(1−p) / v, with v the variance of the stratified share,
    each stratum's share drawn a little to the middle (one more hit and one more miss) so that a stratum without any
    hit is not taken for certain; it is smaller where what is looked for sits in the strata of large weight.
    """
    whole = math.fsum(weights)
    kish = whole**2 / math.fsum(w * w for w in weights)
    cells: dict[object, list[float]] = {}
    for weight, hit, stratum in zip(weights, hits, strata, strict=True):
        cell = cells.setdefault(stratum, [0.0, 0.0, 0.0])
        cell[0] += 1
        cell[1] += hit
        cell[2] += weight / whole
    if len(cells) < 2:
        return kish
    drawn_in = [(n, (hit + 1) / (n + 2), part) for n, hit, part in cells.values()]
    middle = math.fsum(part * share for _, share, part in drawn_in)
    variance = math.fsum(part**2 * share * (1 - share) / n for n, share, part in drawn_in)
    return min(kish, max(1.0, middle * (1 - middle) / variance))


def weighted_share(
    weights: Sequence[float],
    hits: Sequence[bool],
    strata: Sequence[object],
    confidence: float = CONFIDENCE,
) -> tuple[Interval, float]:
    """A weighted share with its interval, and the effective size.

    Within one stratum, where all weights are the same, this is Clopper and Pearson's interval; over several it is
    theirs with the effective size (Korn and Graubard). Without any observation nothing is known: 0 to 1.
    """
    if not weights:
        return Interval(0.0, 0.0, 1.0), 0.0
    share = math.fsum(w for w, hit in zip(weights, hits, strict=True) if hit) / math.fsum(weights)
    size = effective_size(weights, hits, strata)
    low, high = clopper_pearson(share * size, size, confidence)
    return Interval(share, low, high), size


def rare_total(weights: Sequence[float], largest: float, confidence: float = CONFIDENCE) -> Interval:
    """Total of rare events that were each seen with a chance of 1/weight.

    Fay and Feuer's gamma interval, with half of an event not seen where they add a whole one: theirs never covers too
    rarely, and mostly too often. Where none was seen the upper bound is the mid-P one, three events. Both bounds are
    drawn together by the share of the variance that is left when not everything could be missed (Poisson sampling).

    Args:
        weights: of the events seen.
        largest: weight that an event not seen might have had.
        confidence: of the interval.
    """
    tail = (1 - confidence) / 2
    if not weights:
        return Interval(0.0, 0.0, -math.log(2 * tail) * _left([largest]) * largest)
    total, squares = math.fsum(weights), math.fsum(w * w for w in weights)
    more, wide = total + largest / 2, squares + largest**2 / 2
    low, high = (wide / more * float(special.gammaincinv(more**2 / wide, p)) for p in (tail, 1 - tail))
    narrow = _left([*weights, largest])
    return Interval(total, total - narrow * max(0.0, total - low), total + narrow * (high - total))


def _left(weights: Sequence[float]) -> float:
    """Share of the standard error that is left when events are missed with a chance of 1 − 1/weight, not of nearly 1."""
    squares = math.fsum(w * w for w in weights)
    return math.sqrt(max(0.0, math.fsum((w - 1) * w for w in weights) / squares)) if squares else 0.0


def difference(a: Interval, b: Interval) -> Interval:
    """`a` − `b` of two that do not depend on one another, by the squares of their half-widths (Zou and Donner)."""
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(value, low, high)
