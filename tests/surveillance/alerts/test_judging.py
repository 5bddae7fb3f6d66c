from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from stream.certificate import Source
from stream.coding import CodedCertificate
from stream.surveillance.alerts.alert import AlertStatus
from stream.surveillance.alerts.finding import Finding
from stream.surveillance.alerts.judging import Detection, examine, foreseen, whole_weeks
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.register import Choice, Register
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.counts import Counts
from stream.surveillance.detection.series import Series, Step
from surveillance.alerts.made import FLU, STROKE, coded, database, days, deaths, folded, history, rules

RULES = rules()
OLD, BEGIN, OUTBREAK, END = date(2019, 1, 1), date(2025, 10, 1), date(2026, 1, 11), date(2026, 1, 19)
NOON = datetime(2026, 1, 19, 12, tzinfo=UTC)
QUIET = days(BEGIN, OUTBREAK - timedelta(days=1))


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = database()
    Counts(engine, RULES.groups)
    history(engine, 4, OLD, BEGIN - timedelta(days=1))
    yield engine
    engine.dispose()


def usual() -> list[CodedCertificate]:
    return deaths(QUIET, 5, FLU, name="f") + deaths(days(BEGIN, END), 35, STROKE, seed=3, name="s")


def outbreak(**values: object) -> list[CodedCertificate]:
    return deaths(days(OUTBREAK, END), 14, FLU, seed=5, name="o", **values)  # type: ignore[arg-type]


def found(counts: Counts, day: date = END, made: Rules = RULES) -> dict[str, Finding]:
    return {f.watch.name: f for section in Detection(counts, made, day).findings() for f in section}


def test_an_outbreak_is_found_while_most_of_its_certificates_are_still_to_come(engine: Engine) -> None:
    counts = folded(engine, usual() + outbreak())
    told = [found(counts, OUTBREAK + timedelta(days=k))["influenza.FR"] for k in range(-2, 6)]
    assert [f.alarm for f in told[:2]] == [False, False]
    first = next(f for f in told if f.alarm)
    assert first.period.last <= OUTBREAK + timedelta(days=3)
    assert first.method == "noufaily" and not first.notes and first.certificates and first.adjusted is not None
    died = [one[2:12] for one in first.certificates]  # the id names the day
    assert died == sorted(died) and died[0] == str(first.period.first)
    assert first.completeness < 0.85 and first.estimate is not None and first.low is not None and first.high is not None
    assert first.low <= first.estimate <= first.high
    assert first.verdict.observed is not None and first.low >= first.verdict.observed


def test_what_was_not_known_yet_plays_no_part(engine: Engine) -> None:
    """The same day judged later, when more has come, is judged alike."""
    day = OUTBREAK + timedelta(days=4)
    everything = usual() + outbreak()
    then = found(folded(engine, everything, until=day), day)
    now = found(folded(engine, everything), day)
    assert {name: f.verdict for name, f in then.items()} == {name: f.verdict for name, f in now.items()}


def test_a_series_without_a_past_is_judged_by_the_other_method() -> None:
    counts = folded(database(), usual() + outbreak())
    told = found(counts)["influenza.FR"]
    assert told.method == "C2" and told.alarm


def test_small_numbers_raise_nothing(engine: Engine) -> None:
    counts = folded(engine, usual())
    assert not found(counts)["sepsis.FR"].alarm
    four = [coded(f"four-{k}", "A41.9", at=NOON, received=NOON, died=END) for k in range(4)]
    sepsis = found(folded(engine, four))["sepsis.FR"]
    assert sepsis.verdict.observed == 4 and not sepsis.alarm and not sepsis.lasts


def test_an_electronic_share_that_leaps_is_no_epidemic(engine: Engine) -> None:
    """Two thirds come on paper, weeks later; then most of a place's doctors go electronic within a week."""
    paper = [
        *deaths(QUIET, 3.4, FLU, seed=21, name="p", delay=3, source=Source.PAPER),
        *deaths(QUIET, 27, STROKE, seed=22, name="q", delay=3, source=Source.PAPER),
        *deaths(QUIET, 1.6, FLU, seed=23, name="e"), *deaths(QUIET, 13, STROKE, seed=24, name="g"),
    ]  # fmt: skip
    more = [
        *deaths(days(OUTBREAK, END), 9, FLU, seed=25, name="h"), *deaths(days(OUTBREAK, END), 70, STROKE, seed=26, name="i"),
        *deaths(days(OUTBREAK, END), 1, FLU, seed=27, name="j", source=Source.PAPER),
    ]  # fmt: skip
    told = found(folded(engine, paper + more))
    for name in ("all_causes.FR", "influenza.FR"):
        assert told[name].lasts and told[name].held, name
        assert any(str(note).startswith("COVERAGE: the electronic share leapt") for note in told[name].notes)


def test_an_outbreak_stands_in_spite_of_a_leap(engine: Engine) -> None:
    half = [
        *deaths(QUIET, 2.5, FLU, seed=21, name="p", source=Source.PAPER), *deaths(QUIET, 2.5, FLU, seed=23, name="e"),
        *deaths(days(BEGIN, END), 20, STROKE, seed=24, name="g"), *deaths(days(OUTBREAK, END), 10, STROKE, seed=29, name="i"),
        *deaths(QUIET, 20, STROKE, seed=28, name="q", source=Source.PAPER),
        *deaths(days(OUTBREAK, END), 45, FLU, seed=25, name="h"),
    ]  # fmt: skip
    flu = found(folded(engine, half))["influenza.FR"]
    assert flu.alarm and not flu.held and [note.caveat for note in flu.notes] == ["COVERAGE"]


def test_an_alarm_after_a_change_of_the_coding_is_held_for_a_while(engine: Engine) -> None:
    counts = folded(engine, usual() + outbreak(versions="2"))
    flu = found(counts)["influenza.FR"]
    # Strokes go on under the old versions: most of all deaths decide, so that nothing has changed yet.
    assert flu.alarm and not flu.held
    engine = database()
    Counts(engine, RULES.groups)
    history(engine, 4, OLD, BEGIN - timedelta(days=1))
    before = deaths(QUIET, 5, FLU, name="f") + deaths(QUIET, 35, STROKE, seed=3, name="s")
    after = outbreak(versions="2") + deaths(days(OUTBREAK, END), 30, STROKE, seed=31, name="t", versions="2")
    flu = found(folded(engine, before + after))["influenza.FR"]
    assert (
        flu.alarm
        and flu.held
        and str(flu.notes[0]).startswith("VERSION: the coding changed in coder and rules and lexicon")
    )
    assert "coder coder-2" in flu.versions


def test_false_alarms_of_many_series_are_controlled(engine: Engine) -> None:
    # Alone it is an alarm; among many quiet series it is one that chance would bring.
    counts = folded(engine, usual() + deaths(days(END - timedelta(days=2), END), 9, FLU, seed=5, name="o", delay=0))
    alone = rules(RULES_OF.format(groups="influenza", places="FR"))
    crowd = rules(RULES_OF.format(groups='"family:circulatory", influenza', places="FR, regions"))
    a, b = found(counts, made=alone)["influenza.FR"], found(counts, made=crowd)["influenza.FR"]
    assert a.p_value == b.p_value and a.adjusted is not None and b.adjusted is not None
    assert a.adjusted <= b.adjusted
    assert a.alarm or not b.alarm


RULES_OF = """
version: "2026-1"
method: {{name: noufaily, options: {{alpha: 0.05, leastYears: 3}}}}
series:
  - {{name: flu, groups: [{groups}], places: [{places}]}}
"""


def test_a_chart_has_a_verdict_for_each_week(engine: Engine) -> None:
    counts = folded(engine, usual() + outbreak())
    look = examine(counts, RULES.watch("influenza", "FR"), RULES, END, weeks=52)
    assert len(look.verdicts) == 52 and look.weeks.day(len(look.weeks) - 1) == look.period.first
    assert look.period.last == END and look.verdicts[-1].day == look.period.first
    assert look.nowcasts[-1].day == END and 0 < look.nowcasts[-1].share < 1


def test_nothing_is_judged_where_nobody_died() -> None:
    counts = folded(database(), [])
    assert list(Detection(counts, RULES, END).findings()) == []
    assert Keeper(database(), folded(database(), []), RULES).day() is None


def test_weeks_end_with_the_newest_day() -> None:
    for length in range(7, 22):
        weeks = whole_weeks(Series(date(2026, 1, 1), (1.0,) * length, Step.DAY))
        assert weeks.day(len(weeks)) == date(2026, 1, 1) + timedelta(days=length)
        assert len(weeks) == length // 7


def test_what_is_foreseen_lies_above_what_is_here() -> None:
    assert foreseen(None, 0.5, 0) == (None, None, None) and foreseen(3, 0, 0) == (None, None, None)
    assert foreseen(10, 1.0, 0.0) == (10, 10, 10)
    estimate, low, high = foreseen(10, 0.5, 0.1)
    assert estimate == 20 and low is not None and high is not None and 10 <= low < 20 < high


def test_runs_keep_alerts_and_tell_nothing_twice(engine: Engine) -> None:
    counts = folded(engine, usual() + outbreak())
    register = Register(engine, rules=RULES)
    for day in days(OUTBREAK, END):
        now = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(days=1)
        keeper = Keeper(engine, counts, RULES, lambda now=now: now)  # type: ignore[misc]
        run = keeper.detect()
        assert run is not None and run.day == day
        again = keeper.detect()
        assert again is not None and again.revisions == 0
    flu = [alert for alert in register.alerts(Choice(open=True)) if alert.group == "influenza"]
    assert {alert.place for alert in flu} == {"FR", "R-75"}
    for alert in flu:
        told = register.history(alert.alert_id)
        assert [known.status for known in told] == [AlertStatus.NEW, *[AlertStatus.ONGOING] * (len(told) - 1)]
        assert alert.period_end == END
    assert len(register.runs(100)) == 2 * len(days(OUTBREAK, END))


def test_alerts_of_series_that_the_rules_drop_are_ended(engine: Engine) -> None:
    counts = folded(engine, usual() + outbreak())
    now = datetime(2026, 1, 20, 6, tzinfo=UTC)
    Keeper(engine, counts, RULES, lambda: now).detect()
    other = rules(RULES_OF.format(groups="stroke", places="FR"))
    Keeper(engine, counts, other, lambda: now).detect()
    register = Register(engine, rules=other)
    assert register.alerts(Choice(open=True)) == ()
    assert {alert.codes[-1] for alert in register.alerts()} == {"UNWATCHED"}
