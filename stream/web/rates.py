"""Requests a minute, by person and by address: a bucket that fills evenly, in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 10_000
"""Buckets that are remembered; the ones longest unused go first."""


class Rates:
    """How many requests come.

    Args:
        a_minute: that one bucket allows in the long run; half of it may come at once.
        clock: seconds.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = a_minute / 60, max(1.0, a_minute / 2), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str) -> float:
        """Take one; seconds to wait where there is none left, 0 otherwise."""
        now = self._clock()
        left, at = self._left.pop(key, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        short = max(0.0, 1 - left)
        self._left[key] = (left if short else left - 1, now)
        while len(self._left) > _MOST:
            self._left.popitem(last=False)
        return short / self._rate
