"""Series that anyone can make again: a generator of Park and Miller, and quantiles of a negative binomial.

In R::

    n <- 416; u <- numeric(n); x <- 20231
    for (i in 1:n) { x <- (16807 * x) %% 2147483647; u[i] <- x / 2147483647 }
    mu <- level * exp(0.0008 * (0:(n-1)) + 0.35 * sin(2*pi*(0:(n-1))/52.18))
    y <- qnbinom(u, size = mu/(phi-1), prob = 1/phi)
    y[301:304] <- y[301:304] + round(3*level); y[411:413] <- y[411:413] + round(1.2*level)
    pop <- round(1e6 * 1.0004^(0:(n-1)))   # weeks from 2016-01-04 on
"""

from __future__ import annotations

import math
from datetime import date

from stream.surveillance.detection import chance
from stream.surveillance.detection.series import Series

WEEKS = 416
START = date(2016, 1, 4)
POPULATION = tuple(float(round(1e6 * 1.0004**i)) for i in range(WEEKS))


def series(level: float = 40, phi: float = 1.8, *, outbreaks: bool = True, population: bool = False) -> Series:
    """Eight years of weeks; the two levels that R was asked about are 40 (phi 1.8) and 2 (phi 1.3)."""
    counts: list[float] = []
    x = 20231
    for i in range(WEEKS):
        x = 16807 * x % 2147483647
        mean = level * math.exp(0.0008 * i + 0.35 * math.sin(2 * math.pi * i / 52.18))
        counts.append(chance.quantile(x / 2147483647, mean, phi))
    if outbreaks:
        for first, last, times in ((300, 304, 3), (410, 413, 1.2)):
            counts[first:last] = [count + round(times * level) for count in counts[first:last]]
    return Series(START, tuple(counts), population=POPULATION if population else None)
