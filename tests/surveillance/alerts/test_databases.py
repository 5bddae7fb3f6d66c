"""The life of alerts on either database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from stream.database import writing
from stream.surveillance.alerts.alert import AlertStatus
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.publisher import MemoryTopic, Publisher
from stream.surveillance.alerts.register import Choice, Register
from stream.surveillance.alerts.sinks import NotTaken
from stream.surveillance.alerts.store import Mute
from stream.surveillance.counts import Counts
from surveillance.alerts.made import FLU, GROUPS, MEASLES, NOW, coded, history, human, reads, rules
from surveillance.alerts.test_judging import BEGIN, END, OLD, outbreak, usual

RULES = rules()


async def test_a_life(engine: Engine) -> None:
    moment = NOW

    def clock() -> object:
        return moment

    counts = Counts(engine, GROUPS)
    keeper, register = Keeper(engine, counts, RULES, clock), Register(engine, clock, RULES)  # type: ignore[arg-type]
    topic = MemoryTopic()
    publisher = Publisher(engine, topic, topic.reader)
    await publisher.begin()
    first = coded("c1", MEASLES)
    for batch in ([first, coded("c2", FLU)], [first], [human(first, MEASLES)]):
        with writing(engine) as connection:
            keeper.fold(connection, reads(batch))
    assert await publisher.publish() == 2
    assert [a.status for a in topic.written] == [AlertStatus.NEW, AlertStatus.REVISED]
    assert keeper.feed(["duty"]) == 2 and keeper.feed(["duty"]) == 0
    for occasion, fault in (("RAISED", None), ("VERIFIED", NotTaken("HTTP 503"))):
        messages = keeper.claim("duty", 5)
        assert [message.occasion for message in messages] == [occasion]
        keeper.settle(messages, fault)
    assert keeper.claim("duty", 5) == []
    moment = NOW + timedelta(minutes=1)
    assert [message.attempt for message in keeper.claim("duty", 5)] == [2]
    number = register.mute(Mute("mt", "known", place="33"))
    (case,) = register.alerts(Choice(muted=True))
    assert register.acknowledge(case.alert_id, "mt", "seen").acknowledged_by == "mt"
    register.unmute(number, "mt", "over")
    assert keeper.sweep() == 0
    moment = NOW + timedelta(days=61)
    assert keeper.sweep() == 1 and not register.alerts(Choice(open=True))
    assert [a.revision for a in register.history(case.alert_id)] == [1, 2, 3, 4, 5, 6]
    assert await publisher.publish() == 4 and await publisher.publish() == 0
    keeper.tell()
    assert [act.what for act in register.acts()] == ["mute", "acknowledge", "unmute"]


def test_detection(engine: Engine) -> None:
    counts = Counts(engine, GROUPS)
    history(engine, 4, OLD, BEGIN - timedelta(days=1))
    with writing(engine) as connection:
        counts.fold(connection, reads(usual() + outbreak()))
    run = Keeper(engine, counts, RULES, lambda: NOW).detect(END)
    assert run is not None and run.alarms >= 2
    register = Register(engine, rules=RULES)
    assert {"influenza.FR", "influenza.R-75"} <= {a.alert_id.rpartition(".")[0] for a in register.alerts()}
    assert register.runs()[0].day == END
