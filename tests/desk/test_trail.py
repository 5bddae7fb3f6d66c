"""A decision and its row of the access log are written together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from desk.office import ANNE, BRUNO, CHLOE, SENIOR, Office, draft, memory
from stream.coding import DecisionKind
from stream.desk import context
from stream.desk.tables import ACTS, DECISIONS, OUTBOX
from stream.desk.values import Coder
from stream.errors import DatabaseUnavailable
from stream.web import tables
from stream.web.access import AccessLog, Event


class Told:
    """A trail into the access log, for one person."""

    def __init__(self, log: AccessLog, who: str) -> None:
        self._log, self._who = log, who

    def begin(self, connection: Connection) -> None:
        self._log.lock(connection)

    def write(
        self, connection: Connection, act: str, certificate_id: str, version: int, detail: Mapping[str, str]
    ) -> None:
        self._log.write(connection, Event(self._who, act, "", certificate_id, version, detail))


@pytest.fixture
def log(office: Office) -> AccessLog:
    tables.make(office.desk.engine)
    return AccessLog(office.desk.engine)


def rows(office: Office, table: sa.Table) -> list[sa.Row]:  # type: ignore[type-arg]
    with office.desk.engine.connect() as connection:
        return list(connection.execute(table.select()))


def stopped(engine: Engine, table: str) -> None:
    """Make the database refuse every row of a table."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(
                sa.text(f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END")
            )
            return
        connection.execute(
            sa.text("CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'full'; END $$")
        )
        connection.execute(
            sa.text(f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION full_()")
        )


def test_each_act_has_one_row_that_names_its_certificate(office: Office, log: AccessLog) -> None:
    for name in "ab":
        office.open(name)
    told = {who: Told(log, who.pseudonym) for who in (ANNE, BRUNO, SENIOR)}
    desk = office.desk
    claim = desk.take(SENIOR, "a")
    first = desk.decide(SENIOR, claim.claim_id, draft("I21.9", second=True), told[SENIOR])
    assert desk.decide(SENIOR, claim.claim_id, draft("I21.9"), told[SENIOR]) == first, "asked for twice it is one"
    claim = desk.take(BRUNO, "a")
    second = desk.decide(BRUNO, claim.claim_id, draft("C25.9"), told[BRUNO])
    undone = desk.undo(SENIOR, second.decision_id, "SENIOR", told[SENIOR])
    assert (undone.claim, undone.certificate_id) == (None, "a"), "who coded first gives no second opinion"
    assert desk.undo(SENIOR, second.decision_id, "SENIOR", told[SENIOR]) == undone
    desk.skip(ANNE, desk.take(ANNE, "b").claim_id, "LATER", "", told[ANNE])
    desk.escalate(ANNE, desk.take(ANNE, "b").claim_id, "DIFFICULT", "", told[ANNE])
    desk.send_back(SENIOR, desk.take(SENIOR, "b").claim_id, "ORDINARY", "", told[SENIOR])
    assert [(e.who, e.act, e.certificate_id, e.version) for e in log.entries()] == [
        ("senior", "DECIDED", "a", 1), ("bruno", "DECIDED", "a", 1), ("senior", "UNDONE", "a", 1),
        ("anne", "RELEASED", "b", 1), ("anne", "ESCALATED", "b", 1), ("senior", "RELEASED", "b", 1),
    ]  # fmt: skip
    assert log.verify().holds


@pytest.mark.parametrize("table", [tables.access, OUTBOX])
def test_where_one_cannot_be_written_neither_is(
    office: Office, log: AccessLog, table: sa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "TRIES", 2)
    for name in "ab":
        office.open(name)
    told, desk = Told(log, "anne"), office.desk
    done = desk.decide(ANNE, desk.take(ANNE, "a").claim_id, draft("I21.9"), told)
    claim = desk.take(ANNE, "b")
    stopped(desk.engine, table.name)
    with pytest.raises(DatabaseUnavailable):
        desk.decide(ANNE, claim.claim_id, draft("I21.9"), told)
    with pytest.raises(DatabaseUnavailable):
        desk.undo(ANNE, done.decision_id, "SLIP", told)
    if table is tables.access:
        with pytest.raises(DatabaseUnavailable):
            desk.skip(ANNE, claim.claim_id, "LATER", "", told)
    assert [row.kind for row in rows(office, DECISIONS)] == [DecisionKind.FIRST] and not rows(office, ACTS)
    assert [entry.act for entry in log.entries()] == ["DECIDED"] and log.verify().holds
    assert desk.held(ANNE)[0].claim_id == claim.claim_id, "the certificate is still in one's hands"


def test_many_at_once_have_a_row_each_in_one_chain(
    database: Callable[[], Engine], tmp_path: Path, log: AccessLog, office: Office
) -> None:
    offices = [office, Office(database(), tmp_path)]
    for number in range(12):
        office.open(f"c{number}")

    def worked(who: Coder, one: Office, names: list[str]) -> None:
        told = Told(AccessLog(one.desk.engine), who.pseudonym)
        for name in names:
            one.desk.decide(who, one.desk.take(who, name).claim_id, draft("I21.9"), told)

    names = [f"c{number}" for number in range(12)]
    with ThreadPoolExecutor(3) as pool:
        parts = ((ANNE, offices[0], names[:4]), (BRUNO, offices[1], names[4:8]), (CHLOE, offices[1], names[8:]))
        for working in [pool.submit(worked, *part) for part in parts]:
            working.result()
    assert log.verify().holds
    assert (
        {e.certificate_id for e in log.entries()} == set(names) == {r.certificate_id for r in rows(office, DECISIONS)}
    )
    assert len(list(log.entries())) == len(names)


def test_another_database_s_log_is_refused(office: Office) -> None:
    office.open("a")
    claim = office.desk.take(ANNE, "a")
    elsewhere = memory()
    tables.make(elsewhere)
    with pytest.raises(ValueError, match="another database"):
        office.desk.decide(ANNE, claim.claim_id, draft("I21.9"), Told(AccessLog(elsewhere), "anne"))
    assert not rows(office, DECISIONS)
    elsewhere.dispose()
