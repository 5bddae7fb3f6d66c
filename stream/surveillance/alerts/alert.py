"""An alert: what surveillance tells about one series, or about one death that matters by itself.

It names no person and holds no certificate's text: codes of groups and places, figures, ids of certificates.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from stream.certificate import Sex

SUBJECT = "alerts"


class Kind(StrEnum):
    """STATISTICAL: more deaths than the past lets expect; SINGLE_CASE: one death that matters by itself."""

    STATISTICAL = "STATISTICAL"
    SINGLE_CASE = "SINGLE_CASE"


class AlertStatus(StrEnum):
    """NEW: first told; ONGOING: its period has grown; REVISED: the same period in another light; ENDED: over."""

    NEW = "NEW"
    ONGOING = "ONGOING"
    ENDED = "ENDED"
    REVISED = "REVISED"


@dataclass(frozen=True, slots=True)
class Alert:
    """One revision of an alert.

    Attributes:
        alert_id: the same for the same series and first day, or the same group and certificate.
        status: what this revision says.
        group: syndromic group.
        place: FR, a region (R-84) or a department of death (33).
        period_start, period_end: first and last day; of a single case the day of death (of receipt, where that is not
            known), twice.
        observed: deaths here so far in the newest period judged.
        expected: deaths that the baseline expects among those that are here.
        threshold: most deaths without an alarm.
        score: of the method; of a single case its level.
        completeness: share of the period's certificates that are here, 0 to 1.
        method, method_version: how it was found.
        raised_at: when its first revision was made.
        certificates: ids of the first deaths of the newest period judged (20 at most), by day of death; of a single case its own.
        notes: caveats, each with its code: ``COVERAGE: …``.
        revision: 1, 2, …; a revision is written to the topic once.
        kind: statistical or single case.
        by: ANY for deaths that mention the group, UNDERLYING for those due to it.
        age, sex: of the series; None for all.
        level: how much it presses, 0 to 9.
        verified: whether a person's result stands behind it.
        open: whether it goes on.
        held: whether an artefact may explain it: it is shown, but no sink hears of it.
        muted: who muted it, until when and why; empty where nobody did.
        acknowledged_by, acknowledged_at, acknowledged_why: by whom, when, why.
        p_value, adjusted, z: chance of so many deaths; the same adjusted for all series judged with it; normal score.
        estimate, low, high: deaths of the period that are expected in all, and bounds.
        groups_version, rules_version: of the groups, of the rules of alerting.
        coded_versions: versions that coded most of the period's deaths.
        updated_at: when this revision was made.
    """

    alert_id: str
    status: AlertStatus
    group: str
    place: str
    period_start: date
    period_end: date
    observed: float
    expected: float
    threshold: float
    score: float
    completeness: float
    method: str
    method_version: str
    raised_at: datetime
    certificates: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revision: int = 1
    kind: Kind = Kind.STATISTICAL
    by: str = "ANY"
    age: str | None = None
    sex: Sex | None = None
    level: int = 0
    verified: bool = False
    open: bool = True
    held: bool = False
    muted: str = ""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    acknowledged_why: str = ""
    p_value: float | None = None
    adjusted: float | None = None
    z: float | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    groups_version: str = ""
    rules_version: str = ""
    coded_versions: str = ""
    updated_at: datetime | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What identifies a revision."""
        return self.alert_id, self.revision

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of its notes."""
        return tuple(note.partition(":")[0] for note in self.notes)


_ALERT = TypeAdapter(Alert)


def alert_record(alert: Alert) -> dict[str, Any]:
    """Avro mapping."""
    record: dict[str, Any] = _ALERT.dump_python(alert)
    return record


def alert_json(alert: Alert) -> dict[str, Any]:
    """JSON mapping."""
    record: dict[str, Any] = _ALERT.dump_python(alert, mode="json")
    return record


def read_alert(value: Any) -> Alert:
    """Alert of its Avro or JSON mapping."""
    alert: Alert = _ALERT.validate_python(value)
    return alert


def series_id(group: str, place: str, by: str, age: str | None, sex: str | None) -> str:
    """Name of a series; that of a wider one is shorter."""
    parts = [
        group,
        place,
        *(["due"] if by != "ANY" else []),
        *([_AGE.sub("plus", age)] if age else []),
        *filter(None, [sex]),
    ]
    return ".".join(parts)


def case_id(group: str, certificate_id: str) -> str:
    """Id of the alert of one death: a hash, since certificates' ids may hold what an address may not."""
    return f"{group}.case-{hashlib.blake2b(certificate_id.encode(), digest_size=8).hexdigest()}"


_AGE = re.compile(r"\+")
