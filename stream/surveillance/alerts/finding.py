"""What detection finds of one series on one day: the step between a verdict and an alert."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from stream.surveillance.alerts.rules import Watch
from stream.surveillance.detection.series import Period
from stream.surveillance.detection.verdict import Reason, Verdict


class Caveat(StrEnum):
    """What may make an alarm out of nothing; its sentences begin with it."""

    COVERAGE = "COVERAGE"
    VERSION = "VERSION"
    HISTORY = "HISTORY"
    GROUPS = "GROUPS"


@dataclass(frozen=True, slots=True)
class Note:
    """A caveat in words.

    Attributes:
        caveat: its kind.
        says: a sentence with its figures.
        holds: whether the alarm is held back for it.
    """

    caveat: Caveat
    says: str
    holds: bool = False

    def __str__(self) -> str:
        return f"{self.caveat}: {self.says}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A series on a day.

    Attributes:
        watch: the series.
        period: the days judged.
        verdict: what the method says of them.
        method: its name.
        p_value, adjusted: chance of so many, alone and among all series of the section; None where the method tells none.
        alarm: whether it is one, among all series of the section and from the least count on.
        lasts: whether it is beyond the threshold by itself, which is enough for an alert that is there to go on.
        completeness: share of the period's certificates that is here.
        estimate, low, high: deaths of the period in all, foreseen.
        certificates: ids of the first deaths of the period, by day of death; of alarms only.
        notes: caveats; of alarms only.
        versions: what coded most of them; of alarms only.
        as_of: day by whose knowledge it was judged.
    """

    watch: Watch
    period: Period
    verdict: Verdict
    method: str
    p_value: float | None = None
    adjusted: float | None = None
    alarm: bool = False
    lasts: bool = False
    completeness: float = 1.0
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    certificates: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    versions: str = ""
    as_of: date | None = None

    @property
    def judged(self) -> bool:
        """Whether the method could say anything of the period; too few deaths are a judgement."""
        return self.verdict.reason in (None, Reason.TOO_FEW)

    @property
    def held(self) -> bool:
        """Whether an artefact may explain it."""
        return any(note.holds for note in self.notes)
