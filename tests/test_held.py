"""A fault that holds the stream is told with its reason, at once and then now and then."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from worker.askers import coder, ranker

from stream import log, metrics
from stream.coder.model import CANARY, LineRequest, MemoryModel
from stream.coding import Origin
from stream.errors import BrokerUnavailable, InfrastructureError, InvalidSettings, ModelUnavailable, RegistryUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import Breaker, Retry, Settings
from stream.wire import Wire
from stream.worker.batch import BatchProcessor
from stream.worker.courier import AtLeastOnce
from stream.worker.flow import Flow
from stream.worker.outbox import MemoryOutbox
from stream.worker.stages import BreakerModel, Rarely, RetryingModel

SETTINGS = Settings()
REGISTRY = MemoryRegistry(load_schemas(SETTINGS.registry.schemas))
WIRE = Wire(REGISTRY)


def incoming() -> Incoming:
    value = WIRE.encode("certificates", {"certificate_id": "A", "part1": [{"text": "toux"}], "received_at": None})
    return Incoming(value, b"A", Origin("certificates", 0, 0))


def told(logs: list[Any], event: str) -> list[tuple[str, str]]:
    assert {key for entry in logs for key in entry} <= log.ALLOWED | {"log_level", "exc_info"}
    return [(entry["code"], entry["reason"]) for entry in logs if event in entry["event"]]


def test_rarely_is_at_once_and_then_each_half_minute() -> None:
    now = [0.0]
    rarely = Rarely(30.0, lambda: now[0])
    due = []
    for second in range(100):
        now[0] = float(second)
        if rarely.due("A"):
            due.append(second)
    assert due == [0, 30, 60, 90]
    assert rarely.due("B") and not rarely.due("B")


async def test_a_refusing_broker_is_told_with_its_reason_once() -> None:
    class Broker(MemoryOutbox):
        tries = 0

        async def deliver(self, decisions: Any) -> None:
            self.tries += 1
            if self.tries < 20:
                raise BrokerUnavailable("producer: TopicAuthorizationFailedError")

    class Processor:
        async def process(self, batch: Any) -> list[Decision]:
            return [Decision(one, ()) for one in batch]

    flow, done = Flow(Processor(), AtLeastOnce(Broker(), retry_s=0.001), 1), asyncio.Event()
    courier = flow.start()
    with capture_logs() as logs:
        await flow.room()
        flow.put([incoming()], done.set)
        await asyncio.wait_for(done.wait(), 10)
    await flow.drain(1)
    await asyncio.gather(courier, return_exceptions=True)
    assert told(logs, "held: the broker") == [("BROKER_UNAVAILABLE", "producer: TopicAuthorizationFailedError")]


async def test_a_failing_model_and_a_registry_that_is_away_are_told_once() -> None:
    model = MemoryModel({})
    model.failures = [ModelUnavailable("Triton: UNAVAILABLE") for _ in range(20)]
    processor = BatchProcessor(Core(WIRE, SETTINGS), coder(model), ranker(), hold_s=0.001)
    with capture_logs() as logs:
        await processor.process([incoming()])
    assert told(logs, "held: the model") == [("MODEL_UNAVAILABLE", "Triton: UNAVAILABLE")]

    class Away(Core):
        tries = 0

        def receive(self, incoming: Incoming) -> Any:
            self.tries += 1
            if self.tries < 5:
                raise RegistryUnavailable("the registry answers 502 for a schema id")
            return super().receive(incoming)

    processor = BatchProcessor(Away(WIRE, SETTINGS), coder(model), ranker(), hold_s=0.001)
    with capture_logs() as logs:
        await processor.process([incoming()])
    assert told(logs, "held: a server is asked in vain") == [
        ("REGISTRY_UNAVAILABLE", "the registry answers 502 for a schema id")
    ]


async def test_the_stages_tell_the_reason() -> None:
    structlog.reset_defaults()
    model = MemoryModel({})
    model.failures = [ModelUnavailable("Triton: UNAVAILABLE")] * 3 + [RuntimeError("toux")] * 3
    breaker = BreakerModel(model, Breaker(failures=1, probe_s=0.001), CANARY)
    retrying = RetryingModel(breaker, Retry(first_s=0.001, attempts=4))
    with capture_logs() as logs:
        await retrying.ask([LineRequest("toux")])
    assert told(logs, "trying again") == [("MODEL_UNAVAILABLE", "Triton: UNAVAILABLE")]
    assert told(logs, "the stream is held") == [("MODEL_UNAVAILABLE", "Triton: UNAVAILABLE")]
    # Told when the breaker opened, so not again at the first probes; another fault is told, once.
    assert [e["event"] for e in logs if e["event"].startswith("held")] == ["held: the model cannot be asked"]
    await breaker.close()


def test_reasons_pass_the_log() -> None:
    assert "reason" in log.ALLOWED and issubclass(BrokerUnavailable, InfrastructureError)


def test_a_port_of_metrics_that_is_taken_or_none() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # where the metrics listen too
        taken.listen()
        for port in (taken.getsockname()[1], 70_000):
            with pytest.raises(InvalidSettings, match=rf"metrics_port {port} is in use or out of range"):
                metrics.serve(port)
    metrics.serve(0)
