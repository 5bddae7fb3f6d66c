"""Alerts into their tables, inside a transaction of the caller's: the newest revision, and the row that is published.

Whatever makes a revision comes through `write`, so that mutes and the rules' escalations are in every one of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.database import PARAMETERS, upsert
from stream.surveillance.alerts.alert import Alert, Kind, alert_json, read_alert
from stream.surveillance.alerts.lifecycle import changed, ended, escalated
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.tables import ALERTS, MUTES, REVISIONS, micros, moment

RULE = "the rules"
"""Who mutes where no person does."""


@dataclass(frozen=True, slots=True)
class Mute:
    """Alerts that no sink hears of; what is empty means any.

    Attributes:
        who: pseudonym of who muted them.
        why: in that person's words.
        alert_id, group, place, kind: which.
        until: the last day; None for as long as nobody ends it.
        number: of the mute in the database; 0 before it is there.
        at: when.
    """

    who: str
    why: str
    alert_id: str = ""
    group: str = ""
    place: str = ""
    kind: Kind | None = None
    until: date | None = None
    number: int = 0
    at: datetime | None = None

    def holds(self, alert: Alert, today: date) -> bool:
        """Whether it mutes an alert on a day."""
        return (
            (self.until is None or today <= self.until)
            and self.alert_id in ("", alert.alert_id)
            and self.group in ("", alert.group)
            and self.place in ("", alert.place)
            and self.kind in (None, alert.kind)
        )

    def __str__(self) -> str:
        return f"{self.who}{f' until {self.until}' if self.until else ''}: {self.why}"


class Standing:
    """What rules and people have said of alerts: who is muted, what presses more.

    Args:
        mutes: in force in the database.
        rules: of alerting.
        now: the moment.
    """

    def __init__(self, mutes: Iterable[Mute], rules: Rules, now: datetime) -> None:
        self._mutes, self._rules, self.now = tuple(mutes), rules, now

    @classmethod
    def of(cls, connection: Connection, rules: Rules, now: datetime) -> Standing:
        """As the database has it."""
        return cls(mutes(connection), rules, now)

    def muted(self, alert: Alert) -> str:
        """Who muted an alert, until when and why; empty where nobody did."""
        today = self.now.date()
        for mute in self._mutes:
            if mute.holds(alert, today):
                return str(mute)
        for rule in self._rules.file.mute:
            if today <= rule.until and self._rules.holds(rule, alert.kind, alert.group, alert.place):
                return str(Mute(RULE, rule.why, until=rule.until))
        return ""

    def over(self, alert: Alert) -> Alert:
        """The same revision, muted and pressing as it should be."""
        alert = replace(alert, muted=self.muted(alert))
        level, notes = escalated(alert, self._rules, self.now)
        return replace(alert, level=level, notes=notes)

    def swept(self, alert: Alert) -> Alert | None:
        """The next revision where time alone has changed something; None where it has not."""
        close = self._rules.file.single.close
        if alert.kind is Kind.SINGLE_CASE and (self.now - alert.raised_at).days >= close:
            return ended(alert, f"CLOSED: raised {close} days ago", self.now)
        told = self.over(alert)
        return changed(told, self.now) if told != alert else None


def write(connection: Connection, alerts: Sequence[Alert], standing: Standing, certificate: str = "") -> list[Alert]:
    """Write revisions, each the next of its alert; as they were written.

    Args:
        connection: of a transaction that writes.
        alerts: each alert once.
        standing: what rules and people have said.
        certificate: of a single case.
    """
    written = [standing.over(alert) if alert.open else alert for alert in alerts]
    put(connection, written, certificate)
    return written


def put(
    connection: Connection,
    alerts: Sequence[Alert],
    certificate: str = "",
    *,
    published: bool = False,
    fed: bool = False,
) -> None:
    """Write revisions as they are."""
    for alert in alerts:
        connection.execute(REVISIONS.insert().values(
            alert_id=alert.alert_id, revision=alert.revision, record=_text(alert), published=int(published), fed=int(fed),
            made_at=micros(alert.updated_at or alert.raised_at),
        ))  # fmt: skip
    upsert(connection, ALERTS, [_row(alert, certificate) for alert in alerts])


def _row(alert: Alert, certificate: str) -> dict[str, object]:
    single = alert.kind is Kind.SINGLE_CASE
    return {
        "alert_id": alert.alert_id, "revision": alert.revision, "kind": alert.kind.value,
        "series": alert.alert_id if single else alert.alert_id.rpartition(".")[0],
        "certificate_id": (certificate or next(iter(alert.certificates), "")) if single else "",
        "group_id": alert.group, "place": alert.place, "level": alert.level, "open": int(alert.open),
        "held": int(alert.held), "muted": int(bool(alert.muted)), "period_end": alert.period_end.isoformat(),
        "raised_at": micros(alert.raised_at), "updated_at": micros(alert.updated_at or alert.raised_at),
        "record": _text(alert),
    }  # fmt: skip


def _text(alert: Alert) -> str:
    return json.dumps(alert_json(alert), ensure_ascii=False)


def alert_of(text: str) -> Alert:
    """Alert of a row's `record`."""
    return read_alert(json.loads(text))


def newest(connection: Connection, alert_id: str) -> Alert | None:
    """Newest revision of an alert."""
    found = connection.execute(sa.select(ALERTS.c.record).where(ALERTS.c.alert_id == alert_id)).scalar()
    return alert_of(found) if found is not None else None


def open_alerts(connection: Connection, kind: Kind | None = None) -> list[Alert]:
    """Newest revisions of the alerts that go on."""
    chosen = sa.select(ALERTS.c.record).where(ALERTS.c.open == 1).order_by(ALERTS.c.alert_id)
    if kind is not None:
        chosen = chosen.where(ALERTS.c.kind == kind.value)
    return [alert_of(text) for text in connection.execute(chosen).scalars()]


def of_certificates(connection: Connection, ids: Collection[str]) -> dict[str, dict[str, Alert]]:
    """Single-case alerts of some certificates, ended ones too: by certificate, by group."""
    found: dict[str, dict[str, Alert]] = {}
    listed = sorted(ids)
    for at in range(0, len(listed), PARAMETERS):
        chosen = sa.select(ALERTS.c.certificate_id, ALERTS.c.record).where(
            ALERTS.c.certificate_id.in_(listed[at : at + PARAMETERS])
        )
        for certificate, text in connection.execute(chosen):
            alert = alert_of(text)
            found.setdefault(certificate, {})[alert.group] = alert
    return found


def mutes(connection: Connection) -> list[Mute]:
    """Mutes that nobody has ended, oldest first; those whose last day is over among them."""
    rows = connection.execute(sa.select(MUTES).where(MUTES.c.ended_at.is_(None)).order_by(MUTES.c.number))
    return [
        Mute(
            row.who, row.why, row.alert_id, row.group_id, row.place, Kind(row.kind) if row.kind else None,
            date.fromisoformat(row.until) if row.until else None, row.number, moment(row.at),
        )
        for row in rows
    ]  # fmt: skip
