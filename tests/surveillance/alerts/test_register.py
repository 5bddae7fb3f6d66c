from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine

from stream.database import writing
from stream.errors import InvalidSettings
from stream.surveillance.alerts import store
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.register import Choice, Register
from stream.surveillance.alerts.store import Mute, Standing
from stream.surveillance.counts import Counts
from surveillance.alerts.made import GROUPS, NOW, SMALL, database, rules

RULES = rules()


class Clock:
    """A clock that a test turns."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = database()
    yield engine
    engine.dispose()


@pytest.fixture
def register(engine: Engine, clock: Clock) -> Register:
    return Register(engine, clock, RULES)


def alert(name: str = "influenza.FR.2026-01-05", **values: object) -> Alert:
    group, place, first = (*name.split("."), "")[:3]
    day = date.fromisoformat(first) if first[:2] == "20" else NOW.date()
    given = {"level": 4, "groups_version": "g", "updated_at": NOW} | values
    return Alert(name, AlertStatus.NEW, group, place, day, day, 30, 15, 24, 1.5, 0.9, "noufaily", "1", NOW, **given)  # type: ignore[arg-type]


def put(engine: Engine, *alerts: Alert, now: datetime = NOW) -> None:
    with writing(engine) as connection:
        store.write(connection, alerts, Standing.of(connection, RULES, now))


def test_what_is_chosen(register: Register, engine: Engine) -> None:
    put(engine, alert(), alert("sepsis.R-75.2026-01-05", level=6), alert("stroke.33.2026-01-05", open=False, held=True))
    assert len(register.alerts()) == 3 and len(register.alerts(Choice(limit=2))) == 2
    assert {a.group for a in register.alerts(Choice(open=True))} == {"influenza", "sepsis"}
    assert {a.group for a in register.alerts(Choice(held=True))} == {"stroke"}
    assert [a.group for a in register.alerts(Choice(place="R-75", level=5, kind=Kind.STATISTICAL))] == ["sepsis"]
    assert register.alerts(Choice(kind=Kind.SINGLE_CASE)) == register.alerts(Choice(group="cancer")) == ()
    assert (
        register.alerts(Choice(since=date(2026, 1, 21))) == () and len(register.alerts(Choice(since=NOW.date()))) == 3
    )


def test_an_alert_is_acknowledged(register: Register, engine: Engine) -> None:
    put(engine, alert())
    told = register.acknowledge("influenza.FR.2026-01-05", " mt ", "called\nthe ward")
    assert (told.acknowledged_by, told.acknowledged_why, told.revision, told.status) == (
        "mt", "called the ward", 2, AlertStatus.REVISED,
    )  # fmt: skip
    assert register.alert(told.alert_id) == told and [a.revision for a in register.history(told.alert_id)] == [1, 2]
    (act,) = register.acts(told.alert_id)
    assert (act.what, act.who, act.why, act.revision, act.at) == ("acknowledge", "mt", "called the ward", 2, NOW)


def test_an_alert_presses_as_a_person_says(register: Register, engine: Engine) -> None:
    put(engine, alert())
    assert register.escalate("influenza.FR.2026-01-05", 8, "mt", "a school").level == 8
    assert register.escalate("influenza.FR.2026-01-05", 2, "mt", "no").level == 2
    with pytest.raises(InvalidSettings):
        register.escalate("influenza.FR.2026-01-05", 10, "mt", "x")
    found = register.alert("influenza.FR.2026-01-05")
    assert found is not None and found.notes == ("LEVEL: 2, set by mt: no",)


def test_rules_leave_a_level_alone_that_a_person_set(register: Register, engine: Engine, clock: Clock) -> None:
    put(engine, alert(level=7))
    register.escalate("influenza.FR.2026-01-05", 6, "mt", "known")
    clock.now = NOW + timedelta(days=3)
    assert Keeper(engine, Counts(engine, GROUPS), RULES, clock).sweep() == 0


def test_what_is_over_stays_over(register: Register, engine: Engine) -> None:
    put(engine, alert(open=False))
    told = register.acknowledge("influenza.FR.2026-01-05", "mt", "seen")
    assert told.status is AlertStatus.ENDED and not told.open


@pytest.mark.parametrize(("who", "why"), [("", "x"), ("x", " "), ("x" * 81, "y"), ("x", "y" * 301)])
def test_who_and_why_are_asked_for(register: Register, engine: Engine, who: str, why: str) -> None:
    put(engine, alert())
    with pytest.raises(InvalidSettings):
        register.acknowledge("influenza.FR.2026-01-05", who, why)
    assert register.acts() == ()


def test_what_is_not_there_is_told(register: Register) -> None:
    for doing in (
        lambda: register.acknowledge("none", "mt", "x"),
        lambda: register.mute(Mute("mt", "x", alert_id="none")),
        lambda: register.mute(Mute("mt", "x", group="none")),
        lambda: register.mute(Mute("mt", "x", place="R-00")),
        lambda: register.mute(Mute("mt", "x")),
        lambda: register.mute(Mute("mt", "x", group="influenza", until=NOW.date() - timedelta(days=1))),
        lambda: register.unmute(3, "mt", "x"),
    ):
        with pytest.raises(InvalidSettings):
            doing()
    assert register.alert("none") is None and register.history("none") == ()


def test_a_mute_bears_on_what_is_there_and_what_comes(register: Register, engine: Engine, clock: Clock) -> None:
    put(engine, alert(), alert("sepsis.FR.2026-01-05"))
    number = register.mute(Mute("mt", "known wave", group="influenza", until=date(2026, 1, 21)))
    put(engine, alert("influenza.R-75.2026-01-05"))
    muted = {a.alert_id: a.muted for a in register.alerts()}
    assert muted == {
        "influenza.FR.2026-01-05": "mt until 2026-01-21: known wave", "sepsis.FR.2026-01-05": "",
        "influenza.R-75.2026-01-05": "mt until 2026-01-21: known wave",
    }  # fmt: skip
    assert [m.number for m in register.mutes()] == [number]
    register.unmute(number, "mt", "over")
    assert not any(a.muted for a in register.alerts()) and register.mutes() == ()
    with pytest.raises(InvalidSettings):
        register.unmute(number, "mt", "again")
    assert [act.what for act in register.acts("influenza.FR.2026-01-05")] == ["mute", "unmute"]


def test_time_ends_mutes_raises_levels_and_closes_cases(engine: Engine, clock: Clock) -> None:
    register, keeper = Register(engine, clock, RULES), Keeper(engine, Counts(engine, GROUPS), RULES, clock)
    put(engine, alert(level=6), alert("measles.case-1", kind=Kind.SINGLE_CASE, certificates=("c",), level=4))
    register.mute(Mute("mt", "x", group="influenza", until=NOW.date()))
    assert keeper.sweep() == 0
    clock.now = NOW + timedelta(days=1, hours=1)
    assert keeper.sweep() == 1
    wave = register.alert("influenza.FR.2026-01-05")
    assert wave is not None and not wave.muted and wave.level == 9 and wave.codes == ("ESCALATED",)
    assert keeper.sweep() == 0
    clock.now = NOW + timedelta(days=60)
    keeper.sweep()
    case = register.alert("measles.case-1")
    assert case is not None and not case.open and case.codes == ("CLOSED",)


def test_rules_mute_too(engine: Engine, clock: Clock) -> None:
    made = rules(SMALL + 'mute: [{groups: [influenza], until: 2026-01-31, why: "every winter"}]\n')
    register = Register(engine, clock, made)
    with writing(engine) as connection:
        (told,) = store.write(connection, [alert()], Standing.of(connection, made, NOW))
    assert told.muted == "the rules until 2026-01-31: every winter" and register.alert(told.alert_id) == told
