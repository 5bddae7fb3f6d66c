"""Outbreaks put among the deaths: how many, how fast, where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stream.surveillance.detection.series import Floats


@dataclass(frozen=True, slots=True)
class Shape:
    """Course of an outbreak.

    Attributes:
        name: for reports.
        text: what it is like.
        days: from the first day on which a death may fall to the last.
        peak: day of the peak.
    """

    name: str
    text: str
    days: int
    peak: float

    def course(self) -> Floats:
        """Share of the deaths by day: a triangle."""
        middle = np.arange(self.days) + 0.5
        rise = middle / (self.peak + 0.5)
        fall = (self.days - middle) / (self.days - self.peak - 0.5)
        found = np.minimum(rise, fall)
        return np.asarray(found / found.sum(), float)


SUDDEN = Shape("sudden", "over in two weeks, most on days 3 to 7", 14, 4)
SLOW = Shape("slow", "rises for six weeks, falls for six", 84, 42)
SHAPES: Mapping[str, Shape] = {one.name: one for one in (SUDDEN, SLOW)}


def placed(size: int, shape: Shape, rng: np.random.Generator) -> Floats:
    """Excess deaths by day from the outbreak's first on; their sum is the size."""
    return np.asarray(rng.multinomial(size, shape.course()), float)
