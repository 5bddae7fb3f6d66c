"""Risk control: the lowest confidence at which the machine may code alone and still keep a promise.

The promise: among the certificates that are coded automatically, at most a share `error` is wrong, with probability
1 - `delta` over the draw of the calibration certificates. It is kept by learning, then testing (Angelopoulos et al.,
2021): thresholds are looked at from the strictest down, each with the exact binomial test of "the error is above the
bound" on the certificates that it would accept, and the first that fails ends the search. A fixed sequence needs no
correction for looking often.

The guarantee holds for certificates of the same mix as the calibration's, and for no other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

STEP = 0.001
"""Thresholds are multiples of it."""
POWER = 0.8
"""Chance with which the first set should pass; see `first_size`."""
GROWTH = 1.04
"""Each set looked at is larger than the one before by this factor at least."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the search found.

    Attributes:
        threshold: least confidence for the automatic route; None where no set passes.
        n: certificates of the calibration.
        accepted: how many of them reach the threshold.
        wrong: how many of those are wrong.
        upper: upper bound of their share wrong, at the confidence asked for (Clopper and Pearson, 1934).
    """

    threshold: float | None
    n: int
    accepted: int = 0
    wrong: int = 0
    upper: float = 1.0

    @property
    def coverage(self) -> float:
        """Share of the calibration certificates that are automatic."""
        return self.accepted / self.n if self.n else 0.0


def p_value(n: int, wrong: int, error: float) -> float:
    """Chance of so few wrong among n when a share `error` of them is: the exact binomial tail."""
    return float(special.bdtr(wrong, n, error))


def upper_bound(n: int, wrong: int, delta: float) -> float:
    """Clopper and Pearson's upper bound of a share, which holds with probability 1 - delta."""
    return 1.0 if wrong >= n else float(special.betaincinv(wrong + 1, n - wrong, 1 - delta))


def least(error: float, delta: float) -> int:
    """Certificates, none of them wrong, below which nothing can be promised: ln(delta) / ln(1 - error)."""
    return math.ceil(math.log(delta) / math.log1p(-error))


def most_wrong(n: int, error: float, delta: float) -> int:
    """Wrong certificates that a set of n may hold and still pass; n is `least` or more."""
    wrong = 0
    while p_value(n, wrong + 1, error) <= delta:
        wrong += 1
    return wrong


def first_size(scores: Sequence[float], error: float, delta: float) -> int:
    """Size of the first set looked at: the one that passes for the widest range of faults of the confidences.

    A set just large enough must hold no error at all, so that one early mistake would end the search; too large a set
    may lie beyond the bound. If the true errors are some multiple of those that the confidences state, the same for
    all, this set passes four times in five up to a larger multiple than any other. The choice depends on the
    scores alone, never on what is right, so that the test stays exact; scores that lie cost coverage, not the promise.

    Args:
        scores: confidences, highest first.
        error: the bound.
        delta: see `choose`.
    """
    smallest = least(error, delta)
    if len(scores) < smallest:
        return smallest
    sizes = np.unique(np.geomspace(smallest, len(scores), 100).astype(int))
    stated = np.cumsum(1 - np.asarray(scores, float))[sizes - 1]
    allowed = np.array([most_wrong(int(n), error, delta) for n in sizes])
    # The mean at which a Poisson number of errors stays within the allowed with probability POWER.
    borne = special.gammaincinv(allowed + 1, 1 - POWER)
    return int(sizes[np.argmax(borne / np.maximum(stated, 1e-9))])


def choose(chances: Sequence[float], right: Sequence[bool], error: float, delta: float) -> Chosen:
    """The lowest threshold that keeps the promise.

    Args:
        chances: stated confidence of each calibration certificate, 0 to 1.
        right: whether the machine was right on it.
        error: share wrong that is promised at most.
        delta: chance that the promise may be broken by an unlucky draw.
    """
    n = len(chances)
    order = np.argsort(-np.asarray(chances, float), kind="stable")
    scores = np.asarray(chances, float)[order]
    wrongs = np.cumsum(~np.asarray(right, bool)[order])
    found = Chosen(None, n)
    size = first_size(list(scores), error, delta)
    while size <= n:
        # Everybody who reaches the threshold is in: those of one score are taken together.
        threshold = math.floor(scores[size - 1] / STEP + 1e-9) * STEP
        accepted = int(np.searchsorted(-scores, -threshold + 1e-9, side="right"))
        wrong = int(wrongs[accepted - 1])
        if p_value(accepted, wrong, error) > delta:
            break
        found = Chosen(round(threshold, 3), n, accepted, wrong, upper_bound(accepted, wrong, delta))
        size = max(accepted + 1, math.ceil(accepted * GROWTH))
    return found
