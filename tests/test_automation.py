from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from stream.automation import ALL, STRICTNESS, MemoryChanges, MemoryTopic, Trust, fold, stricter
from stream.cli.automation import check, show
from stream.coding import Automation, AutomationChange, change_record, read_change
from stream.errors import BrokerUnavailable, InvalidSettings
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY
from stream.wire import Wire

START = datetime(2026, 1, 1, tzinfo=UTC)
NORMAL, STRICT, HALTED = Automation.NORMAL, Automation.STRICT, Automation.HALTED
SCOPES = ["rest", "external", ALL]


def change(scope: str, automation: Automation, who: str = "", hour: int = 0) -> AutomationChange:
    return AutomationChange(scope, automation, "why", who, "2026-2+0", START + timedelta(hours=hour))


CHANGES = st.lists(
    st.builds(change, st.sampled_from(SCOPES), st.sampled_from(Automation), st.sampled_from(["", "p1", "p2"]),
              st.integers(0, 3)), max_size=12,
)  # fmt: skip


@given(CHANGES)
def test_reading_all_of_it_again_changes_nothing(changes: list[AutomationChange]) -> None:
    assert fold([*changes, *changes]) == fold(changes)
    assert fold([one for one in changes for _ in range(2)]) == fold(changes)


@given(CHANGES, st.sampled_from(SCOPES), st.sampled_from(Automation))
def test_an_alarm_never_raises_and_a_person_always_decides(
    changes: list[AutomationChange], scope: str, automation: Automation
) -> None:
    before = fold(changes)
    alarmed, decided = before.after(change(scope, automation)), before.after(change(scope, automation, "p1", 9))
    for stratum in SCOPES:
        assert STRICTNESS[alarmed.of(stratum)] >= STRICTNESS[before.of(stratum)]
    assert alarmed.own(scope) is stricter(before.own(scope), automation)
    assert decided.own(scope) is automation


@given(CHANGES)
def test_a_stratum_has_the_stricter_of_its_own_and_of_what_is_set_for_all(changes: list[AutomationChange]) -> None:
    trust = fold(changes)
    for stratum, found in trust.over(["rest", "external", "new"]).items():
        assert found is stricter(trust.own(stratum), trust.own(ALL))
    assert trust.of("new") is trust.own(ALL)


@given(CHANGES)
def test_what_holds_was_set_by_the_last_person_or_an_alarm_behind(changes: list[AutomationChange]) -> None:
    for scope in SCOPES:
        mine = [c for c in changes if c.scope == scope]
        last = max((i for i, c in enumerate(mine) if c.who), default=-1)
        alarms = [c.automation for c in mine[last + 1 :]]
        person = mine[last].automation if last >= 0 else NORMAL
        assert fold(changes).own(scope) is max([person, *alarms], key=STRICTNESS.__getitem__)


def test_the_change_that_holds_is_the_one_that_set_it() -> None:
    first, again, stray = change("rest", STRICT), change("rest", STRICT, hour=1), change("rest", NORMAL, hour=2)
    trust = fold([first, again, stray])
    assert trust.held == {"rest": first}
    assert trust.after(again) is trust
    assert trust.since("rest") == START and trust.since("external") is None
    assert fold([first, change(ALL, HALTED, "p1", 5)]).since("rest") == START + timedelta(hours=5)
    assert Trust().of("rest") is NORMAL


@given(st.sampled_from(Automation), st.text(max_size=20), st.text(max_size=5))
def test_a_change_survives_the_wire(automation: Automation, why: str, who: str) -> None:
    wire = Wire(LocalRegistry(REPOSITORY / "schemas"))
    one = replace(change("rest", automation, who), why=why)
    assert read_change(wire.decode("automation", wire.encode("automation", change_record(one)))) == one


async def test_the_twin_reads_all_then_what_comes() -> None:
    topic = MemoryTopic([change("rest", STRICT)])
    one, other = MemoryChanges(topic), MemoryChanges(topic)
    assert await one.read() == topic.records
    assert await one.more() == []
    await topic.announce(change("rest", HALTED))
    assert await one.more() == topic.records[1:]
    assert await other.read() == topic.records
    topic.failures = 2
    with pytest.raises(BrokerUnavailable):
        await topic.announce(change("rest", STRICT))
    with pytest.raises(BrokerUnavailable):
        await one.more()
    await one.close()
    assert await one.read() == topic.records


# The command

STRATA = ["external", "rest"]
HELD = fold([change("rest", STRICT), change("external", HALTED, "p1"), change("gone", STRICT)])


@pytest.mark.parametrize(
    ("scope", "automation", "lower"),
    [
        ("rest", HALTED, True), ("rest", NORMAL, False), ("external", NORMAL, False), ("external", STRICT, False),
        (ALL, STRICT, True), ("gone", NORMAL, False),
    ],
)  # fmt: skip
def test_lowering_lowers_and_restoring_restores(scope: str, automation: Automation, lower: bool) -> None:
    check(HELD, STRATA, scope, automation, lower=lower)


@pytest.mark.parametrize(
    ("scope", "automation", "lower", "message", "hint"),
    [
        ("nowhere", HALTED, True, "nowhere is no stratum of the policy", "*, external, rest, gone"),
        ("external", STRICT, True, "external is HALTED", "causa automation restore 'external' --to STRICT"),
        ("rest", STRICT, True, "rest is STRICT already", ""),
        (ALL, NORMAL, False, "* is NORMAL already", ""),
        (ALL, STRICT, False, "* is NORMAL", "causa automation lower '*' --to STRICT"),
    ],
)
def test_what_goes_the_other_way_is_refused(
    scope: str, automation: Automation, lower: bool, message: str, hint: str
) -> None:
    with pytest.raises(InvalidSettings) as refused:
        check(HELD, STRATA, scope, automation, lower=lower)
    assert (refused.value.message, refused.value.hint) == (message, hint)


def test_what_is_set_for_all_is_restored_as_such() -> None:
    with pytest.raises(InvalidSettings) as refused:
        check(fold([change(ALL, HALTED, "p1")]), STRATA, "rest", NORMAL, lower=False)
    assert refused.value.hint == "what is set for all is HALTED: causa automation restore '*'"


def test_the_table_shows_each_scope_and_takes_a_persons_words_as_they_are() -> None:
    out = io.StringIO()
    words = replace(change("rest", STRICT, "p1"), why="[red]new\x1b words")
    show(HELD.after(words), STRATA, Console(file=out, width=160, color_system=None))
    rows = [line.split() for line in out.getvalue().splitlines() if line.strip()]
    assert [row[0] for row in rows] == ["scope", "─" * len(rows[1][0]), "all", "external", "rest", "gone"]
    assert rows[4][1:] == ["STRICT", "STRICT", "2026-01-01", "00:00", "UTC", "p1", "[red]new", "words"]
    assert "gone (not in the policy)" in out.getvalue() and "alarm" in out.getvalue()
