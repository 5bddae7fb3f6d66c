from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from stream.coding import Assertion, CodedCertificate, CodedStatus, Modality
from stream.database import prepare, writing
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind, case_id
from stream.surveillance.alerts.register import Choice, Register
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.single import Singles
from stream.surveillance.alerts.store import Mute
from stream.surveillance.alerts.tables import FORM, TABLES
from stream.surveillance.counts import Counts
from surveillance.alerts.made import (
    FLU,
    GROUPS,
    MEASLES,
    MENINGOCOCCAL,
    NOW,
    SMALL,
    coded,
    database,
    human,
    reads,
    rules,
)

RULES = rules()
SINGLES = Singles(RULES)


class World:
    """A database, and records folded into it."""

    def __init__(self, made: Rules | None = None) -> None:
        self.engine: Engine = database()
        prepare(self.engine, TABLES, service="alerts", version=FORM)
        self.counts = Counts(self.engine, GROUPS)
        self.singles = Singles(made) if made else SINGLES
        self.register = Register(self.engine, lambda: NOW, made or RULES)

    def fold(self, *records: CodedCertificate, now: datetime = NOW) -> list[Alert]:
        with writing(self.engine) as connection:
            self.counts.fold(connection, reads(records))
            return self.singles.fold(connection, reads(records), now)

    def open(self) -> dict[str, Alert]:
        return {alert.group: alert for alert in self.register.alerts(Choice(open=True))}


def test_one_death_is_enough_and_stands_unverified() -> None:
    world = World()
    (alert,) = world.fold(coded("c1", "J96.0", MEASLES, confidence=0.4))
    assert alert.alert_id == case_id("measles", "c1") and alert.certificates == ("c1",)
    assert (alert.kind, alert.status, alert.level, alert.verified) == (Kind.SINGLE_CASE, AlertStatus.NEW, 8, False)
    assert alert.place == "33" and str(alert.period_start) == "2026-01-19" and alert.by == "UNDERLYING"
    assert alert.notes == ("UNSURE: the code has a confidence of 40%",)
    assert world.fold(coded("c2", FLU)) == []


def test_a_mention_speaks_too() -> None:
    (alert,) = World().fold(coded("c1", MENINGOCOCCAL, "I46.9", underlying="I64"))
    assert alert.group == "meningococcal" and alert.by == "ANY" and alert.level == 9


def test_a_record_again_or_a_newer_one_alike_tells_nothing() -> None:
    world = World()
    first = coded("c1", MEASLES)
    assert len(world.fold(first)) == 1
    assert world.fold(first, first) == []
    assert world.fold(replace(first, revision=1, versions=replace(first.versions, rules="r2"))) == []


def test_a_person_confirms_it() -> None:
    world = World()
    first = coded("c1", MEASLES)
    world.fold(first)
    (alert,) = world.fold(human(first, MEASLES))
    assert alert.status is AlertStatus.REVISED and alert.verified and alert.open and alert.codes == ("CONFIRMED",)


def test_a_person_refutes_it_and_an_undo_brings_it_back() -> None:
    world = World()
    first = coded("c1", MEASLES)
    world.fold(first)
    decided = human(first, FLU)
    (alert,) = world.fold(decided)
    assert alert.status is AlertStatus.ENDED and not alert.open and alert.codes == ("REFUTED",) and alert.verified
    undone = replace(
        human(first, MEASLES, later=timedelta(hours=3)), status=CodedStatus.PROVISIONAL, revision=decided.revision + 1
    )
    (alert,) = world.fold(undone)
    assert alert.status is AlertStatus.NEW and alert.open and not alert.verified and alert.revision == 3


def test_a_void_withdraws_it() -> None:
    world = World()
    world.fold(coded("c1", MEASLES))
    (alert,) = world.fold(coded("c1", version=2, status=CodedStatus.WITHDRAWN))
    assert alert.codes == ("WITHDRAWN",) and not alert.open
    assert world.fold(coded("c1", MEASLES, version=1, revision=1)) == [], "an old version says nothing any more"


def test_a_newer_version_of_the_certificate_may_say_something_else() -> None:
    world = World()
    world.fold(coded("c1", MEASLES))
    told = world.fold(coded("c1", MENINGOCOCCAL, version=2))
    assert {(alert.group, alert.open) for alert in told} == {("measles", False), ("meningococcal", True)}


def test_a_late_record_of_an_old_version_raises_nothing() -> None:
    world = World()
    world.fold(coded("c1", FLU, version=2))
    assert world.fold(coded("c1", MEASLES)) == []


def test_both_in_one_batch() -> None:
    world = World()
    first = coded("c1", MEASLES)
    (alert,) = world.fold(first, human(first, MEASLES))
    assert alert.verified and alert.revision == 1


def test_what_is_told_of_the_past_says_so() -> None:
    (alert,) = World().fold(coded("c1", MEASLES, "I64", assertion=Assertion.HISTORY, underlying="I64"))
    assert alert.codes == ("HISTORY",)


def test_a_narrower_group_speaks_for_a_wider_one() -> None:
    told = World().fold(coded("c1", "O72.1"))
    assert [alert.group for alert in told] == ["obstetric_haemorrhage"]


def test_deaths_of_long_ago_raise_nothing() -> None:
    world = World()
    old = NOW - timedelta(days=100)
    assert world.fold(coded("c1", MEASLES, at=old)) == []
    assert len(world.fold(coded("c2", MEASLES, at=NOW - timedelta(days=10)))) == 1


def test_levels_of_the_rules_hold() -> None:
    made = rules(SMALL.replace("single: {least: 4,", "single: {least: 4, levels: {measles: 0, stroke: 5},"))
    world = World(made)
    told = world.fold(coded("c1", MEASLES), coded("c2", "I64"))
    assert [(alert.group, alert.level) for alert in told] == [("stroke", 5)]


def test_a_muted_case_is_found_and_says_so() -> None:
    world = World()
    world.register.mute(Mute("mt", "cluster known", group="measles", place="33"))
    (alert,) = world.fold(coded("c1", MEASLES))
    assert alert.muted == "mt: cluster known"


def test_place_and_day_where_the_certificate_tells_none() -> None:
    (alert,) = World().fold(replace(coded("c1", MEASLES, department=None), death_date=None))
    assert alert.place == "FR" and str(alert.period_start) == "2026-01-20"


HISTORY: Sequence[CodedCertificate] = (
    coded("c1", MEASLES),
    coded("c1", MEASLES, revision=1, at=NOW + timedelta(minutes=5)),
    human(coded("c1", MEASLES), FLU),
    coded("c1", MENINGOCOCCAL, version=2, at=NOW + timedelta(hours=3)),
    human(coded("c1", MENINGOCOCCAL, version=2, at=NOW + timedelta(hours=3)), MENINGOCOCCAL),
)


@settings(deadline=None)
@given(st.permutations(range(5)), st.sets(st.integers(1, 4)))
def test_any_order_and_any_batches_end_alike(order: list[int], cuts: set[int]) -> None:
    world = World()
    ends = [0, *sorted(cuts), 5]
    for first, last in itertools.pairwise(ends):
        world.fold(*(HISTORY[i] for i in order[first:last]))
    found = world.open()
    assert set(found) == {"meningococcal"} and found["meningococcal"].verified
    for alert in world.register.alerts():
        history = world.register.history(alert.alert_id)
        assert [known.revision for known in history] == list(range(1, len(history) + 1))


def test_modality_alone_confirms_nothing() -> None:
    world = World()
    (alert,) = world.fold(replace(coded("c1", MEASLES), modality=Modality.HUMAN))
    assert not alert.verified
