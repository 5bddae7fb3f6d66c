"""The register of alerts: what there is, what became of it, and what people do about it.

A change by a person is the next revision of an alert, in one transaction with the act itself; a running `causa alerts`
publishes it and tells the sinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.certificate import utc_now
from stream.database import prepare, reading, writing
from stream.errors import InvalidSettings
from stream.surveillance.alerts import store
from stream.surveillance.alerts.alert import Alert, Kind
from stream.surveillance.alerts.lifecycle import SET, changed
from stream.surveillance.alerts.rules import Rules, load
from stream.surveillance.alerts.store import Mute, Standing
from stream.surveillance.alerts.tables import ACTS, ALERTS, FORM, MUTES, REVISIONS, RUNS, TABLES, micros, moment

WHO, WHY = 80, 300
"""Longest pseudonym, longest reason."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which alerts are asked for; None and empty mean any.

    Attributes:
        since: raised on this day or later (UTC).
        level: at least so much.
        limit: at most so many, the newest first.
    """

    open: bool | None = None
    kind: Kind | None = None
    group: str = ""
    place: str = ""
    level: int = 0
    since: date | None = None
    muted: bool | None = None
    held: bool | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did about an alert (or about many, where `alert_id` is empty): acknowledge, escalate, mute, unmute."""

    at: datetime
    what: str
    who: str
    why: str
    alert_id: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of detection.

    Attributes:
        day: whose knowledge it judged by.
        at: when it ended.
        seconds: that it took.
        series, judged, alarms, held: series, those that could be judged, alarms, those of them held back.
        revisions: of alerts that it made.
        rules_version: rules that it judged by.
    """

    day: date
    at: datetime
    seconds: float
    series: int
    judged: int
    alarms: int
    held: int
    revisions: int
    rules_version: str


class Register:
    """Alerts in the surveillance database.

    Args:
        engine: the database; the tables are made where there are none.
        clock: now, for tests.
        rules: of alerting; the packaged ones when None.

    Raises:
        InvalidSettings: the database holds tables of another form.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = utc_now, rules: Rules | None = None) -> None:
        prepare(engine, TABLES, service="alerts", version=FORM)
        self._engine, self._clock, self._given = engine, clock, rules

    @property
    def _rules(self) -> Rules:
        return self._given or load()

    def alerts(self, choice: Choice | None = None) -> tuple[Alert, ...]:
        """Newest revisions, the newest alert first."""
        chosen = choice or Choice()
        asked = sa.select(ALERTS.c.record).order_by(ALERTS.c.raised_at.desc(), ALERTS.c.alert_id).limit(chosen.limit)
        for column, value in (("open", chosen.open), ("muted", chosen.muted), ("held", chosen.held)):
            if value is not None:
                asked = asked.where(ALERTS.c[column] == int(value))
        for column, text in (("kind", chosen.kind), ("group_id", chosen.group), ("place", chosen.place)):
            if text:
                asked = asked.where(ALERTS.c[column] == str(text))
        if chosen.level:
            asked = asked.where(ALERTS.c.level >= chosen.level)
        if chosen.since is not None:
            asked = asked.where(ALERTS.c.raised_at >= micros(datetime.combine(chosen.since, time(), UTC)))
        with reading(self._engine) as connection:
            return tuple(map(store.alert_of, connection.execute(asked).scalars()))

    def check(self, group: str = "", place: str = "") -> None:
        """Raises InvalidSettings where there is no such group or place; empty means any."""
        if group:
            self._rules.groups.named(group)
        if place and place not in self._rules.places:
            raise InvalidSettings(f"there is no place {place}", hint="FR, a region as R-84, a department as 33")

    def alert(self, alert_id: str) -> Alert | None:
        """Newest revision of one."""
        with reading(self._engine) as connection:
            return store.newest(connection, alert_id)

    def history(self, alert_id: str) -> tuple[Alert, ...]:
        """All revisions of one, oldest first."""
        asked = sa.select(REVISIONS.c.record).where(REVISIONS.c.alert_id == alert_id).order_by(REVISIONS.c.revision)
        with reading(self._engine) as connection:
            return tuple(map(store.alert_of, connection.execute(asked).scalars()))

    def acts(self, alert_id: str = "") -> tuple[Act, ...]:
        """What people did about one, oldest first; about any when empty."""
        asked = sa.select(ACTS).order_by(ACTS.c.number)
        if alert_id:
            asked = asked.where(ACTS.c.alert_id == alert_id)
        with reading(self._engine) as connection:
            return tuple(
                Act(moment(row.at), row.what, row.who, row.why, row.alert_id, row.revision)
                for row in connection.execute(asked)
            )

    def acknowledge(self, alert_id: str, who: str, why: str) -> Alert:
        """Somebody has seen it and takes it on. Acknowledged again, the later one counts.

        Raises:
            InvalidSettings: there is no such alert; no name or no reason.
        """
        now = self._clock()
        who, why = _said(who, why)
        values = {"acknowledged_by": who, "acknowledged_at": now, "acknowledged_why": why}
        with writing(self._engine) as connection:
            return self._made(connection, _there(connection, alert_id), "acknowledge", who, why, now, values)

    def escalate(self, alert_id: str, level: int, who: str, why: str) -> Alert:
        """It presses more (or less) than the rules have it; they leave its level alone from then on.

        Raises:
            InvalidSettings: there is no such alert; no level of 0 to 9, no name or no reason.
        """
        if not 0 <= level <= 9:
            raise InvalidSettings(f"{level} is no level", hint="0 to 9")
        who, why = _said(who, why)
        now = self._clock()
        with writing(self._engine) as connection:
            before = _there(connection, alert_id)
            notes = [note for note in before.notes if not note.startswith(SET)]
            notes.append(f"{SET}: {level}, set by {who}: {why}")
            return self._made(connection, before, "escalate", who, why, now, {"level": level, "notes": tuple(notes)})

    def mute(self, mute: Mute) -> int:
        """No sink hears of some alerts any more, those to come too; its number.

        Raises:
            InvalidSettings: it names nothing, or a group, a place or an alert that is not there; its last day is over; no
                name or no reason.
        """
        who, why = _said(mute.who, mute.why)
        self._named(mute)
        now = self._clock()
        if mute.until is not None and mute.until < now.date():
            raise InvalidSettings(f"{mute.until} is over: nothing would be muted")
        with writing(self._engine) as connection:
            if mute.alert_id:
                _there(connection, mute.alert_id)
            made = connection.execute(MUTES.insert().values(
                alert_id=mute.alert_id, group_id=mute.group, place=mute.place, kind=mute.kind.value if mute.kind else "",
                until=mute.until.isoformat() if mute.until else "", who=who, why=why, at=micros(now),
            ))  # fmt: skip
            self._swept(connection, "mute", who, why, now)
            number: int = made.inserted_primary_key[0]  # type: ignore[index]
            return number

    def unmute(self, number: int, who: str, why: str) -> None:
        """End a mute; sinks hear of what goes on and they have not heard of.

        Raises:
            InvalidSettings: there is none of that number that goes on; no name or no reason.
        """
        who, why = _said(who, why)
        now = self._clock()
        with writing(self._engine) as connection:
            ended = connection.execute(
                MUTES.update().where(MUTES.c.number == number, MUTES.c.ended_at.is_(None)).values(ended_at=micros(now))
            )
            if ended.rowcount != 1:
                raise InvalidSettings(f"there is no mute {number}", hint="causa alerts list --mutes")
            self._swept(connection, "unmute", who, why, now)

    def mutes(self) -> tuple[Mute, ...]:
        """Mutes in force today."""
        today = self._clock().date()
        with reading(self._engine) as connection:
            return tuple(m for m in store.mutes(connection) if m.until is None or today <= m.until)

    def runs(self, limit: int = 20) -> tuple[Run, ...]:
        """Runs of detection, the newest first."""
        with reading(self._engine) as connection:
            return tuple(
                Run(
                    date.fromisoformat(row.day), moment(row.at), row.seconds, row.series, row.judged, row.alarms,
                    row.held, row.revisions, row.rules_version,
                )
                for row in connection.execute(sa.select(RUNS).order_by(RUNS.c.number.desc()).limit(limit))
            )  # fmt: skip

    def _made(
        self, connection: Connection, before: Alert, what: str, who: str, why: str, now: datetime,
        values: dict[str, object],
    ) -> Alert:  # fmt: skip
        made = changed(before, now, **values)
        (made,) = store.write(connection, [made], Standing.of(connection, self._rules, now))
        _acted(connection, Act(now, what, who, why, before.alert_id, made.revision))
        return made

    def _swept(self, connection: Connection, what: str, who: str, why: str, now: datetime) -> None:
        """Revisions of the alerts that a mute bears on, and the act on each; on none, the act alone."""
        standing = Standing.of(connection, self._rules, now)
        touched = [
            changed(alert, now) for alert in store.open_alerts(connection) if standing.muted(alert) != alert.muted
        ]
        for alert in store.write(connection, touched, standing):
            _acted(connection, Act(now, what, who, why, alert.alert_id, alert.revision))
        if not touched:
            _acted(connection, Act(now, what, who, why))

    def _named(self, mute: Mute) -> None:
        if not (mute.alert_id or mute.group or mute.place or mute.kind):
            raise InvalidSettings("a mute names an alert, a group, a place or a kind")
        self.check(mute.group, mute.place)


def _there(connection: Connection, alert_id: str) -> Alert:
    found = store.newest(connection, alert_id)
    if found is None:
        raise InvalidSettings(f"there is no alert {alert_id}", hint="causa alerts list")
    return found


def _acted(connection: Connection, act: Act) -> None:
    connection.execute(ACTS.insert().values(
        at=micros(act.at), what=act.what, who=act.who, why=act.why, alert_id=act.alert_id, revision=act.revision
    ))  # fmt: skip


def _said(who: str, why: str) -> tuple[str, str]:
    who, why = who.strip(), " ".join(why.split())
    if not who or not why:
        raise InvalidSettings("who and why are asked for", hint="a pseudonym, and a reason in a few words")
    if len(who) > WHO or len(why) > WHY:
        raise InvalidSettings(f"who has at most {WHO} characters, why {WHY}")
    return who, why
