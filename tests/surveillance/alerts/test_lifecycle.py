from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stream.surveillance.alerts.alert import Alert, AlertStatus, alert_json, alert_record, read_alert
from stream.surveillance.alerts.finding import Caveat, Finding, Note
from stream.surveillance.alerts.lifecycle import DOWN, after, escalated
from stream.surveillance.detection.series import Period
from stream.surveillance.detection.verdict import Reason, Verdict
from surveillance.alerts.made import NOW, SMALL, rules

RULES = rules()
WATCH = RULES.watch("influenza", "FR")
DAY = date(2026, 1, 12)


def finding(
    day: int, alarm: bool = True, observed: float = 30, reason: Reason | None = None, **values: object
) -> Finding:
    """Of the week that ends so many days after the first one."""
    last = DAY + timedelta(days=day)
    verdict = Verdict(
        last - timedelta(days=6), "noufaily", observed, 15.0, 24.0, 1.5, 0.001, 0.001, 3.0, alarm, reason
    )  # fmt: skip
    made = Finding(WATCH, Period(last - timedelta(days=6), last), verdict, "noufaily", alarm=alarm, lasts=alarm)
    return replace(made, **values)  # type: ignore[arg-type]


def lived(*findings: Finding, start: Alert | None = None) -> list[Alert]:
    """Revisions that come of findings, one after the other."""
    made: list[Alert] = []
    before = start
    for number, found in enumerate(findings):
        told = after(before, found, RULES, NOW + timedelta(hours=number))
        if told is not None:
            made.append(told)
            before = told if told.open else None
    return made


def test_an_alarm_that_lasts_is_new_then_ongoing_then_ended() -> None:
    told = lived(finding(0), finding(1), finding(2), *(finding(day, alarm=False) for day in range(3, 10)))
    assert [alert.status for alert in told] == [AlertStatus.NEW, *[AlertStatus.ONGOING] * 2, AlertStatus.ENDED]
    assert {alert.alert_id for alert in told} == {"influenza.FR.2026-01-06"}
    assert [alert.revision for alert in told] == [1, 2, 3, 4]
    assert told[-1].period_end == DAY + timedelta(days=2) and not told[-1].open
    assert {alert.raised_at for alert in told} == {NOW}


def test_the_same_finding_twice_tells_nothing_twice() -> None:
    assert len(lived(finding(0), finding(0), finding(0, observed=30))) == 1
    told = lived(finding(0), finding(0, observed=35))
    assert [alert.status for alert in told] == [AlertStatus.NEW, AlertStatus.REVISED]


def test_a_day_without_an_alarm_is_no_end() -> None:
    told = lived(finding(0), finding(1, alarm=False), finding(2))
    assert [alert.status for alert in told] == [AlertStatus.NEW, AlertStatus.ONGOING]


def test_days_that_look_otherwise_now_are_told_once() -> None:
    told = lived(finding(0), finding(0, alarm=False, observed=20), finding(0, alarm=False, observed=20))
    assert [alert.status for alert in told] == [AlertStatus.NEW, AlertStatus.REVISED]
    assert told[-1].notes == (DOWN,) and told[-1].open and told[-1].observed == 20


def test_an_older_day_changes_nothing() -> None:
    assert len(lived(finding(3), finding(0))) == 1


def test_to_go_on_needs_less_than_to_begin() -> None:
    weak = replace(finding(0), alarm=False, lasts=True)
    assert lived(weak) == []
    assert len(lived(finding(0), replace(finding(1), alarm=False, lasts=True))) == 2


def test_a_series_that_cannot_be_judged_any_more_ends_after_a_while() -> None:
    unjudged = [finding(day, alarm=False, reason=Reason.INCOMPLETE) for day in range(1, 40)]
    told = lived(finding(0), *unjudged)
    assert [alert.status for alert in told] == [AlertStatus.NEW, AlertStatus.ENDED]
    assert told[-1].codes == ("SILENT",)
    few = lived(finding(0), *(finding(day, alarm=False, reason=Reason.TOO_FEW) for day in range(1, 8)))
    assert few[-1].status is AlertStatus.ENDED and few[-1].codes == ("CALM",)


def test_a_held_alarm_is_told_as_such_and_let_go_later() -> None:
    note = Note(Caveat.VERSION, "the coding changed", holds=True)
    told = lived(finding(0, notes=(note,)), finding(1))
    assert [alert.held for alert in told] == [True, False]
    assert told[0].notes == ("VERSION: the coding changed",)


def test_other_groups_are_told() -> None:
    (before,) = lived(finding(0))
    (told,) = lived(finding(1), start=replace(before, groups_version="2025-4+1"))
    assert told.codes == ("GROUPS",) and told.groups_version == RULES.groups.version


def test_what_presses_more_has_another_level() -> None:
    text = SMALL.replace("escalate:", "escalate:\n  - {kind: STATISTICAL, score: 1.4, to: 6, why: far}")
    made = rules(text)
    (alert,) = lived(finding(0))
    level, notes = escalated(alert, made, NOW)
    assert level == 6 and notes == ("ESCALATED: level 6, far",)
    level, notes = escalated(replace(alert, level=6, notes=notes), made, NOW + timedelta(hours=25))
    assert level == 9 and len(notes) == 2
    known = replace(alert, level=6, acknowledged_by="mt")
    assert escalated(known, made, NOW + timedelta(hours=25))[0] == 6
    assert escalated(replace(alert, held=True), made, NOW)[0] == alert.level


DAYS = st.lists(
    st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 60), st.sampled_from([None, Reason.TOO_FEW, Reason.GAPS])),
    max_size=60,
)  # fmt: skip


@given(DAYS)
def test_revisions_follow_one_another_whatever_is_found(steps: list[tuple[int, bool, int, Reason | None]]) -> None:
    day, before, seen = 0, None, dict[str, int]()
    for step, alarm, observed, reason in steps:
        day += step
        found = finding(day, alarm and reason is None, observed, reason)
        told = after(before, found, RULES, NOW)
        if told is None:
            continue
        assert told.revision == seen.get(told.alert_id, 0) + 1 or told.status is AlertStatus.NEW
        seen[told.alert_id] = told.revision
        assert told.open is (told.status is not AlertStatus.ENDED)
        assert after(told if told.open else None, found, RULES, NOW) is None or told.status is AlertStatus.ENDED
        before = told if told.open else None


def test_an_alert_is_read_as_it_was_written() -> None:
    (alert,) = lived(finding(0, certificates=("a", "b"), estimate=40.0, low=31.0, high=50.0))
    assert read_alert(alert_json(alert)) == read_alert(alert_record(alert)) == alert
    assert replace(alert, raised_at=datetime(2026, 1, 1, tzinfo=UTC)) != alert
