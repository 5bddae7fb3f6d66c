"""Publishing: every good row once, in order, acknowledged; bad rows told; rate, limit and stop kept."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from stream.certificate import ID_MAX, read_certificate
from stream.errors import BrokerUnavailable, InvalidCertificate, InvalidData
from stream.kafka import client_options, compression
from stream.offline.files import Row, read
from stream.producer import MemoryProducer, Window
from stream.publishing import BURST_S, SHOWN, Pace, Report, publish, repeated
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import Settings
from stream.wire import Wire

WIRE = Wire(MemoryRegistry(load_schemas(Settings().registry.schemas)))
NOW = datetime(2026, 1, 16, 8, 30, tzinfo=UTC)


def row(identifier: str = "A", number: int = 1, **more: Any) -> Row:
    return Row(number, read_certificate({"certificate_id": identifier, "part1": ["x"], **more}), end=number * 10)


def good(count: int) -> Iterator[Row]:
    return (row(f"C{i}", i) for i in range(1, count + 1))


async def sent(rows: Iterator[Row], producer: MemoryProducer | None = None, **options: Any) -> tuple[Report, list[Any]]:
    producer = producer or MemoryProducer()
    report = await publish(rows, producer, WIRE, "certificates", now=lambda: NOW, **options)
    return report, [WIRE.decode("certificates", value) for _, _, value in producer.sent]


async def test_every_row_once_in_order_under_its_id() -> None:
    producer = MemoryProducer()
    report, records = await sent(good(3_000), producer)
    assert report.sent == 3_000 and report.bad == 0 and not report.stopped and report.read == 30_000
    assert [record["certificate_id"] for record in records] == [f"C{i}" for i in range(1, 3_001)]
    assert all(key.decode() == f"C{i}" for i, (_, key, _) in enumerate(producer.sent, 1))


@pytest.mark.parametrize(
    ("written", "expected"),
    [(None, NOW), ("2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
     ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC))],
)  # fmt: skip
async def test_time_of_receipt(written: str | None, expected: datetime) -> None:
    _, (record,) = await sent(iter([row(received_at=written)]))
    assert record["received_at"] == expected


async def test_bad_rows_are_told_and_the_others_sent() -> None:
    bad = [Row(n, None, InvalidCertificate("sex: enum")) for n in range(2, 20)]
    report, records = await sent(iter([row("A", 1), *bad, row("B", 20)]))
    assert [record["certificate_id"] for record in records] == ["A", "B"]
    assert (report.sent, report.bad) == (2, 18)
    assert [number for number, _ in report.first_bad] == list(range(2, 2 + SHOWN))


async def test_value_too_large_for_the_broker_is_a_bad_row() -> None:
    report, records = await sent(iter([row("A", 1), row("B", 2, part2=["y" * 900]), row("C", 3)]), MemoryProducer(500))
    assert [record["certificate_id"] for record in records] == ["A", "C"]
    assert [(number, error.code) for number, error in report.first_bad] == [(2, "OVERSIZED_TEXT")]


async def test_a_record_that_the_broker_refuses_later_makes_no_other_row_bad() -> None:
    class Refusing(MemoryProducer):
        async def send(self, topic: str, *, value: bytes, key: bytes) -> asyncio.Future[Any]:
            record = await super().send(topic, value=value, key=key)
            if key == b"C3":
                record.set_exception(MessageSizeTooLargeError("more than the topic takes"))
            return record

    report, producer = Report(), Refusing()
    with pytest.raises(BrokerUnavailable, match="MessageSizeTooLargeError"):
        await sent(good(2_000), producer, report=report)
    assert (report.bad, report.first_bad) == (0, [])
    assert len(producer.sent) < 2_000, "nothing more is sent"


async def test_limit_counts_certificates_not_bad_rows() -> None:
    report, records = await sent(iter([Row(1, None, InvalidCertificate("x")), *good(10)]), limit=3)
    assert (report.sent, report.bad, len(records)) == (3, 1, 3)


async def test_window_holds_back_what_is_over_it() -> None:
    loop = asyncio.get_running_loop()
    window, records = Window(3), [loop.create_future() for _ in range(3)]
    for record in records:
        await window.room()
        window.add(record)
    waiting = asyncio.create_task(window.room())
    await asyncio.sleep(0.01)
    assert not waiting.done() and window.acknowledged == 0
    records[1].set_result(None)
    await waiting
    assert window.acknowledged == 1
    drained = asyncio.create_task(window.drained())
    records[0].set_result(None)
    records[2].cancel()
    with pytest.raises(KafkaError):
        await drained


async def test_failure_of_the_broker_ends_it() -> None:
    report = Report()
    with pytest.raises(BrokerUnavailable, match="after 40"):
        await sent(good(100_000), MemoryProducer(fails_after=40, latency_s=0.001), report=report)
    assert report.sent == 40


@pytest.mark.parametrize("most", [5, 1_000_000], ids=["waits for room", "waits for the end"])
async def test_a_broker_that_hangs_does_not_hold_a_stop(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("stream.publishing.Window", lambda: Window(most))
    stop, report, producer = asyncio.Event(), Report(), MemoryProducer()
    rows = good(10)

    async def hang() -> None:
        while len(producer.sent) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        producer.latency_s = 1_000.0
        while len(producer.sent) < min(most, 10):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        stop.set()

    hanging = asyncio.create_task(hang())
    began = time.monotonic()
    with pytest.raises(BrokerUnavailable, match=r"\d acknowledged; the others may or may not be there"):
        await sent(rows, producer, rate=100.0, stop=stop, stop_s=0.3, report=report)
    await hanging
    assert 0.3 < time.monotonic() - began < 5 and 0 < report.sent < len(producer.sent)


async def test_a_stop_waits_for_what_was_sent() -> None:
    stop, producer = asyncio.Event(), MemoryProducer(latency_s=0.2)
    asyncio.get_running_loop().call_later(0.1, stop.set)
    report, _ = await sent(good(10_000), producer, rate=200.0, stop=stop, stop_s=5)
    assert report.stopped and 0 < report.sent == len(producer.sent) < 10_000


async def test_failure_of_the_last_record_is_seen() -> None:
    with pytest.raises(BrokerUnavailable):
        await sent(good(1), MemoryProducer(fails_after=0, latency_s=0.01))


async def test_file_that_vanishes_is_told() -> None:
    def rows() -> Iterator[Row]:
        yield row()
        raise InvalidData("gone")

    with pytest.raises(InvalidData, match="gone"):
        await sent(rows())


async def test_stop_waits_for_what_was_sent() -> None:
    stop, producer = asyncio.Event(), MemoryProducer(latency_s=0.05)
    asyncio.get_running_loop().call_later(0.1, stop.set)
    report, records = await sent((row(f"C{i}") for i in range(10**9)), producer, rate=200.0, stop=stop)
    assert report.stopped and report.sent == len(records) and 1 <= report.sent <= 40


async def test_stop_reaches_a_slow_pipe() -> None:
    stop = asyncio.Event()

    def pipe() -> Iterator[Row]:
        yield row()
        time.sleep(3)

    asyncio.get_running_loop().call_later(0.05, stop.set)
    begun = time.monotonic()
    report, _ = await sent(pipe(), stop=stop)
    assert report.sent == 1 and time.monotonic() - begun < 2


async def test_slow_pipe_does_not_hold_up_what_was_sent() -> None:
    def pipe() -> Iterator[Row]:
        yield row()
        time.sleep(3)

    producer, stop = MemoryProducer(), asyncio.Event()
    task = asyncio.create_task(sent(pipe(), producer, stop=stop))
    for _ in range(200):
        await asyncio.sleep(0.01)
        if producer.sent:
            break
    assert producer.sent and not task.done()
    stop.set()
    await task


async def test_rate_is_smooth() -> None:
    times: list[float] = []

    class Timed(MemoryProducer):
        async def send(self, topic: str, *, value: bytes, key: bytes) -> asyncio.Future[Any]:
            times.append(time.monotonic())
            return await super().send(topic, value=value, key=key)

    await sent(good(100), Timed(), rate=200.0)
    # A busy machine is late, never early: no stretch of the run outruns the rate by more than the burst.
    for first, second in itertools.combinations(range(0, 100, 9), 2):
        assert times[second] - times[first] >= (second - first) / 200 - BURST_S - 0.01
    assert times[-1] - times[0] < 5


def test_pace_catches_up_a_little_and_no_more() -> None:
    now = 0.0
    pace = Pace(100.0, lambda: now)
    assert [round(pace.wait_s(), 3) for _ in range(3)] == [0.0, 0.01, 0.02]
    now = 10.0
    waits = [round(pace.wait_s(), 3) for _ in range(8)]
    assert waits == [0.0] * 6 + [0.01, 0.02]


def test_repeats_have_ids_of_their_own() -> None:
    found = list(
        repeated(lambda: iter([row("A", 1), row("B" * ID_MAX, 2), Row(3, None, InvalidCertificate("x"), end=30)]), 3)
    )
    names = [item.certificate.certificate_id for item in found if item.certificate]
    assert names[::2] == ["A", "A~2", "A~3"] and len(set(names)) == 6 and max(map(len, names)) == ID_MAX
    assert [item.end for item in found][-1] == 90


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "PLAINTEXT"),
    ({"tls": {"enabled": True}}, "SSL"),
    ({"sasl": {"mechanism": "PLAIN", "username": "u", "password": "p"}}, "SASL_PLAINTEXT"),
    ({"tls": {"enabled": True}, "sasl": {"mechanism": "SCRAM-SHA-512", "username": "u", "password": "p"}}, "SASL_SSL"),
]


@pytest.mark.parametrize(("kafka", "protocol"), OPTIONS)
def test_client_options(kafka: dict[str, Any], protocol: str) -> None:
    settings = Settings.model_validate({"kafka": {"bootstrap": "b:1", "request_timeout_s": 3, **kafka}})
    options = client_options(settings, "b:1")
    assert options["security_protocol"] == protocol and options["request_timeout_ms"] == 3_000
    assert ("ssl_context" in options) == ("SSL" in protocol.split("_")) and ("sasl_mechanism" in options) == (
        "SASL" in protocol
    )
    embedded = client_options(Settings(), "127.0.0.1:1")
    assert not any(name.startswith(("sasl", "ssl", "security")) for name in embedded)


def test_compression_is_one_that_can_be_written() -> None:
    assert compression() in ("lz4", "gzip")


async def test_rows_of_a_file_are_published(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("certificate_id;part1_1\nA;x\nB\nC;z\n", encoding="utf-8")
    report, records = await sent(read(tmp_path / "a.csv"))
    assert [record["certificate_id"] for record in records] == ["A", "C"] and report.first_bad[0][0] == 3
