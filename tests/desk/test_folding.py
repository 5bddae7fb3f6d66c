"""The desk's state is that of its topics, whatever order they come in, and a rebuild tells it again."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared import LONG
from sqlalchemy import Connection, Engine

from desk.office import ALL, ANNE, BRUNO, EVERY, Office, certificate, draft, machine, memory, none, reads, task
from stream.coding import CodedCertificate, CodedStatus, Correction, ManualTask, Modality, Origin, Route
from stream.database import writing
from stream.desk import rebuild
from stream.desk.life import Stage
from stream.desk.outbox import MemoryTopic, Sender
from stream.desk.records import correction_of
from stream.desk.refusals import NotReady
from stream.desk.tables import CLAIMS, CODED, DECISIONS, MANUAL, MARKS, TASKS
from stream.intake import Intake
from stream.reader import Batch, MemoryReader, Read

Record = ManualTask | CodedCertificate | Correction
TOLD = (TASKS, MARKS, MANUAL, CODED, DECISIONS)


def state(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All that comes from the topics, but for whether a decision was read back."""
    found = {}
    with engine.connect() as connection:
        for table in TOLD:
            columns = [column for column in table.c if column.name != "read"]
            rows = connection.execute(sa.select(*columns).order_by(*table.primary_key)).all()
            found[table.name] = [tuple(row) for row in rows]
    return found


def decisions(office: Office) -> list[Correction]:
    with office.desk.engine.connect() as connection:
        rows = connection.execute(DECISIONS.select().order_by(DECISIONS.c.decided_at, DECISIONS.c.decision_id))
        return [correction_of(row.body) for row in rows]


def by_topic(values: list[Record]) -> list[list[Record]]:
    kinds = (ManualTask, CodedCertificate, Correction)
    return [[value for value in values if isinstance(value, kind)] for kind in kinds]


def history(office: Office) -> list[Record]:
    """A few certificates' lives: decided, disputed and judged, undone, amended, voided, blind, automatic."""
    desk = office.desk

    def decide(who: Any, name: str, code: str, **more: Any) -> str:
        office.clock.pass_(5)
        claim = desk.take(who, name)
        return desk.decide(who, claim.claim_id, draft(code, reason="OTHER", **more)).decision_id

    for name in ("plain", "twice", "undone", "amended", "voided"):
        office.open(name, flags=("INTEREST:measles",))
    office.open("blind", audit=True)
    office.put(machine(certificate("auto"), route=Route.AUTO), none("auto", 1))
    decide(ANNE, "plain", "I21.9")
    decide(ANNE, "twice", "I21.9", second=True)
    decide(BRUNO, "twice", "C25.9")
    desk.undo(ANNE, decide(ANNE, "undone", "C25.9"), "SLIP")
    decide(ANNE, "amended", "C25.9")
    decide(BRUNO, "blind", "J18.9")
    office.open("amended", ("J18.9",), version=2)
    withdrawn = machine(certificate("voided", version=2), status=CodedStatus.WITHDRAWN, route=Route.AUTO)
    office.put(withdrawn, none("voided", 2))
    made = decisions(office)
    results = [one.result for one in made if one.result is not None]
    return [*office.topics, *made, *results]


@cache
def lives() -> tuple[list[Record], dict[str, list[tuple[Any, ...]]]]:
    """A history, and the rows that it ends in."""
    with tempfile.TemporaryDirectory() as folder:
        office = Office(memory(), Path(folder))
        return history(office), state(office.desk.engine)


@given(data=st.data())
@settings(max_examples=60 if LONG else 12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_the_topics_ends_the_same(data: st.DataObject, tmp_path: Path) -> None:
    """Records keep their order within a topic, come twice, and are cut into batches anywhere."""
    told, wanted = lives()
    queues = [list(topic) for topic in by_topic(told)]
    mixed: list[Record] = []
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        mixed.append(queue.pop(0))
        if data.draw(st.integers(0, 5)) == 0:
            mixed.append(mixed[-1])
    other = Office(memory(), tmp_path)
    while mixed:
        cut = data.draw(st.integers(1, len(mixed)))
        other.put(*mixed[:cut])
        mixed = mixed[cut:]
    found = state(other.desk.engine)
    # What people asked for stands in no topic: the second opinion on "twice" was given, which the topic tells.
    for name in ("desk_tasks", "desk_marks", "desk_manual", "desk_decisions"):
        assert found[name] == wanted[name], name
    assert _machine_side(found) == _machine_side(wanted)


def _machine_side(found: dict[str, list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
    """Rows of `coded` but for what people's records tell: the office above had none of those."""
    people = {"human_at", "human_final", "human_code", "final_at", "first_at"}
    keep = [place for place, column in enumerate(CODED.c) if column.name not in people]
    return [tuple(row[place] for place in keep) for row in found["desk_coded"]]


async def test_a_rebuild_tells_the_same_but_for_claims(database: Callable[[], Engine], tmp_path: Path) -> None:
    office = Office(database(), tmp_path)
    values = history(office)
    office.open("held")
    office.open("passed")
    values += office.topics[-4:]
    claim = office.desk.take(ANNE, "held")
    passed = office.desk.take(BRUNO, "passed")
    office.desk.escalate(BRUNO, passed.claim_id, "DIFFICULT", "à voir")
    topic = MemoryTopic()
    sender = Sender(office.desk.context, topic, topic.reader)
    await sender.begin()
    await sender.send()
    given = reads([value for value in values if not isinstance(value, Correction)])
    results = Intake(office.desk.engine, rebuild.SERVICE, ("manual", "coded", "corrections"), office.desk.fold)
    given += [Read("corrections", r.value, r.place) for r in reads(decisions(office), 1_000)]
    await results.run(lambda: MemoryReader(given))
    wanted = state(office.desk.engine)
    unsent = office.desk.take(BRUNO, "amended")
    office.desk.decide(BRUNO, unsent.claim_id, draft("J18.9"))

    office.desk.rebuild()
    assert office.ids(ANNE) == []
    with pytest.raises(NotReady):
        office.desk.next(BRUNO, ALL)
    await Intake(office.desk.engine, rebuild.SERVICE, ("manual", "coded", "corrections"), office.desk.fold).run(
        lambda: MemoryReader(given)
    )
    with writing(office.desk.engine) as connection:
        rebuild.caught_up(connection)
    found = state(office.desk.engine)
    for table in ("desk_manual", "desk_coded", "desk_marks"):
        assert found[table] == wanted[table], table
    assert [row for row in found["desk_tasks"] if row[0] != "amended"] == [
        row for row in wanted["desk_tasks"] if row[0] != "amended"
    ]
    assert len(found["desk_decisions"]) == len(wanted["desk_decisions"]) + 1, "what was not sent yet is kept"
    assert claim.claim_id in {held.claim_id for held in office.desk.held(ANNE)}
    office.clock.pass_(1)
    assert office.desk.decide(ANNE, claim.claim_id, draft("I21.9")).stage is Stage.DONE


def test_a_task_without_its_record_waits(office: Office) -> None:
    made = certificate("a")
    coded = machine(made, audit=True)
    office.put(task(made, coded))
    assert office.ids(ANNE) == []
    office.put(coded)
    assert office.ids(ANNE) == ["a"]


def test_two_desks_that_read_two_topics_at_once(database: Callable[[], Engine], tmp_path: Path) -> None:
    """One takes the record, the other its task: whoever is second sees what the first has written."""
    offices = [Office(database(), tmp_path) for _ in range(2)]
    made = certificate("a")
    coded = machine(made, audit=True)
    both = threading.Barrier(2)

    def put(office: Office, value: Record) -> None:
        def fold(connection: Connection, came: Sequence[Read]) -> None:
            office.desk.fold(connection, came)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)  # each has read, neither has committed; where they take turns nobody comes

        (read,) = reads([value])
        intake = Intake(office.desk.engine, rebuild.SERVICE, (read.subject,), fold)
        intake._put(Batch((read,), {(read.subject, 0): 1}), {})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, offices, [coded, task(made, coded)]))
    assert offices[0].ids(ANNE) == ["a"]


def test_older_versions_and_revisions_change_nothing(office: Office) -> None:
    old = certificate("a")
    record = machine(old)
    office.open("a", ("C25.9",), version=2)
    office.put(record, task(old, record))
    row = office.desk.queue(ANNE, ALL, EVERY).rows[0]
    assert (row.version, row.proposed) == (2, "C25.9")


def test_a_person_s_record_is_no_decision(office: Office) -> None:
    """Who wrote it told it in `corrections`; the desk goes by that topic alone."""
    made = office.open("a")
    office.put(replace(machine(made), modality=Modality.HUMAN, status=CodedStatus.FINAL))
    assert office.ids(ANNE) == ["a"]


def test_what_is_no_record_is_left_out(office: Office) -> None:
    """A producer that is not ours must not stop the desk."""
    strange = [
        Read("manual", {"certificate_id": "x"}, Origin("manual", 0, 0)),
        Read("coded", {"certificate_id": "x", "targeting": None}, Origin("coded", 0, 0)),
        Read("corrections", {}, Origin("corrections", 0, 0)),
    ]
    made = certificate("a")
    coded = machine(made)
    with writing(office.desk.engine) as connection:
        office.desk.fold(connection, [*strange, *reads([coded, task(made, coded)])])
    assert office.ids(ANNE) == ["a"]


def test_what_nobody_looks_at_is_kept_without_lines(office: Office) -> None:
    office.put(*[machine(certificate(f"c{n}"), route=Route.AUTO) for n in range(3)])
    office.open("a")
    with office.desk.engine.connect() as connection:
        rows = connection.execute(CODED.select().order_by(CODED.c.certificate_id)).all()
        assert [row.body is None for row in rows] == [False, True, True, True]
        assert connection.execute(CLAIMS.select()).all() == []
