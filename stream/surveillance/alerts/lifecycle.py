"""From findings to alerts: what a new finding makes of the alert of its series, if there is one. Pure.

An alert is NEW with the first alarm, ONGOING while days with an alarm are added to it, REVISED where the same days look
otherwise, ENDED after some days without one. The same finding twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.alerts.finding import Finding
from stream.surveillance.alerts.judging import VERSION
from stream.surveillance.alerts.rules import Rules

MATERIAL = 0.05
"""Change of the figures, by themselves, that is worth a revision."""
CALM = "CALM: the newest week is not beyond the threshold"
DOWN = "DOWN: by what is known now these days are not beyond the threshold"
SET = "LEVEL"
KEPT = (SET, "ESCALATED")
"""Codes of the notes that tell where a level comes from: they stay."""
UNWATCHED = "UNWATCHED: the rules judge this series no longer"
SILENT = "SILENT: the series could not be judged any more"


def after(before: Alert | None, finding: Finding, rules: Rules, now: datetime) -> Alert | None:
    """The next revision of a series' alert; None where there is nothing new to tell.

    Args:
        before: the newest revision of its open alert; None without one.
        finding: of the day.
        rules: of alerting.
        now: moment of the revision.
    """
    if before is None:
        return _raised(finding, rules, now) if finding.alarm else None
    away = (finding.period.last - before.period_end).days
    if away < 0:
        return None  # judged by what was known on an earlier day
    return _lasting(before, finding, rules, now, away) if finding.lasts else _calm(before, finding, rules, now, away)


def _lasting(before: Alert, finding: Finding, rules: Rules, now: datetime, away: int) -> Alert | None:
    """Beyond the threshold once more: new days, or the same in another light."""
    told = _told(before, finding, rules, AlertStatus.ONGOING if away else AlertStatus.REVISED, now)
    return told if away or _differs(before, told) else None


def _calm(before: Alert, finding: Finding, rules: Rules, now: datetime, away: int) -> Alert | None:
    """Not beyond the threshold, or not judged."""
    living = rules.file.lifecycle
    if not finding.judged:
        return ended(before, SILENT, now) if away >= living.silent else None
    if away >= living.calm:
        return ended(before, CALM, now)
    if away or DOWN in before.notes:
        return None
    told = _told(before, finding, rules, AlertStatus.REVISED, now)
    return replace(told, notes=(*before.notes, DOWN), certificates=before.certificates)


def ended(before: Alert, why: str, now: datetime) -> Alert:
    """Its last revision."""
    return replace(
        before, status=AlertStatus.ENDED, open=False, revision=before.revision + 1, updated_at=now,
        notes=(*before.notes, why),
    )  # fmt: skip


def changed(before: Alert, now: datetime, **values: object) -> Alert:
    """A revision for what a person or a rule does to it."""
    status = AlertStatus.REVISED if before.open else AlertStatus.ENDED
    made: Alert = replace(before, status=status, revision=before.revision + 1, updated_at=now, **values)  # type: ignore[arg-type]
    return made


def escalated(alert: Alert, rules: Rules, now: datetime) -> tuple[int, tuple[str, ...]]:
    """Level that the rules give an alert, and why: the highest of those whose conditions hold; never lower than it has.

    What a person has set stays.
    """
    level, why = alert.level, alert.notes
    if SET in alert.codes:
        return level, why
    for rule in rules.file.escalate:
        hours = (now - alert.raised_at) / timedelta(hours=1)
        holds = (
            rules.holds(rule, alert.kind, alert.group, alert.place)
            and alert.open
            and not alert.held
            and alert.level >= rule.least
            and (rule.score is None or alert.score >= rule.score)
            and (rule.verified is None or alert.verified is rule.verified)
            and (rule.ongoing_days is None or (alert.period_end - alert.period_start).days + 1 >= rule.ongoing_days)
            and (
                rule.unacknowledged_hours is None
                or (not alert.acknowledged_by and not alert.muted and hours >= rule.unacknowledged_hours)
            )
        )
        if holds and rule.to > level:
            level, why = rule.to, (*why, f"ESCALATED: level {rule.to}, {rule.why}")
    return level, why


def _raised(finding: Finding, rules: Rules, now: datetime) -> Alert:
    watch = finding.watch
    blank = Alert(
        f"{watch.name}.{finding.period.first}", AlertStatus.NEW, watch.group, watch.place, finding.period.first,
        finding.period.last, 0, 0, 0, 0, 0, finding.method, "", now, revision=0, kind=Kind.STATISTICAL,
        by=watch.by.value, age=watch.age, sex=watch.sex, level=watch.level,
    )  # fmt: skip
    return _told(blank, finding, rules, AlertStatus.NEW, now)


def _told(before: Alert, finding: Finding, rules: Rules, status: AlertStatus, now: datetime) -> Alert:
    verdict = finding.verdict
    kept = tuple(note for note in before.notes if note.startswith(KEPT))
    versions = before.groups_version, rules.groups.version
    regrouped = (
        (f"GROUPS: the tables of groups changed from {versions[0]} to {versions[1]}",)
        if all(versions) and versions[0] != versions[1]
        else ()
    )
    return replace(
        before, status=status, period_end=finding.period.last, observed=verdict.observed or 0.0,
        expected=verdict.expected or 0.0, threshold=verdict.threshold or 0.0, score=_finite(verdict.score),
        completeness=finding.completeness, method=finding.method,
        method_version=f"{VERSION}+rules {rules.version}", certificates=finding.certificates,
        notes=(*map(str, finding.notes), *regrouped, *kept), revision=before.revision + 1, held=finding.held,
        p_value=finding.p_value, adjusted=finding.adjusted, z=verdict.z, estimate=finding.estimate, low=finding.low,
        high=finding.high, groups_version=rules.groups.version, rules_version=rules.version,
        coded_versions=finding.versions or before.coded_versions, updated_at=now,
    )  # fmt: skip


def _finite(score: float | None) -> float:
    """Scores go into a topic and into JSON, which knows no infinity."""
    return min(max(score or 0.0, -1e6), 1e6)


def _differs(a: Alert, b: Alert) -> bool:
    """Whether two revisions tell people different things."""

    def near(x: float | None, y: float | None) -> bool:
        return abs((x or 0.0) - (y or 0.0)) <= MATERIAL * max(abs(x or 0.0), 1.0)

    same = (
        a.observed == b.observed and a.held == b.held and a.codes == b.codes and a.level == b.level
        and near(a.expected, b.expected) and near(a.threshold, b.threshold)
        and abs(a.completeness - b.completeness) <= MATERIAL and a.method == b.method
    )  # fmt: skip
    return not same


def gone(open_alerts: Iterable[Alert], rules: Rules, now: datetime) -> list[Alert]:
    """Last revisions of statistical alerts whose series the rules no longer name."""
    watched = {watch.name for watch in rules.watches()}
    return [
        ended(alert, UNWATCHED, now)
        for alert in open_alerts
        if alert.kind is Kind.STATISTICAL and alert.alert_id.rpartition(".")[0] not in watched
    ]
