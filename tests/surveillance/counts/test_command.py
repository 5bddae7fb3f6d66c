"""`causa counts`, as a person calls it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner, Result

from stream import topics
from stream.cli.counts import app
from stream.coding import coded_record
from stream.database import open_database, writing
from stream.embedded.kafka import KafkaServer
from stream.errors import CausaError
from stream.registry import open_registry
from stream.services import Database
from stream.settings import Settings
from stream.surveillance.counts import Counts
from stream.surveillance.detection.table import read
from stream.wire import Wire
from stream.worker.subjects import subject_topics
from surveillance.counts.making import FIRST, FLU, GROUPS, SEPSIS, reads, record

DAYS = 70


def called(home: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        app, list(arguments), env={"CAUSA_HOME": str(home), "COLUMNS": "120", "TERM": "dumb", **environment}
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Ten weeks: two deaths a day, known on the same day and on the day after."""
    engine = open_database(Database(), tmp_path / "surveillance.sqlite")
    counts = Counts(engine, GROUPS)
    records = [
        record(f"{day}-{i}", died=day, known=day + i, cause=FLU if day % 2 else SEPSIS)
        for day in range(DAYS) for i in (0, 1)
    ]  # fmt: skip
    with writing(engine) as connection:
        counts.fold(connection, reads(records))
    engine.dispose()
    return tmp_path


def test_a_table_tells_counts_estimates_and_completeness(home: Path) -> None:
    done = called(home)  # of every death
    assert done.exit_code == 0, done.output
    assert "all_causes" in done.output and "95 %" in done.output
    assert done.output.count("2026-") == 10
    assert str(FIRST + timedelta(weeks=9)) in done.output
    assert (
        "RECENT" not in called(home, "influenza", "--from", str(FIRST), "--to", str(FIRST + timedelta(days=20))).output
    )


@pytest.mark.parametrize(("step", "lines"), [("day", DAYS + 1), ("week", 10)])
def test_no_line_tells_of_years_before_anything_was_known(home: Path, step: str, lines: int) -> None:
    done = called(home, "influenza", "--from", "1900-01-01", "--step", step, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == lines and rows[0]["day"] >= str(FIRST)
    assert done.stderr == f"nothing is known before {FIRST}\n"
    assert not called(home, "influenza", "--from", str(FIRST), "--format", "csv").stderr
    before = called(home, "influenza", "--from", "1900-01-01", "--to", "1950-01-01")
    assert "nothing is counted there" in before.stdout and "nothing is known before" in before.stderr


def test_csv_is_what_detection_reads(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "flu.csv"
    done = called(home, "influenza", "--step", "day", "-n", "7", "--longest", "5", "--format", "csv", "-o", str(path))
    assert done.exit_code == 0, done.output
    lines = list(csv.DictReader(io.StringIO(path.read_text())))
    assert [line["count"] for line in lines[-3:]] == ["0", "2", "0"]
    series = read(path)
    assert series.start == FIRST + timedelta(days=DAYS - 6)
    assert series.completeness is not None and 0 < series.completeness[-1] < 1


def test_json_tells_the_query_too(home: Path) -> None:
    as_of = str(FIRST + timedelta(days=10))
    done = called(home, "show", "sepsis", "--place", "R-75", "--as-of", as_of, "--step", "day", "--format", "json",
                  "--underlying", "--final", "--sex", "F", "--age", "75-84", "--source", "ELECTRONIC")  # fmt: skip
    told = json.loads(done.output)
    assert told["query"]["group"] == "sepsis" and told["query"]["as_of"] == as_of
    assert [line["deaths"] for line in told["counts"]] == [2, 0, 2, 0, 2, 0, 2, 0, 2, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no_such_group",), "no group no_such_group"), (("influenza", "--place", "R-99"), "no place"),
        (("influenza", "--age", "60"), "no age group"), (("influenza", "--sex", "X"), "not a valid Sex"),
        (("influenza", "--from", "2026-02-01", "--to", "2026-01-01"), "lies behind"),
        (("completeness", "--place", "ZZ"), "no place"), (("completeness", "--by", "town"), "by department"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_told(home: Path, arguments: tuple[str, ...], told: str) -> None:
    done = called(home, *arguments)
    assert isinstance(done.exception, CausaError) and told in done.exception.message


def test_files_come_in_and_completeness_comes_out(home: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.csv"
    day = FIRST - timedelta(days=7)
    older.write_text(f"death_day,group,by,count,department\n{day},influenza,ANY,5,33\n")
    assert "1 rows of 1 groups" in called(home, "import", str(older)).output
    assert isinstance(called(home, "import", str(older)).exception, CausaError)
    assert called(home, "import", str(older), "--replace").exit_code == 0
    civil = tmp_path / "civil.csv"
    days = [FIRST + timedelta(days=number) for number in range(DAYS)]
    civil.write_text("day,department,deaths\n" + "".join(f"{day},33,4\n" for day in days))
    assert f"{DAYS} days" in called(home, "expected", str(civil)).output
    done = called(home, "completeness", "--from", str(FIRST), "--to", str(FIRST + timedelta(days=6)),
                  "--by", "department", "--place", "R-75")  # fmt: skip
    rows = {row["place"]: row for row in csv.DictReader(io.StringIO(done.output))}
    assert len(rows) == 12
    assert rows["33"] == {
        "period": str(FIRST), "place": "33", "name": "Gironde", "source": "", "arrived": "14", "expected": "28",
        "share": "0.5", "basis": "CIVIL",
    }  # fmt: skip
    assert "50%" in called(home, "all_causes").output
    assert called(home, "completeness").exit_code == 0


def test_a_home_without_counts_answers_too(tmp_path: Path) -> None:
    assert "nothing is counted there" in called(tmp_path, "influenza").output
    assert called(tmp_path, "completeness").output.count("\n") == 1
    assert isinstance(called(tmp_path, "completeness", "--place", "ZZ").exception, CausaError)


@pytest.mark.servers
async def test_a_topic_is_counted_checked_and_counted_anew(kafka_server: KafkaServer, tmp_path: Path) -> None:
    run = uuid.uuid4().hex[:8]
    settings = Settings()
    environment = {
        f"CAUSA_KAFKA__TOPICS__{key.upper()}": f"{run}.{name}"
        for key, name in settings.kafka.topics.model_dump().items()
    }
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    options = {"bootstrap_servers": kafka_server.bootstrap}
    await topics.create(options, topics.declared(settings), 1)
    wire = Wire(open_registry(settings.registry, subject_topics(settings)))
    records = [record(f"c{i}", died=i % 9, known=i % 9 + 1, cause=SEPSIS if i % 3 else FLU) for i in range(120)]
    async with AIOKafkaProducer(**options, transactional_id=run) as producer:
        for some in (records[:50], records):  # the first fifty twice, and each transaction ends with a mark
            async with producer.transaction():
                for coded in some:
                    await producer.send_and_wait(
                        names["coded"], wire.encode("coded", coded_record(coded)), key=coded.certificate_id.encode()
                    )
    environment["CAUSA_KAFKA__BOOTSTRAP"] = kafka_server.bootstrap

    def call(*arguments: str) -> Result:
        return called(tmp_path, *arguments, **environment)

    done = await asyncio.to_thread(call, "follow", "--once")
    assert done.output.endswith("170 records counted\n"), done.output
    told = await asyncio.to_thread(call, "all_causes", "--step", "day", "--format", "json")
    assert sum(line["deaths"] for line in json.loads(told.output)["counts"]) == 120
    done = await asyncio.to_thread(call, "rebuild", "--check")
    assert done.exit_code == 0 and done.output.count("identical") == 4, done.output
    engine = open_database(Database(), tmp_path / "surveillance.sqlite")
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE counts_cells SET deaths = deaths + 1 WHERE place = 'FR'")
    done = await asyncio.to_thread(call, "rebuild", "--check")
    assert done.exit_code == 1 and done.output.count("differs") == 1, done.output
    assert (await asyncio.to_thread(call, "rebuild")).output.count("made anew") == 4
    done = await asyncio.to_thread(call, "rebuild", "--check")
    assert done.exit_code == 0 and "170 records read" in done.output
    engine.dispose()
