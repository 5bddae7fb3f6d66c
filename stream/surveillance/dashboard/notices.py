"""Alerts as pages show them: all of their evidence to those who may see small counts, what is published to others.

To others an alert is shown where the counts that it rests on are: a statistical one, of a table that they see, whose weeks
are held in their state of knowledge, hidden in none, and above the threshold in one by what is published. Its figures are then those of the newest of these weeks, so that
the alert adds no number of its own; the rest of its evidence (scores, revisions, ids, words with figures) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from stream.certificate import Sex
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.counts import By
from stream.surveillance.dashboard.choice import SPANS, Choice
from stream.surveillance.dashboard.figures import Figures
from stream.surveillance.dashboard.rights import Rights


class Sure(StrEnum):
    """How sure it is that an alert is no chance: by its p value among all series judged with it."""

    HELD = "HELD"
    """An artefact may explain it."""
    UNVERIFIED = "UNVERIFIED"
    """One death, coded by the machine alone."""
    VERIFIED = "VERIFIED"
    """One death, confirmed by a person."""
    STRONG = "STRONG"
    """Less than one chance in a thousand."""
    GOOD = "GOOD"
    """Less than one in a hundred."""
    FAIR = "FAIR"
    """More."""
    UNTOLD = "UNTOLD"
    """No p value, or not shown."""


@dataclass(frozen=True, slots=True)
class Note:
    """A caveat: its code, and the English sentence with its figures; empty where these are not shown."""

    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert as it is shown; fields as in `stream.surveillance.alerts.alert`, None where they are not shown.

    Attributes:
        small: whether all of it is shown.
        sure: how sure it is.
    """

    alert_id: str
    status: AlertStatus
    kind: Kind
    group: str
    place: str
    by: By
    age: str | None
    sex: Sex | None
    start: date
    end: date
    observed: float
    expected: float
    threshold: float
    completeness: float
    estimate: float | None
    low: float | None
    high: float | None
    method: str
    raised_at: datetime
    updated_at: datetime | None
    level: int
    open: bool
    held: bool
    notes: tuple[Note, ...]
    sure: Sure
    small: bool
    revision: int
    score: float | None = None
    p_value: float | None = None
    adjusted: float | None = None
    z: float | None = None
    verified: bool = False
    muted: str = ""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    acknowledged_why: str = ""
    certificates: tuple[str, ...] = ()
    method_version: str = ""
    groups_version: str = ""
    rules_version: str = ""
    coded_versions: str = ""

    @property
    def single(self) -> bool:
        """Whether one death raised it."""
        return self.kind is Kind.SINGLE_CASE

    @property
    def ratio(self) -> float | None:
        """Observed by expected, both of what is here."""
        return self.observed / self.expected if self.expected > 0 else None

    @property
    def choice(self) -> Choice:
        """The series that it speaks of, wide enough to show the period."""
        return Choice(self.group, self.place, self.by, self.age, self.sex)


def shown(alert: Alert, figures: Figures, rights: Rights) -> Notice | None:
    """An alert as these rights show it; None where they do not."""
    if rights.small:
        return _whole(alert)
    if alert.kind is Kind.SINGLE_CASE:
        return None
    choice = Choice(alert.group, alert.place, By(alert.by), alert.age, alert.sex)
    if choice.crossed:
        return None
    now = figures.now() or alert.period_end
    back = (now - alert.period_start).days // 7 + 2
    span = next((span for span in SPANS if span >= back), SPANS[-1])
    points = figures.curve(replace(choice, span=span), rights).points
    weeks = [point for point in points if point.day <= alert.period_end and point.last >= alert.period_start]
    if any(point.hidden or point.count is None or point.expected is None for point in weeks):
        return None
    if not any(point.alarm for point in weeks):
        return None  # that there is an alert tells nothing that the published figures do not
    newest = weeks[-1]
    return replace(
        _whole(alert), small=False, start=weeks[0].day, end=newest.last,
        observed=newest.count or 0.0, expected=newest.expected or 0.0, threshold=newest.threshold or 0.0,
        completeness=newest.share, estimate=newest.estimate, low=newest.low, high=newest.high,
        score=None, p_value=None, adjusted=None, z=None, certificates=(), muted="", acknowledged_by="",
        acknowledged_at=None, acknowledged_why="", sure=Sure.HELD if alert.held else Sure.UNTOLD,
        notes=tuple(Note(note.code, "") for note in _notes(alert)),
    )  # fmt: skip


def _whole(alert: Alert) -> Notice:
    return Notice(
        alert.alert_id, alert.status, alert.kind, alert.group, alert.place, By(alert.by), alert.age, alert.sex,
        alert.period_start, alert.period_end, alert.observed, alert.expected, alert.threshold, alert.completeness,
        alert.estimate, alert.low, alert.high, alert.method, alert.raised_at, alert.updated_at, alert.level,
        alert.open, alert.held, _notes(alert), _sure(alert), True, alert.revision, alert.score, alert.p_value,
        alert.adjusted, alert.z, alert.verified, alert.muted, alert.acknowledged_by, alert.acknowledged_at,
        alert.acknowledged_why, alert.certificates, alert.method_version, alert.groups_version, alert.rules_version,
        alert.coded_versions,
    )  # fmt: skip


def _notes(alert: Alert) -> tuple[Note, ...]:
    found = []
    for note in alert.notes:
        code, colon, says = note.partition(": ")
        known = bool(colon) and code.isupper() and code.isalpha()
        found.append(Note(code, says) if known else Note("", note))
    return tuple(found)


def _sure(alert: Alert) -> Sure:
    if alert.kind is Kind.SINGLE_CASE:
        return Sure.VERIFIED if alert.verified else Sure.UNVERIFIED
    if alert.held:
        return Sure.HELD
    chance = alert.adjusted if alert.adjusted is not None else alert.p_value
    if chance is None:
        return Sure.UNTOLD
    return Sure.STRONG if chance < 0.001 else Sure.GOOD if chance < 0.01 else Sure.FAIR
