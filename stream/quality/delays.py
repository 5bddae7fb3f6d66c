"""How long certificates wait, those that still wait among them.

A certificate without an official cause has waited so long and will wait longer: leaving it out would flatter the
office, so that shares are Kaplan and Meier's (JASA 53, 1958), with such certificates censored at the moment of the
report.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

DAY_S = 86_400.0
GRID = (
    0.01,
    0.03,
    0.1,
    0.25,
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    7.0,
    10.0,
    14.0,
    21.0,
    28.0,
    42.0,
    56.0,
    84.0,
    126.0,
    182.0,
    365.0,
)
"""Days at which the curve is told."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Delays of many certificates; a figure that they do not tell is None.

    Attributes:
        certificates, done: all, and those that wait no more.
        p50, p90: days after which so many per cent wait no more.
        day, week: share that waits no more after one day, after seven.
        curve: days and that share, over `GRID`.
    """

    certificates: int
    done: int
    p50: float | None
    p90: float | None
    day: float | None
    week: float | None
    curve: tuple[tuple[float, float], ...]

    def record(self) -> dict[str, Any]:
        """Mapping for JSON."""
        named = {"days_p50": self.p50, "days_p90": self.p90, "within_1_day": self.day, "within_7_days": self.week}
        rounded = {name: None if value is None else round(value, 4) for name, value in named.items()}
        curve = [[days, round(share, 4)] for days, share in self.curve]
        return {"certificates": self.certificates, "done": self.done, **rounded, "curve": curve}


class Delays:
    """Collects delays in little room."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._done = bytearray()

    def add(self, start: datetime, end: datetime | None, now: datetime) -> None:
        """Count a certificate; `end` is None while it waits. A clock that runs ahead makes no delay negative."""
        self._seconds.append(max(0.0, ((end or now) - start).total_seconds()))
        self._done.append(end is not None)

    def told(self) -> Delay:
        """What they say together."""
        return delay(self._seconds, self._done)


def delay(seconds: Sequence[float], done: Sequence[int]) -> Delay:
    """Delays of certificates.

    Args:
        seconds: how long each waited, or has waited so far.
        done: whether it waits no more.
    """
    if not len(seconds):
        return Delay(0, 0, None, None, None, None, ())
    order = np.argsort(np.asarray(seconds, float), kind="stable")
    days, ended = np.asarray(seconds, float)[order] / DAY_S, np.asarray(done, bool)[order]
    times, first = np.unique(days, return_index=True)
    left = np.cumprod(1 - np.add.reduceat(ended.astype(float), first) / (len(days) - first))

    def after(limit: float) -> float | None:
        known = int(np.searchsorted(times, limit, side="right"))
        if limit > times[-1] and left[-1] > 1e-12:
            return None  # nobody has been watched that long
        return float(1 - left[known - 1]) if known else 0.0

    def until(share: float) -> float | None:
        reached = np.flatnonzero(left <= 1 - share + 1e-12)
        return float(times[reached[0]]) if len(reached) else None

    curve = tuple((limit, share) for limit in GRID if (share := after(limit)) is not None)
    return Delay(len(days), int(ended.sum()), until(0.5), until(0.9), after(1.0), after(7.0), curve)
