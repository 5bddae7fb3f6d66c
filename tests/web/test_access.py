"""The access log: tampering of every kind is found, and nothing else is."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from stream.database import writing
from stream.errors import DatabaseUnavailable, InvalidData, InvalidSettings
from stream.web import export, tables
from stream.web.access import START, AccessLog, Entry, Event, Head, check

SEEN = Event("c17", "CERTIFICATE_SEEN", "coder", "2026-0042", 1, {"blind": True}, "10.0.0.1")


@pytest.fixture
def log(engine: Engine) -> AccessLog:
    tables.make(engine)
    return AccessLog(engine, lambda: datetime(2026, 1, 16, 8, 30, tzinfo=UTC))


def filled(log: AccessLog, rows: int = 5) -> list[Entry]:
    for number in range(rows):
        log.record(replace(SEEN, certificate_id=f"2026-{number + 1}"))
    return list(log.entries())


def change(engine: Engine, statement: Any) -> None:
    """What somebody does who may write the database."""
    with engine.begin() as connection:
        connection.execute(statement)


def test_rows_are_bound_to_one_another(log: AccessLog) -> None:
    assert log.verify().holds
    assert log.head() == Head()
    first, second, *_ = entries = filled(log)
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert first.previous == START
    assert second.previous == first.hash == first.digest()
    assert (first.at, first.detail) == ("2026-01-16T08:30:00.000+00:00", '{"blind":true}')
    assert log.head() == Head(5, entries[-1].hash)
    assert log.verify() == check(entries)
    assert log.verify().rows == 5


@pytest.mark.parametrize(
    "column", ["at", "who", "roles", "act", "certificate_id", "version", "detail", "address", "hash"]
)
def test_a_changed_row(log: AccessLog, engine: Engine, column: str) -> None:
    filled(log)
    value: Any = 9 if column == "version" else "x"
    change(engine, tables.access.update().where(tables.access.c.number == 3).values({column: value}))
    verdict = log.verify()
    assert (verdict.rows, verdict.fault) == (2, "row 3 was changed")


def test_a_missing_row(log: AccessLog, engine: Engine) -> None:
    filled(log)
    change(engine, tables.access.delete().where(tables.access.c.number == 3))
    assert log.verify().fault == "row 3 is missing"
    change(engine, tables.access.delete().where(tables.access.c.number == 2))
    assert log.verify().fault == "rows 2 to 3 are missing"


def test_an_inserted_row(log: AccessLog, engine: Engine) -> None:
    entries = filled(log)
    for number in (5, 4, 3):
        change(engine, tables.access.update().where(tables.access.c.number == number).values(number=number + 1))
    forged = replace(entries[2], who="c99", previous=entries[1].hash, hash="")
    row = {name: getattr(forged, name) for name in Entry.__dataclass_fields__}
    change(engine, tables.access.insert().values({**row, "hash": forged.digest()}))
    assert log.verify().fault == "row 4 was changed"


def forge(engine: Engine, entries: list[Entry]) -> None:
    """Write a whole chain anew, with hashes that fit."""
    change(engine, tables.access.delete())
    previous = START
    for number, entry in enumerate(entries, 1):
        bare = replace(entry, number=number, previous=previous, hash="")
        previous = bare.digest()
        row = {name: getattr(bare, name) for name in Entry.__dataclass_fields__}
        change(engine, tables.access.insert().values({**row, "hash": previous}))
    change(engine, tables.access_head.update().values(number=len(entries), hash=previous))


def test_a_chain_written_anew_is_found_by_an_exported_head(log: AccessLog, engine: Engine) -> None:
    entries = filled(log)
    kept = log.head()
    forge(engine, [entries[0], *entries[2:], entries[1]])
    assert log.verify().holds, "by itself it holds"
    assert "two heads" in log.verify([kept]).fault
    log.record(SEEN)
    assert log.verify([kept]).fault == "row 5 is another one than the exported head tells: the chain was written anew"


def test_an_end_cut_off(log: AccessLog, engine: Engine) -> None:
    entries = filled(log)
    kept = log.head()
    change(engine, tables.access.delete().where(tables.access.c.number > 3))
    assert "cut off" in log.verify().fault, "the head's own row tells of more"
    forge(engine, entries[:3])
    assert log.verify().holds
    assert log.verify([kept]).fault == "the log ends at row 3; a head tells of row 5: its end was cut off"
    change(engine, tables.access.delete())
    change(engine, tables.access_head.delete())
    assert "cut off" in log.verify([kept]).fault


@given(st.lists(st.integers(0, 19), min_size=1, max_size=5, unique=True), st.sampled_from(["drop", "swap", "edit"]))
def test_whatever_is_done_to_rows_is_found(places: list[int], what: str) -> None:
    rows: list[Entry] = []
    for number in range(1, 21):
        previous = rows[-1].hash if rows else START
        bare = Entry(number, "2026", "c", "", "DONE", None, None, "{}", "", previous, "")
        rows.append(replace(bare, hash=bare.digest()))
    head = Head(20, rows[-1].hash)
    assert check(rows, [head]).holds
    hurt = list(rows)
    for place in places:
        if what == "edit":
            hurt[place] = replace(hurt[place], who="d")
        elif what == "swap":
            hurt[place] = hurt[(place + 1) % 20]
    if what == "drop":
        hurt = [row for row in rows if row.number - 1 not in places]
    assert not check(hurt, [head]).holds


def test_a_row_goes_in_with_the_change_or_not_at_all(log: AccessLog) -> None:
    with pytest.raises(ZeroDivisionError), log.writing() as connection:
        log.write(connection, SEEN)
        raise ZeroDivisionError
    assert log.head() == Head()
    with log.writing() as connection:
        log.write(connection, SEEN)
        log.write(connection, SEEN)
    assert log.verify().rows == 2


@pytest.mark.parametrize("event", [Event("c", "seen"), Event("c", ""), Event("c", "A", detail={"a": "b" * 3_000})])
def test_events_that_are_none(log: AccessLog, event: Event) -> None:
    with pytest.raises(ValueError, match=r"act|detail"):
        log.record(event)


def test_asked_by_certificate_and_by_person(log: AccessLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.web.access._PAGE", 2)
    filled(log)
    log.record(replace(SEEN, who="c18"))
    assert [entry.number for entry in log.entries()] == [1, 2, 3, 4, 5, 6]
    assert [entry.number for entry in log.entries(certificate_id="2026-3")] == [3]
    assert [entry.who for entry in log.entries(who="c18")] == ["c18"]
    assert [entry.number for entry in log.entries(after=4)] == [5, 6]


def together(log: AccessLog, rows: int) -> None:
    faults: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(rows):
                log.record(SEEN)
        except DatabaseUnavailable as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert log.verify().rows == 4 * rows
    assert log.verify().holds


def test_several_write_at_once(log: AccessLog) -> None:
    together(log, 15)


def test_postgresql(postgresql: Engine) -> None:
    tables.make(postgresql)
    log = AccessLog(postgresql)
    together(log, 15)
    with log.writing() as connection:
        connection.execute(sa.select(tables.access))
        log.write(connection, SEEN)
    assert log.verify().rows == 61
    kept = log.head()
    change(postgresql, tables.access.update().where(tables.access.c.number == 30).values(who="c99"))
    assert log.verify([kept]).fault == "row 30 was changed"


def test_exported_and_signed(log: AccessLog, tmp_path: Path) -> None:
    filled(log)
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    statement = export.Statement("desk", log.head(), "2026-01-16T09:00:00+00:00").signed(key)
    log.record(SEEN)
    path = tmp_path / "log.jsonl"
    path.write_text("".join(export.lines(log.entries(), statement)))
    text = path.read_text()
    assert len(text.splitlines()) == 6, "five rows of the head's time, and the head"
    assert export.read_statement(path) == statement
    assert export.verify_file(path).holds
    assert export.verify_file(path, key.public_key(), [statement.head]).rows == 5
    assert not export.verify_file(path, other.public_key()).holds

    def hurt(new: str) -> str:
        path.write_text(new)
        return export.verify_file(path, key.public_key()).fault

    rows = text.splitlines(keepends=True)
    assert hurt(text.replace('"who": "c17"', '"who": "c18"', 1)) == "row 1 was changed"
    assert hurt("".join(rows[1:])) == "row 1 is missing"
    assert "cut off" in hurt("".join([*rows[:3], rows[5]]))
    shortened = json.loads(rows[5])
    shortened["head"] |= {"number": 3, "hash": json.loads(rows[2])["hash"]}
    assert "not signed" in hurt("".join([*rows[:3], json.dumps(shortened)]))
    for nonsense in ("", "x", "[]", "{}", rows[0], '{"head": {}, "signature": ""}', '{"a": 1}\n' + rows[5]):
        path.write_text(nonsense)
        with pytest.raises(InvalidData):
            export.verify_file(path)
    with pytest.raises(InvalidData):
        export.read_statement(tmp_path / "nowhere")
    with pytest.raises(InvalidSettings):
        export.private_key(path)
    with pytest.raises(InvalidSettings):
        export.public_key(path)


def test_the_tables_are_made_once(engine: Engine) -> None:
    tables.make(engine)
    tables.make(engine)
    with writing(engine) as connection:
        connection.execute(sa.text("UPDATE causa_services SET version = 99"))
    with pytest.raises(InvalidSettings, match="form 99"):
        tables.make(engine)
