"""Every decision reaches its topic once, in order, whatever is killed when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared import LONG
from sqlalchemy import Engine

from desk.deciding import ENDED
from desk.office import ALL, ANNE, Clock, Office, draft, memory
from stream.coding import DecisionKind
from stream.database import open_database
from stream.desk.outbox import LEASE, MemoryTopic, Sender
from stream.desk.records import correction_of
from stream.desk.tables import DECISIONS, LEASES, OUTBOX, TASKS
from stream.errors import BrokerUnavailable
from stream.services import Database

HERE = Path(__file__).resolve().parent


def decided(office: Office, number: int) -> None:
    """Certificates decided, every third one undone and decided again."""
    for index in range(number):
        name = f"c{index}"
        office.open(name)
        office.clock.pass_(1)
        done = office.desk.decide(ANNE, office.desk.take(ANNE, name).claim_id, draft("I21.9"))
        if index % 3 == 0:
            undone = office.desk.undo(ANNE, done.decision_id, "SLIP")
            assert undone.claim is not None
            office.desk.decide(ANNE, undone.claim.claim_id, draft("C25.9", reason="OTHER"))


def waiting(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(OUTBOX.c.decision_id).order_by(OUTBOX.c.number)).scalars())


async def test_what_was_decided_is_sent_in_order(office: Office) -> None:
    decided(office, 4)
    ids, topic = waiting(office.desk.engine), MemoryTopic()
    assert len(ids) == 8
    assert not [one for one in office.desk.recent(ANNE) if one.sent]
    sender = Sender(office.desk.context, topic, topic.reader)
    await sender.begin()
    assert await sender.send() == 8
    assert await sender.send() == 0
    assert [made.decision_id for made in topic.written] == ids
    assert all(one.sent for one in office.desk.recent(ANNE))
    kinds = [made.kind for made in topic.written if made.certificate_id == "c0"]
    assert kinds == [DecisionKind.FIRST, DecisionKind.UNDO, DecisionKind.FIRST]


@given(st.lists(st.sampled_from(["", "lost", "late"]), max_size=8), st.integers(1, 6))
@settings(max_examples=60 if LONG else 15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_fault_of_the_broker_loses_or_doubles(
    tmp_path_factory: pytest.TempPathFactory, faults: list[str], number: int
) -> None:
    office, topic = Office(memory(), tmp_path_factory.getbasetemp()), MemoryTopic()
    decided(office, number)
    ids = waiting(office.desk.engine)
    topic.faults = list(faults)

    async def run() -> None:
        while waiting(office.desk.engine):
            sender = Sender(office.desk.context, topic, topic.reader)
            with contextlib.suppress(BrokerUnavailable):
                await sender.begin()
                while await sender.send():
                    pass

    asyncio.run(run())
    assert [made.decision_id for made in topic.written] == ids


async def test_who_was_killed_before_his_note_had_sent_it(office: Office) -> None:
    """The topic has it, and the desk has read it or not: the next sender finds it, in either case."""
    decided(office, 2)
    topic = MemoryTopic()
    with office.desk.engine.connect() as connection:
        bodies = connection.execute(
            sa.select(DECISIONS.c.body).join(OUTBOX, OUTBOX.c.decision_id == DECISIONS.c.decision_id)
            .order_by(OUTBOX.c.number)
        ).scalars().all()  # fmt: skip
    made = [correction_of(body) for body in bodies]
    topic.written += made[:2]
    office.put(made[0])
    sender = Sender(office.desk.context, topic, topic.reader)
    await sender.begin()
    await sender.send()
    assert topic.written == made


async def test_one_of_two_desks_sends(database: Callable[[], Engine], tmp_path: Path) -> None:
    clock = Clock()
    offices = [Office(database(), tmp_path, clock=clock) for _ in range(2)]
    decided(offices[0], 2)
    topics = [MemoryTopic(), MemoryTopic()]
    senders = [
        Sender(one.desk.context, topic, topic.reader) for one, topic in zip(offices, topics, strict=True)
    ]  # fmt: skip
    assert await asyncio.to_thread(senders[0]._held)
    assert not await asyncio.to_thread(senders[1]._held)
    clock.pass_(LEASE.total_seconds() + 1)
    assert await asyncio.to_thread(senders[1]._held), "the first was killed: its lease ran out"
    assert not await asyncio.to_thread(senders[0]._held)
    await asyncio.to_thread(senders[1]._give_up)
    assert await asyncio.to_thread(senders[0]._held), "who stops hands it over at once"


async def test_who_begins_slowly_keeps_his_lease(
    database: Callable[[], Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fencing may wait for a transaction of the sender before: no other desk takes over meanwhile."""
    clock = Clock()
    offices = [Office(database(), tmp_path, clock=clock) for _ in range(2)]
    decided(offices[0], 2)
    third = LEASE.total_seconds() / 3
    monkeypatch.setattr("stream.desk.outbox.KEEP_S", 0.001, raising=False)
    taken: list[bool] = []

    class Slow(MemoryTopic):
        async def begin(self) -> None:
            for _ in range(6):
                clock.pass_(third)
                for _ in range(200):
                    if clock.now + LEASE / 2 < expires():
                        break
                    await asyncio.sleep(0.005)
            taken.append(await asyncio.to_thread(other._held))

    def expires() -> Any:
        with offices[0].desk.engine.connect() as connection:
            return connection.execute(sa.select(LEASES.c.expires_at).where(LEASES.c.name == "sender")).scalar_one()

    topic = Slow()
    sender = Sender(offices[0].desk.context, topic, topic.reader)
    other = Sender(offices[1].desk.context, MemoryTopic(), topic.reader)
    running = asyncio.create_task(sender.run())
    for _ in range(400):
        await asyncio.sleep(0.02)
        if taken and not await asyncio.to_thread(waiting, offices[0].desk.engine):
            break
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert taken == [False]
    assert len(topic.written) == 4


async def test_it_goes_on_by_itself(office: Office) -> None:
    topic = MemoryTopic()
    topic.faults = ["lost", "late"]
    sender = Sender(office.desk.context, topic, topic.reader)
    running = asyncio.create_task(sender.run())
    await asyncio.to_thread(decided, office, 3)
    for _ in range(400):
        await asyncio.sleep(0.05)
        if not await asyncio.to_thread(waiting, office.desk.engine):
            break
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len({made.decision_id for made in topic.written}) == len(topic.written) == 5


def test_a_killed_desk_has_decided_all_or_nothing(tmp_path: Path) -> None:
    """A process that decides is killed at any moment: what it told stands with its outbox row, the rest is open."""
    url = f"sqlite:///{tmp_path}/desk.sqlite"
    office = Office(open_database(Database(url=url), tmp_path), tmp_path)
    names = [f"c{number}" for number in range(120)]
    for name in names:
        office.open(name)
    told: list[str] = []
    with subprocess.Popen(
        [sys.executable, str(HERE / "deciding.py"), url, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE.parent.parent}"},
    ) as parent:  # fmt: skip
        assert parent.stdin is not None and parent.stdout is not None
        for kill in range(4):
            parent.stdin.write("\n")
            parent.stdin.flush()
            child = int(parent.stdout.readline())
            told += [parent.stdout.readline().strip() for _ in range(5 + 3 * kill)]
            time.sleep(0.003 * kill)
            os.kill(child, signal.SIGKILL)
            while (line := parent.stdout.readline().strip()) != ENDED:
                told.append(line)
        parent.stdin.close()
    engine = office.desk.engine
    with engine.connect() as connection:
        made = connection.execute(sa.select(DECISIONS.c.decision_id, DECISIONS.c.certificate_id)).all()
        stages = dict(connection.execute(sa.select(TASKS.c.certificate_id, TASKS.c.stage)).all())
    assert {row.decision_id for row in made} >= {one for one in told if len(one) == 32}
    assert sorted(row.decision_id for row in made) == sorted(waiting(engine))
    done = [row.certificate_id for row in made]
    assert len(set(done)) == len(done)
    assert {name for name, stage in stages.items() if stage == "DONE"} == set(done)
    office.clock.now += timedelta(days=400)
    assert office.desk.next(ANNE, ALL) is not None, "what was in its hands goes on"
