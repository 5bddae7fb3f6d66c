"""Keeps the alerts: folds records, runs detection, lets time pass. Each step is one transaction; it blocks, and knows no Kafka.

Doing a step again, after a kill or in a second process, makes nothing twice: what it writes follows from what stands in
the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.certificate import utc_now
from stream.database import prepare, reading, writing
from stream.errors import CausaError
from stream.reader import Read
from stream.surveillance.alerts import gauges, sinks, store
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.alerts.finding import Finding
from stream.surveillance.alerts.judging import Detection
from stream.surveillance.alerts.lifecycle import after, gone
from stream.surveillance.alerts.register import Run
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.single import Singles
from stream.surveillance.alerts.sinks import Message
from stream.surveillance.alerts.store import Standing
from stream.surveillance.alerts.tables import DELIVERIES, FORM, RUNS, TABLES, micros
from stream.surveillance.counts import Counts


class Keeper:
    """See the module.

    Args:
        engine: the surveillance database.
        counts: in it.
        rules: of alerting.
        clock: now, for tests.

    Raises:
        InvalidSettings: the database holds tables of another form.
    """

    def __init__(self, engine: Engine, counts: Counts, rules: Rules, clock: Callable[[], datetime] = utc_now) -> None:
        prepare(engine, TABLES, service="alerts", version=FORM)
        self._engine, self._counts, self._rules, self._clock = engine, counts, rules, clock
        self._singles = Singles(rules)
        self.stopping = False

    def fold(self, connection: Connection, reads: Sequence[Read]) -> int:
        """Coded records into counts and single cases; how many alerts were made or changed.

        Args:
            connection: of the transaction that moves the offsets.
            reads: records, those of a kill before the commit again.
        """
        self._counts.fold(connection, reads)
        gauges.RECORDS.inc(len(reads))
        now = self._clock()
        made = self._singles.fold(connection, reads, now)
        if any(alert.revision == 1 for alert in made):
            self._timed(made, reads, now)
        return len(made)

    def _timed(self, made: Sequence[Alert], reads: Sequence[Read], now: datetime) -> None:
        """How long it took from receipt and from coding to a new case."""
        new = {alert.certificates[0] for alert in made if alert.revision == 1}
        for value in (read.value for read in reads if read.value.get("certificate_id") in new):
            for since, name in (("received", "received_at"), ("coded", "coded_at")):
                at = value.get(name)
                if isinstance(at, datetime):
                    seconds = (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()
                    gauges.CASE.labels(since).observe(max(0.0, seconds))

    def day(self) -> date | None:
        """Day that detection judges by: the last one that is over, or on which anything became known."""
        known = self._counts.last_known()
        return min(known, self._clock().date() - timedelta(days=1)) if known is not None else None

    def detect(self, day: date | None = None) -> Run | None:
        """Judge all series by what was known at the end of a day; None where nothing is known.

        Args:
            day: that of `day()` when None.

        Raises:
            DatabaseUnavailable: do it again.
        """
        begun, day = time.monotonic(), day or self.day()
        if day is None:
            return None
        detection = Detection(self._counts, self._rules, day)
        found: list[Finding] = []
        revisions = 0
        for findings in detection.findings():
            if self.stopping:
                return None
            with writing(self._engine) as connection:
                revisions += len(self.apply(connection, findings))
            found += findings
        with writing(self._engine) as connection:
            over = gone(store.open_alerts(connection, Kind.STATISTICAL), self._rules, self._clock())
            revisions += len(store.write(connection, over, self._standing(connection)))
            alarms = [finding for finding in found if finding.alarm]
            run = Run(
                day, self._clock(), time.monotonic() - begun, len(found), sum(f.verdict.judged for f in found),
                len(alarms), sum(f.held for f in alarms), revisions, self._rules.version,
            )  # fmt: skip
            connection.execute(RUNS.insert().values(
                day=day.isoformat(), at=micros(run.at), seconds=run.seconds, series=run.series, judged=run.judged,
                alarms=run.alarms, held=run.held, revisions=revisions, rules_version=run.rules_version,
            ))  # fmt: skip
        _tell(run)
        return run

    def apply(self, connection: Connection, findings: Sequence[Finding]) -> list[Alert]:
        """What findings make of the alerts; those that were made or changed."""
        now = self._clock()
        there = {alert.alert_id.rpartition(".")[0]: alert for alert in store.open_alerts(connection, Kind.STATISTICAL)}
        made: list[Alert] = []
        for finding in findings:
            alert = after(there.get(finding.watch.name), finding, self._rules, now)
            if alert is None:
                continue
            if alert.revision == 1 and (older := store.newest(connection, alert.alert_id)) is not None:
                # The same days have been over once, and are not any more.
                alert = replace(alert, revision=older.revision + 1, raised_at=older.raised_at, status=AlertStatus.NEW)
            made.append(alert)
        return store.write(connection, made, self._standing(connection))

    def sweep(self) -> int:
        """What time alone changes: mutes that begin or end, alerts that press more or close; how many alerts."""
        with reading(self._engine) as connection:
            standing = self._standing(connection)
            due = [alert for alert in store.open_alerts(connection) if standing.swept(alert) is not None]
        if not due:
            return 0
        with writing(self._engine) as connection:
            standing = self._standing(connection)
            # Read again: another process may have been here in between.
            swept = [standing.swept(alert) for alert in store.open_alerts(connection)]
            return len(store.write(connection, [alert for alert in swept if alert is not None], standing))

    def feed(self, names: Collection[str]) -> int:
        """Settle what sinks hear of new revisions; how many there were."""
        with reading(self._engine) as connection:
            if not sinks.unfed(connection):
                return 0
        with writing(self._engine) as connection:
            return sinks.feed(connection, names, self._rules, self._clock())

    def claim(self, sink: str, most: int) -> list[Message]:
        """Messages that are due for a sink."""
        with reading(self._engine) as connection:
            if not sinks.waiting(connection, sink, self._clock()):
                return []
        with writing(self._engine) as connection:
            return sinks.claim(connection, sink, most, self._clock())

    def settle(self, messages: Sequence[Message], fault: CausaError | None) -> None:
        """What became of them."""
        with writing(self._engine) as connection:
            sinks.settle(connection, messages, fault, self._clock())

    def tell(self) -> None:
        """Set the gauges of what stands in the database."""
        with reading(self._engine) as connection:
            alerts = store.open_alerts(connection)
            unsent = connection.execute(
                sa.select(DELIVERIES.c.sink, sa.func.count()).where(DELIVERIES.c.ended_at.is_(None))
                .group_by(DELIVERIES.c.sink)
            ).all()  # fmt: skip
        for kind in Kind:
            own = [alert for alert in alerts if alert.kind is kind]
            gauges.OPEN.labels(kind.value, "open").set(len(own))
            gauges.OPEN.labels(kind.value, "held").set(sum(alert.held for alert in own))
            gauges.OPEN.labels(kind.value, "muted").set(sum(bool(alert.muted) for alert in own))
            new = sum(not alert.acknowledged_by and not alert.held for alert in own)
            gauges.OPEN.labels(kind.value, "unacknowledged").set(new)
        for sink, count in unsent:
            gauges.UNSENT.labels(sink).set(count)

    def _standing(self, connection: Connection) -> Standing:
        return Standing.of(connection, self._rules, self._clock())


def _tell(run: Run) -> None:
    gauges.DETECTION.observe(run.seconds)
    gauges.RAN.set(run.at.timestamp())
    gauges.DAY.set(datetime.combine(run.day, datetime.min.time(), UTC).timestamp())
    for found, count in (("all", run.series), ("judged", run.judged), ("alarm", run.alarms), ("held", run.held)):
        gauges.SERIES.labels(found).set(count)
