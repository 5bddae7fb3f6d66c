"""What a method says of one point of a series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Reason(StrEnum):
    """Why a point was not judged."""

    MISSING = "MISSING"
    """No count is known for it."""
    INCOMPLETE = "INCOMPLETE"
    """Too small a share of its count is here."""
    TOO_SHORT = "TOO SHORT"
    """The series does not reach back as far as the method looks."""
    EXCLUDED = "EXCLUDED"
    """It reaches back far enough, but what the exclusion periods leave of it does not."""
    GAPS = "GAPS"
    """Too many counts of the baseline are missing."""
    TOO_FEW = "TOO FEW"
    """Fewer cases in the last steps than an alarm asks for (`limit54`)."""
    NOT_FITTED = "NOT FITTED"
    """The model of the baseline did not converge, or tells of no spread."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a method says of one point.

    Attributes:
        day: first day of the step.
        method: its name.
        observed: the count as the series has it; None for a gap.
        expected: count that the baseline expects, of what is already here where the series tells completeness.
        threshold: the largest count without an alarm; None where the point was not judged.
        score: how far beyond; the method tells the scale. Farrington's: 1 is at the threshold.
        p_value: chance of at least this count under the baseline.
        mid_p: the same with half the chance of exactly this count; p_value where the reference is continuous.
        z: standard normal score.
        alarm: whether it is beyond the threshold.
        reason: why it was not judged; None where it was. Too few cases leave the figures of the model in place.
        dispersion: variance by mean in the baseline, where the method estimates it.
        trend: change of the logarithm of the expected count by step, where one was kept.
    """

    day: date
    method: str
    observed: float | None
    expected: float | None = None
    threshold: float | None = None
    score: float | None = None
    p_value: float | None = None
    mid_p: float | None = None
    z: float | None = None
    alarm: bool = False
    reason: Reason | None = None
    dispersion: float | None = None
    trend: float | None = None

    @property
    def judged(self) -> bool:
        """Whether an alarm could have been raised."""
        return self.reason is None
