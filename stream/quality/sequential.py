"""The promise of a stratum watched all the time: looked at after every audit, and still seldom wrong.

A test of fixed size that is repeated after each audit raises a false alarm sooner or later. Here evidence against the
promise is an e-process: a process that is nowhere expected to exceed 1 while at most a share `bound` of the automatic
certificates is wrong. By Ville's inequality (1939) the chance that it ever reaches 1 / delta is then at most delta,
however often and for whatever reason one looks (Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021;
Waudby-Smith and Ramdas, JRSS B 2024).

It is the likelihood ratio of a share p against the bound, mixed over p > bound by a Beta prior cut off at the bound.
Whatever p above the bound, the ratio of one audit is expected to be at most 1 under every share at or below the bound.
So the share may change from audit to audit and errors may depend on one another: all that is asked is that the chance
of the next error, given all before, is at or below the bound.
The audits of one stratum share one inclusion probability, so none of them weighs more than another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

AHEAD = 2.0
"""The prior's mean, in multiples of the bound: twice the promised error is what should be found soonest."""
_LARGEST = 700.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the audits of a stratum say against its promise.

    Attributes:
        audits: how many.
        wrong: how many of them found the machine wrong.
        value: the e-process now; 1 and less is none.
        alarm: how many audits it took to reach 1 / delta; None where it never did.
    """

    audits: int
    wrong: int
    value: float = 1.0
    alarm: int | None = None


def evidence(wrong: Sequence[bool], bound: float, delta: float) -> Evidence:
    """Evidence that more than a share `bound` of the automatic certificates is wrong.

    Args:
        wrong: whether each audit found the machine wrong, in order of decision. The order may depend on what was
            found before, never on what is yet to be found.
        bound: share wrong that is promised at most, above 0 and below 1.
        delta: chance of a false alarm, ever.
    """
    if not len(wrong):
        return Evidence(0, 0)
    logs = log_e(wrong, bound)
    reached = np.flatnonzero(logs >= -np.log(delta))
    value = float(np.exp(min(logs[-1], _LARGEST)))
    return Evidence(len(wrong), int(np.sum(wrong)), value, int(reached[0]) + 1 if len(reached) else None)


def log_e(wrong: Sequence[bool], bound: float) -> NDArray[np.float64]:
    """Logarithm of the e-process after each audit; minus infinity where it is below what a float can tell."""
    k = np.cumsum(np.asarray(wrong, bool))
    n = np.arange(1, len(k) + 1)
    # Beta(1, b) of mean AHEAD * bound; where that passes the middle between bound and 1, the middle.
    b = 1 / min(AHEAD * bound, (1 + bound) / 2) - 1
    with np.errstate(divide="ignore"):
        mixed = special.betaln(1 + k, b + n - k) + np.log(special.betaincc(1 + k, b + n - k, bound))
    prior = special.betaln(1, b) + np.log(special.betaincc(1, b, bound))
    found: NDArray[np.float64] = mixed - prior - k * np.log(bound) - (n - k) * np.log1p(-bound)
    return found
