"""Traces from certificate to result: what is linked to what, what results carry on, and what no span holds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from worker.askers import coder, ranker

from stream import tracing
from stream.certificate import Certificate, Line, certificate_record
from stream.coder.model import MemoryModel
from stream.coding import Origin
from stream.errors import InvalidSettings, ModelUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import REPOSITORY, Settings
from stream.underlying.ranking import MemoryRanker
from stream.wire import Wire
from stream.worker.batch import BatchProcessor
from stream.worker.courier import ExactlyOnce
from stream.worker.flow import Flow
from stream.worker.transactions import MemoryBroker, MemoryTransactions

WIRE = Wire(MemoryRegistry(load_schemas(REPOSITORY / "schemas")))
CORE = Core(WIRE, Settings())
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = f"00-{TRACE}-{SPAN}-01"
STAGES = {"read", "ask coder", "word", "ask ranker", "decide"}
SECRET = "zzmarqueur"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    found = InMemorySpanExporter()
    tracing.start("causa-test", found)
    yield found
    tracing.stop()


def incoming(offset: int, trace: str = "", text: str = f"insuffisance cardiaque {SECRET}") -> Incoming:
    certificate = Certificate(f"id-{SECRET}-{offset}", part1=(Line(text),))
    value = WIRE.encode("certificates", certificate_record(certificate))
    return Incoming(value, b"k", Origin("in", 0, offset), trace)


async def coded(batches: Sequence[Sequence[Incoming]], broker: MemoryBroker, model: MemoryModel | None = None) -> None:
    model = model or MemoryModel({"insuffisance cardiaque": "I50.9"})
    processor = BatchProcessor(CORE, coder(model), ranker(MemoryRanker({})))
    courier = ExactlyOnce(lambda partition: MemoryTransactions(broker, ("in",), partition), retry_s=0.001)
    flow = Flow(processor, courier, 4)
    flow.start()
    for batch in batches:
        await flow.room()
        flow.put(batch, lambda: None)
    assert await flow.drain(10)
    await courier.stop()


def by_name(exporter: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    found: dict[str, list[ReadableSpan]] = {}
    for span in exporter.get_finished_spans():
        found.setdefault(span.name, []).append(span)
    return found


async def test_from_certificate_to_result(exporter: InMemorySpanExporter) -> None:
    broker = MemoryBroker()
    bad = Incoming(b"\x01", b"bad", Origin("in", 0, 2), CONTEXT.replace(SPAN, "c" * 16))
    await coded([[incoming(0, CONTEXT), incoming(1), bad]], broker)
    spans = by_name(exporter)
    (batch,) = spans["batch"]
    assert batch.kind is SpanKind.CONSUMER and batch.parent is None
    assert [f"{link.context.span_id:016x}" for link in batch.links] == [SPAN, "c" * 16]
    assert batch.attributes is not None and batch.attributes["messaging.batch.message_count"] == 3
    for stage in (*STAGES, "transaction"):
        (span,) = spans[stage]
        assert span.parent is not None and span.parent.span_id == batch.context.span_id, stage
    coded_, dead = spans["certificate"]
    for span in (coded_, dead):
        assert f"{span.context.trace_id:032x}" == TRACE, "each goes on with its producer's trace"
        assert span.links[0].context.span_id == batch.context.span_id
    assert coded_.attributes is not None and coded_.attributes["causa.route"] in ("AUTO", "MANUAL")
    assert dead.attributes is not None and dead.attributes["error.type"] == "BAD_FRAME"
    carried = {record.subject: record.headers for _, record in broker.results if record.trace}
    expected = [("traceparent", f"00-{TRACE}-{coded_.context.span_id:016x}-01".encode())]
    assert carried["coded"] == carried["manual"] == expected
    assert carried["dead-letters"] == [("traceparent", f"00-{TRACE}-{dead.context.span_id:016x}-01".encode())]
    assert sum(not record.headers for _, record in broker.results) == 2, "who brings no context gets none"


async def test_a_transaction_of_several_batches_belongs_to_all(exporter: InMemorySpanExporter) -> None:
    broker = MemoryBroker()
    broker.faults = ["lost"]  # while the lane begins again, the next batches gather
    await coded([[incoming(0)], [incoming(1)], [incoming(2)]], broker)
    spans = by_name(exporter)
    batches = {span.context.span_id for span in spans["batch"]}
    failed = [span for span in spans["transaction"] if span.status.status_code is StatusCode.ERROR]
    assert [span.attributes and span.attributes["error.type"] for span in failed] == ["BROKER_UNAVAILABLE"]
    good = [span for span in spans["transaction"] if span not in failed]
    told = {i for s in good if s.parent for i in (s.parent.span_id, *(link.context.span_id for link in s.links))}
    assert told == batches and len(batches) == 3


async def test_no_span_holds_text_or_ids(exporter: InMemorySpanExporter) -> None:
    model = MemoryModel({}, poison=SECRET)
    model.failures = [ModelUnavailable(SECRET)]
    await coded(
        [[incoming(0, CONTEXT), incoming(1)], [Incoming(SECRET.encode(), SECRET.encode(), Origin("in", 0, 2))]],
        MemoryBroker(),
        model,
    )
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "certificate" in told and SECRET not in told
    assert not any(span.events for span in exporter.get_finished_spans()), "an event would quote an exception"


async def test_a_lost_partition_is_told(exporter: InMemorySpanExporter) -> None:
    trace = tracing.batch([incoming(0, CONTEXT)])
    trace.end([Decision(incoming(0, CONTEXT), ())], delivered=False)
    assert {(s.name, (s.attributes or {}).get("causa.delivered")) for s in exporter.get_finished_spans()} == {
        ("batch", False), ("certificate", False),
    }  # fmt: skip


async def test_a_producer_that_does_not_sample_is_heard(exporter: InMemorySpanExporter) -> None:
    broker = MemoryBroker()
    await coded([[incoming(0, CONTEXT[:-2] + "00")]], broker)
    assert "certificate" not in by_name(exporter)
    headers = {header for _, record in broker.results for _, header in record.headers}
    assert len(headers) == 1 and headers.pop().endswith(b"-00")


async def test_off_the_context_goes_through_untouched() -> None:
    broker = MemoryBroker()
    await coded([[incoming(0, CONTEXT), incoming(1)]], broker)
    assert [record.trace for _, record in broker.results] == [CONTEXT, CONTEXT, "", ""]
    assert tracing.current() is None and tracing.span("read") is tracing.span("word")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["traceparent", "Traceparent", "x"]), st.binary(max_size=60) | st.just(CONTEXT.encode())
        )
    )
    | st.none()
)
def test_headers_are_not_believed(headers: list[tuple[str, bytes]] | None) -> None:
    found = tracing.received(headers)
    assert found in ("", CONTEXT) and (found == CONTEXT) == (("traceparent", CONTEXT.encode()) in (headers or ()))


@pytest.mark.parametrize(
    "value",
    [
        b"00-" + b"0" * 32 + b"-" + SPAN.encode() + b"-01", f"00-{TRACE}-{'0' * 16}-01".encode(), CONTEXT.encode() + b"\n",
        CONTEXT.upper().encode(), CONTEXT.encode() + b"-infarctus", b"infarctus du myocarde", None, CONTEXT,
    ],
)  # fmt: skip
def test_what_is_no_context(value: bytes) -> None:
    assert tracing.received([("traceparent", value)]) == ""


def test_off_nothing_of_opentelemetry_is_imported() -> None:
    code = (
        "import sys; from stream import tracing; tracing.start('x'); tracing.batch([]); tracing.stop();"
        "assert not any(m.startswith('opentelemetry') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PATH": ""}, cwd=REPOSITORY)


def test_asked_for_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.SWITCH, "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(InvalidSettings, match="OpenTelemetry is not installed"):
        tracing.start("x")


async def test_a_collector_that_is_away_does_not_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tracing.SWITCH, "http://127.0.0.1:1")
    tracing.start("x")
    with tracing.span("read"):
        await asyncio.sleep(0)
    await asyncio.to_thread(tracing.stop)
    assert tracing.current() is None
