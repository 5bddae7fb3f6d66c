"""Many series judged at one time: which alarms stand when some are bound to come by chance?

Benjamini and Hochberg (JRSS B 57, 1995) hold the share of false alarms among all alarms of one time at q, where series
are independent or rise together (Benjamini and Yekutieli, Annals of Statistics 29, 2001; the latter's own method holds
under any dependence, at the price of power). P values of small counts are discrete, and larger than they need to be:
the control holds, but few cases rarely speak. Mid-p values are nearer to uniform; with them q holds only nearly.

A series with too few cases (`limit54`) stays among the tests with a p value of 1: leaving it out, for the very count
that is judged, would not be innocent. A series without a baseline or a count is no test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stream.errors import InvalidSettings
from stream.surveillance.detection.verdict import Verdict

METHODS = ("BH", "BY")
"""Benjamini and Hochberg; Benjamini and Yekutieli. R's `p.adjust` names them so."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a verdict among others.

    Attributes:
        verdict: it, as its method has it.
        p_value: that entered; None where it was no test.
        adjusted: least q at which it would be an alarm; None as above.
        alarm: whether it is one at the q asked for.
    """

    verdict: Verdict
    p_value: float | None
    adjusted: float | None
    alarm: bool


def control(
    verdicts: Sequence[Verdict], q: float = 0.05, *, method: str = "BH", mid: bool = False
) -> tuple[Decision, ...]:
    """Decisions on verdicts of one time, in the order given.

    Args:
        verdicts: one for each series.
        q: share of false alarms among the alarms, on average.
        method: one of `METHODS`.
        mid: whether mid-p values enter.

    Raises:
        InvalidSettings: an unknown method, a q that is no share.
    """
    if method not in METHODS or not 0 < q < 1:
        raise InvalidSettings(f"several series: q in 0 to 1, method one of {', '.join(METHODS)}")
    values: list[float | None] = []
    for verdict in verdicts:
        found = verdict.mid_p if mid else verdict.p_value
        values.append(None if found is None else found if verdict.judged else 1.0)
    adjusted = iter(adjust([value for value in values if value is not None], method))
    decisions: list[Decision] = []
    for verdict, value in zip(verdicts, values, strict=True):
        least = None if value is None else next(adjusted)
        alarm = least is not None and least <= q and verdict.judged
        decisions.append(Decision(verdict, value, least, alarm))
    return tuple(decisions)


def adjust(p_values: Sequence[float], method: str = "BH") -> tuple[float, ...]:
    """Adjusted p values, as R's `p.adjust` gives them."""
    n = len(p_values)
    if not n:
        return ()
    order = np.argsort(p_values, kind="stable")
    rank = np.arange(1, n + 1)
    factor = float((1 / rank).sum()) if method == "BY" else 1.0
    stepped = np.asarray(p_values, float)[order] * n * factor / rank
    found = np.empty(n)
    found[order] = np.minimum(1.0, np.minimum.accumulate(stepped[::-1])[::-1])
    return tuple(found.tolist())
