"""A reporting triangle: events by day (or week) and by how long after they were reported."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from stream.errors import InvalidData
from stream.surveillance.detection.series import Floats, Series, Step


@dataclass(frozen=True, slots=True)
class Triangle:
    """What is known at the end of its last step.

    Attributes:
        start: first day of the first step.
        cells: for each step of the event, reports by delay 0, 1, … in steps; None where the delay lies ahead.
        step: day or week.
    """

    start: date
    cells: tuple[tuple[int | None, ...], ...]
    step: Step = Step.DAY

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.cells}
        if len(widths) > 1 or 0 in widths:
            raise InvalidData("the rows of a reporting triangle differ in length, or are empty")
        for i, row in enumerate(self.cells):
            known = len(self.cells) - i
            # Whole rows of Python numbers are compared at once: triangles of years of days are long.
            if None in row[:known] or any(cell is not None for cell in row[known:]):
                raise InvalidData(f"row {i + 1} of a reporting triangle: known delays are those up to its last step")
            if min(cell for cell in row[:known] if cell is not None) < 0:
                raise InvalidData(f"row {i + 1} of a reporting triangle holds a negative count")

    @property
    def longest(self) -> int:
        """Longest delay."""
        return len(self.cells[0]) - 1 if self.cells else 0

    def day(self, i: int) -> date:
        """First day of a step."""
        return self.start + timedelta(days=i * self.step)

    def array(self) -> Floats:
        """Reports by event and delay; nan ahead."""
        shape = len(self.cells), self.longest + 1
        return np.array([[math.nan if c is None else c for c in row] for row in self.cells], float).reshape(shape)

    def reported(self) -> Series:
        """Events known so far."""
        sums = tuple(float(sum(cell or 0 for cell in row)) for row in self.cells)
        return Series(self.start, sums, self.step)

    @classmethod
    def of(
        cls, events: Iterable[tuple[date, date]], now: date, longest: int, *, step: Step = Step.DAY,
        start: date | None = None,
    ) -> Triangle:  # fmt: skip
        """Triangle of a line list.

        Args:
            events: day of the event, day of its report. Those reported after `now`, before the first step or in a
                step that `now` does not complete, are left out. A report dated before its event has no delay.
            now: last day known; the triangle ends with the last step that is complete then.
            longest: delays beyond it count as so long: what comes later still is not foreseen.
            step: day or week.
            start: first day; that of the first event when None. Weeks begin on its weekday, or on Monday.
        """
        known = [(event, report) for event, report in events if max(event, report) <= now]
        if start is None:
            first = min((event for event, _ in known), default=now)
            start = first - timedelta(days=first.weekday()) if step is Step.WEEK else first
        n = ((now - start).days + 1) // step
        if n <= 0:
            return cls(start, (), step)
        counts = np.zeros((n, longest + 1), int)
        for event, report in known:
            i, j = (event - start).days // step, (max(event, report) - start).days // step
            if i >= 0 and j < n:
                counts[i, min(j - i, longest)] += 1
        rows = tuple(
            tuple(count if i + d < n else None for d, count in enumerate(row)) for i, row in enumerate(counts.tolist())
        )
        return cls(start, rows, step)
