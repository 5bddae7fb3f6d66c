"""The demonstration in memory: what it counts, what it shows, what it sends, and what its worker is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from pipeline.core import NOW, ORIGIN, PLAIN, WIRE
from rich.console import Console, RenderableType

from stream.certificate import Age, Certificate, Line, Sealed, Sex
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Duration,
    Entity,
    Method,
    Modality,
    Reason,
    Route,
    Targeting,
    Uncoded,
    Underlying,
    Versions,
    Why,
    coded_record,
    read_dead_letter,
)
from stream.demo import show, watch
from stream.demo.run import SAMPLES, _at_most, environment, samples, spoiled
from stream.demo.watch import Tally, Watcher
from stream.pipeline.record import Decision, Incoming
from stream.settings import Kafka, Settings, Triton


def coded(identifier: str, route: Route = Route.AUTO, **fields: Any) -> CodedCertificate:
    given: dict[str, Any] = {
        "underlying": Underlying("I50.9", 0.9),
        "targeting": Targeting(route),
        **fields,
    }
    return CodedCertificate(
        identifier, 1, "", CodedStatus.FINAL, Modality.MODEL, versions=Versions(),
        coded_at=datetime(2026, 1, 1, tzinfo=UTC), **given,
    )  # fmt: skip


# Counting


def test_a_tally_counts_what_was_sent_by_route_and_latency() -> None:
    tally = Tally(sent={"a": 10.0, "b": 10.5, "c": 11.0})
    tally.add_coded(coded("a"), 11.0)
    tally.add_coded(coded("b", targeting=Targeting(Route.AUTO, audit=True)), 12.0)
    tally.add_coded(coded("c", Route.MANUAL), 13.0)
    tally.add_coded(coded("of another run"), 14.0)
    assert (tally.auto, tally.manual, tally.audit) == (2, 1, 1)
    assert tally.latencies == [1.0, 1.5, 2.0]
    assert set(tally.coded) == {"a", "b", "c"}
    assert (tally.first_at, tally.last_at) == (11.0, 13.0)
    assert tally.rate == pytest.approx(1.5)
    tally.dead["BAD_AVRO"] += 2
    assert tally.results == 5


def test_percentiles_are_of_the_last_results() -> None:
    tally = Tally(latencies=[float(n) for n in range(100)])
    assert [tally.percentile(share) for share in (0.0, 0.5, 0.99, 1.0)] == [0.0, 50.0, 99.0, 99.0]
    assert tally.percentile(0.0, last=10) == 90.0
    assert Tally().percentile(0.5) == 0.0
    assert Tally().rate == 0.0


class Broker:
    """A consumer that was assigned, and has the records that it is given."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.state = "new"
        self.assigned: list[TopicPartition] = []
        self.positions: dict[TopicPartition, int] = {}
        self.batches: list[dict[TopicPartition, list[Any]]] = []

    async def start(self) -> None:
        self.state = "started"

    async def stop(self) -> None:
        self.state = "stopped"

    def assign(self, parts: list[TopicPartition]) -> None:
        self.assigned = parts

    async def end_offsets(self, parts: list[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {part: 7 + part.partition for part in parts}

    def seek(self, part: TopicPartition, offset: int) -> None:
        self.positions[part] = offset

    async def getmany(self, timeout_ms: int) -> Mapping[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        if not self.batches:
            raise EOFError
        return self.batches.pop(0)


async def test_a_watcher_counts_results_from_where_they_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "AIOKafkaConsumer", Broker)
    topics = {"coded": "c", "manual": "m", "dead-letters": "d", "certificates": "in"}
    tally = Tally(sent={"A1": time.time()})
    watcher = Watcher({"bootstrap_servers": "x"}, topics, WIRE, tally)
    broker = watcher._consumer
    assert broker.options["isolation_level"] == "read_committed"
    await watcher.start({"coded": 2, "manual": 1, "dead-letters": 1, "certificates": 4})
    assert broker.positions == {
        TopicPartition("c", 0): 7, TopicPartition("c", 1): 8, TopicPartition("m", 0): 7, TopicPartition("d", 0): 7,
    }  # fmt: skip

    decisions = [decided(record) for record in spoiled(WIRE, samples()[0])]
    letters = [SimpleNamespace(value=record.value) for d in decisions for record in d.outgoing]
    value = WIRE.encode("coded", coded_record(coded("A1", Route.MANUAL)))
    broker.batches = [
        {TopicPartition("c", 1): [SimpleNamespace(value=value)]},
        {},
        {TopicPartition("d", 0): letters},
    ]
    with pytest.raises(EOFError):
        await watcher.follow()
    assert (tally.manual, tally.auto, tally.results) == (1, 0, 4)
    assert 0 <= tally.latencies[0] < 60
    await watcher.stop()
    assert broker.state == "stopped"


# Sending


def decided(value: bytes) -> Decision:
    decision = PLAIN.prepare(PLAIN.receive(Incoming(value, b"k", ORIGIN)), NOW)
    assert isinstance(decision, Decision)
    return decision


def test_the_samples_are_read_whole() -> None:
    found = samples()
    assert len(found) == len(SAMPLES.read_text(encoding="utf-8").splitlines()) > 100
    assert len({c.certificate_id for c in found}) == len(found)
    assert all(c.part1 for c in found)


def test_spoiled_records_are_three_kinds_of_dead_letters() -> None:
    decisions = [decided(value) for value in spoiled(WIRE, samples()[0])]
    letters = [read_dead_letter(WIRE.decode(r.subject, r.value)) for d in decisions for r in d.outgoing]
    assert [letter.error for letter in letters] == ["BAD_AVRO", "UNKNOWN_SCHEMA", "EMPTY_CERTIFICATE"]


def test_the_worker_finds_embedded_servers_by_itself() -> None:
    settings = Settings(kafka=Kafka(bootstrap=""), triton=Triton(url=""))
    settings.kafka.topics.dead_letters = "demo.dead"
    found = environment(settings, {"PATH": "/bin", "CAUSA_HOME": "elsewhere"})
    assert not {"CAUSA_KAFKA__BOOTSTRAP", "CAUSA_TRITON__URL"} & set(found)
    assert found["PATH"] == "/bin"
    assert found["CAUSA_HOME"] == str(settings.root)
    assert found["CAUSA_KAFKA__TOPICS__DEAD_LETTERS"] == "demo.dead"


def test_the_worker_is_told_of_servers_elsewhere() -> None:
    found = environment(Settings(kafka=Kafka(bootstrap="k:1"), triton=Triton(url="t:2")), {})
    assert (found["CAUSA_KAFKA__BOOTSTRAP"], found["CAUSA_TRITON__URL"]) == ("k:1", "t:2")


async def test_a_step_of_the_end_neither_fails_nor_waits() -> None:
    async def fail() -> None:
        raise ValueError

    await _at_most(1, fail())
    hanging = asyncio.Event()
    began = time.monotonic()
    await _at_most(0.01, hanging.wait())
    task = asyncio.create_task(hanging.wait())
    task.cancel()
    await _at_most(1, asyncio.gather(task, return_exceptions=True))
    await _at_most(1, asyncio.gather())
    assert time.monotonic() - began < 0.5


# Showing


def shown(what: RenderableType, width: int = 120) -> list[str]:
    console = Console(width=width, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        console.print(what)
    return [line.strip("│ \n").rstrip() for line in capture.get().splitlines()]


def entity(code: str, start: int, end: int, confidence: float = 0.9, method: Method = Method.BOTH) -> Entity:
    return Entity(code, start, end, confidence, method, "test")


def body(source: Certificate, result: CodedCertificate) -> list[str]:
    """Rows between the panel's borders, without its frame; columns are those of the text."""
    console = Console(width=120, force_terminal=False)
    with console.capture() as capture:
        console.print(show.certificate(source, result))
    return [line[2:-2].rstrip() for line in capture.get().splitlines()[1:-1]]


def test_codes_stand_under_their_spans() -> None:
    text = "choc septique sur pneumopathie"
    source = Certificate("A1", part1=(Line(text, "3 j"),), sex=Sex.M, age=Age(62))
    line = CodedLine((entity("R57.2", 0, 13, 0.96), entity("J18.9", 18, 30, 0.95)), (), Duration(3.0))
    rows = body(source, coded("A1", part1=(line,)))
    assert rows[0] == f"I  a  {text}   [3 j = 3 d]"
    assert rows[1].index("R57.2 0.96") == rows[0].index("choc")
    assert rows[1].index("J18.9 0.95") == rows[0].index("pneumopathie")
    assert "underlying cause  I50.9  " in rows[3]
    assert "(p=0.90)" in rows[3]
    assert rows[4].startswith("route             AUTO  confident, no edit broken")
    assert "A1 · M, 62 years" in shown(show.certificate(source, coded("A1", part1=(line,))))[0]


def test_codes_that_would_touch_go_a_level_down() -> None:
    text = "OAP HTA IRA BPCO"
    source = Certificate("A1", part1=(Line("x"),), part2=(Line(text),))
    entities = tuple(
        entity(code, start, end)
        for code, start, end in (("J81", 0, 3), ("I10", 4, 7), ("N17.9", 8, 11), ("J44.9", 12, 16))
    )
    rows = body(source, coded("A1", part1=(CodedLine(),), part2=(CodedLine(entities),)))
    assert rows[:5] == [
        "I  a  x",
        f"II  {text}",
        "    J81 0.90    J44.9 0.90",
        "        I10 0.90",
        "            N17.9 0.90",
    ]


def test_uncoded_stretches_are_dimmed_and_negated_ones_struck() -> None:
    text = "pas de fievre connue hier"
    line = CodedLine((), (Uncoded(0, 13, Why.NEGATED), Uncoded(14, 25, Why.UNKNOWN_WORDS)))
    (found,) = show._line("I  a", Line(text), line)
    assert getattr(found, "plain", None) == f"I  a  {text}"
    spans = {(span.start - 6, span.end - 6, str(span.style)) for span in getattr(found, "spans", ())}
    assert {(0, 13, "dim strike"), (14, 25, "dim")} <= spans


def test_sealed_text_and_intervals_are_not_shown() -> None:
    sealed = Sealed("k1", b"0" * 12, b"secret" * 4)
    source = Certificate("A1", part1=(Line(sealed, sealed), Line("OAP", None)))
    why = Targeting(Route.MANUAL, (Reason.LOW_CONFIDENCE,))
    result = coded(
        "A1",
        underlying=Underlying(None, 0.0, steps=("SP1: nothing", "M1: nothing")),
        targeting=why,
        flags=("EDIT:age",),
        part1=(CodedLine((entity("J81", 0, 3, method=Method.RULES),)), CodedLine((), (), None)),
    )
    rows = body(source, result)
    assert rows[:3] == ["I  a  [sealed]", "      J81 0.90", "I  b  OAP"]
    assert any("none could be coded" in row for row in rows)
    assert [row for row in rows if "nothing" in row] == ["    SP1: nothing", "    M1: nothing"]
    assert rows[-1] == "route             MANUAL  LOW_CONFIDENCE, EDIT:age"
    assert not any("secret" in row for row in rows)


def test_live_table_and_commonest_causes() -> None:
    tally = Tally(sent={"a": 1.0})
    tally.add_coded(coded("a"), 1.25)
    tally.dead["BAD_AVRO"] += 1
    page = "\n".join(shown(show.live(tally, 1280)))
    assert "1280 certificates" in page
    assert "250" in page
    records = [coded("a"), coded("b"), coded("c", underlying=Underlying("I10", 1.0))]
    rows = [row for row in shown(show.commonest(records)) if row.startswith(("I50.9", "I10"))]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [("I50.9", "2"), ("I10", "1")]
    assert len([r for r in shown(show.commonest(records, 1)) if r.startswith("I")]) == 1


def test_a_certificate_without_a_cause_is_counted_too() -> None:
    record = replace(coded("a"), underlying=Underlying(None, 0.0))
    assert any(row.startswith("none") for row in shown(show.commonest([record])))
