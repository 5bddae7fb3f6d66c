"""Rungs through Kafka: a `causa worker` of its own process on topics of its own, counted by a raw consumer."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest
from prometheus_client.parser import text_string_to_metric_families

from bench.figures import Latency, Rung, percentile, steady_rate
from stream import kafka, topics
from stream.certificate import Certificate, certificate_record
from stream.embedded.servers import Endpoints
from stream.errors import EmbeddedServerError
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

PATIENCE_S = 90.0
"""Longest wait without any new result."""
LOAD = 0.5
"""Share of the measured rate that is offered while latency is measured."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a rung is run.

    Attributes:
        key: in the results.
        what: in words.
        environment: settings of the worker beyond the defaults.
        certificates: the backlog.
        lines: its lines, for lines a second.
        latency_s: how long the second measure publishes; 0 leaves it out.
    """

    key: str
    what: str
    environment: Mapping[str, str]
    certificates: Sequence[Certificate]
    lines: int
    latency_s: float


@dataclass
class Counter:
    """Raw consumer of coded and dead letters: when each record was written and read, nothing decoded."""

    consumer: Any
    coded_topic: str
    written: dict[bytes, float] = field(default_factory=dict)
    read: dict[bytes, float] = field(default_factory=dict)
    dead: int = 0

    async def follow(self) -> None:
        """Count until cancelled; a record that comes twice counts once."""
        while True:
            for part, records in (await self.consumer.getmany(timeout_ms=100)).items():
                at = time.time()
                if part.topic != self.coded_topic:
                    self.dead += len(records)
                    continue
                for record in records:
                    self.written.setdefault(record.key, record.timestamp / 1000)
                    self.read.setdefault(record.key, at)

    async def until(self, results: int, worker: _Worker, following: asyncio.Task[None]) -> None:
        """Wait for that many results.

        Raises:
            EmbeddedServerError: the worker died, or nothing came for `PATIENCE_S`.
        """
        last, since = -1, time.monotonic()
        while (now := len(self.read) + self.dead) < results:
            if following.done():
                following.result()
            if now != last:
                last, since = now, time.monotonic()
            if worker.process.poll() is not None:
                raise EmbeddedServerError("the worker died", hint=f"its log: {worker.log}")
            if time.monotonic() - since > PATIENCE_S:
                raise EmbeddedServerError(f"{results - now} of {results} results are missing", hint=f"{worker.log}")
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    log: Path
    metrics_port: int

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    async def lines(self) -> dict[str, float]:
        """Lines so far by where their answer came from: "server" or "cache"."""
        async with httpx.AsyncClient(trust_env=False) as client:
            page = (await client.get(f"http://127.0.0.1:{self.metrics_port}/metrics")).text
        return lines_of(page)


def lines_of(page: str) -> dict[str, float]:
    """The worker's counts of coded lines by origin, from its Prometheus page."""
    return {
        sample.labels["origin"]: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "causa_answers_total" and sample.labels["model"] == "coder"
    }


async def run(settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], plan: Plan) -> Rung:
    """Publish the backlog, start the worker, measure; then publish at half that rate and measure latency.

    Args:
        settings: of the bench.
        endpoints: of Kafka and Triton.
        servers: process ids whose use of the processor is told.
        plan: what to run.
    """
    settings = settings.model_copy(deep=True)
    name = f"bench-{plan.key}-{os.getpid()}-{int(time.time())}"
    names = {key: f"{name}.{topic}" for key, topic in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    by_subject = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, by_subject))
    options = kafka.client_options(settings, endpoints.bootstrap)
    async with _topics(settings, options, name) as declared, _producer(options) as producer:
        source = by_subject["certificates"]
        for certificate in plan.certificates:
            await producer.send(source, *_record(wire, certificate))
        await producer.flush()
        parts = [TopicPartition(t.name, p) for t in declared if t.subject in ("coded", "dead-letters")
                 for p in range(t.partitions)]  # fmt: skip
        async with _consumer(options, parts) as consumer:
            counter = Counter(consumer, by_subject["coded"])
            following = asyncio.create_task(counter.follow())
            worker = _start(settings, name, endpoints, plan.environment)
            try:
                batch = int(plan.environment.get("CAUSA_WORKER__BATCH_MAX", settings.worker.batch_max))
                rung = await _backlog(plan, counter, worker, following, servers, batch)
                if plan.latency_s:
                    due = _due(plan.certificates, rung.rate * LOAD, plan.latency_s)
                    latency = await _open_loop(due, source, wire, producer, counter, worker, following, rung.rate)
                    rung = replace(rung, latency=latency)
                return rung
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
                await asyncio.to_thread(worker.stop)


async def _backlog(
    plan: Plan,
    counter: Counter,
    worker: _Worker,
    following: asyncio.Task[None],
    servers: Mapping[str, int],
    batch: int,
) -> Rung:
    expected = len(plan.certificates)
    pids = {"worker": worker.process.pid, **servers}
    # The processor is counted from the first results on: starting is not what is measured.
    await counter.until(min(batch, expected), worker, following)
    used, began = {who: _cpu(pid) for who, pid in pids.items()}, time.perf_counter()
    await counter.until(expected, worker, following)
    seconds = max(0.001, time.perf_counter() - began)
    cores = {who: round((_cpu(pid) - used[who]) / seconds, 2) for who, pid in pids.items()}
    rate = steady_rate(list(counter.written.values()), batch)
    origins = await worker.lines()
    total = sum(origins.values())
    notes = {"dead": float(counter.dead), "cache_hits": round(origins.get("cache", 0.0) / total, 4) if total else 0.0}
    return Rung(plan.key, plan.what, expected, rate, rate * plan.lines / expected, cores=cores, notes=notes)


def _due(certificates: Sequence[Certificate], rate: float, seconds: float) -> list[tuple[float, Certificate]]:
    """Certificates of the open loop under new ids, each with its moment after the start."""
    count = max(1, int(rate * seconds))
    return [
        (i / rate, replace(c, certificate_id=f"{c.certificate_id}-again-{i}"))
        for i in range(count)
        for c in (certificates[i % len(certificates)],)
    ]


async def _open_loop(
    due: Sequence[tuple[float, Certificate]],
    source: str,
    wire: Wire,
    producer: Any,
    counter: Counter,
    worker: _Worker,
    following: asyncio.Task[None],
    rate: float,
) -> Latency:
    """Publish whatever the worker does. Latency counts from when a certificate was due, so a stall hides nothing."""
    records = [(after, *_record(wire, certificate)) for after, certificate in due]
    expected = len(counter.read) + counter.dead + len(records)
    start = time.time() + 0.2
    for after, value, key in records:
        wait = start + after - time.time()
        if wait > 0:
            await asyncio.sleep(wait)
        await producer.send(source, value, key=key)
    sent = time.time() - start
    await producer.flush()
    await counter.until(expected, worker, following)
    latencies = [counter.read[key] - start - after for after, _, key in records if key in counter.read]
    return Latency(
        rate * LOAD, len(records) / sent, len(latencies), percentile(latencies, 0.5), percentile(latencies, 0.99),
        max(latencies, default=0.0),
    )  # fmt: skip


def _record(wire: Wire, certificate: Certificate) -> tuple[bytes, bytes]:
    return wire.encode("certificates", certificate_record(certificate)), certificate.certificate_id.encode()


def _cpu(pid: int) -> float:
    """Processor seconds of a process and its living children."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0.0
    total = 0.0
    for each in family:
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system
    return total


def _start(settings: Settings, group: str, endpoints: Endpoints, more: Mapping[str, str]) -> _Worker:
    log = settings.root / "bench-worker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    names = {f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in settings.kafka.topics.model_dump().items()}
    environment = {
        **os.environ, **names, "CAUSA_KAFKA__BOOTSTRAP": endpoints.bootstrap, "CAUSA_TRITON__URL": endpoints.triton,
        "CAUSA_HOME": str(settings.root), "CAUSA_LOG_FORMAT": "json", "CAUSA_WORKER__METRICS_PORT": str(port), **more,
    }  # fmt: skip
    command = [sys.executable, "-m", "stream.cli.main", "worker", "--group", group]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    return _Worker(process, log, port)


@asynccontextmanager
async def _topics(
    settings: Settings, options: Mapping[str, Any], group: str
) -> AsyncIterator[tuple[topics.Topic, ...]]:
    """The rung's own topics, deleted at the end with its consumer group, whatever happened."""
    declared = topics.declared(settings)
    try:
        await topics.create(options, declared, 1)
        yield declared
    finally:
        allowed = ("bootstrap_servers", "request_timeout_ms", "security_protocol", "ssl_context", "sasl_mechanism",
                   "sasl_plain_username", "sasl_plain_password")  # fmt: skip
        admin = AIOKafkaAdminClient(**{k: v for k, v in options.items() if k in allowed})
        await admin.start()
        try:
            await admin.delete_topics([t.name for t in declared])
            # aiokafka has the request but no method for it; an empty group would go by itself after a week.
            with suppress(KafkaError):
                await admin._send_request(DeleteGroupsRequest([group]), await admin.find_coordinator(group))
        finally:
            await admin.close()


@asynccontextmanager
async def _producer(options: Mapping[str, Any]) -> AsyncIterator[Any]:
    producer = AIOKafkaProducer(**options, acks="all", linger_ms=2)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consumer(options: Mapping[str, Any], parts: Sequence[TopicPartition]) -> AsyncIterator[Any]:
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, isolation_level="read_committed",
        auto_offset_reset="earliest", fetch_max_wait_ms=200,
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign(list(parts))
        for part in parts:
            consumer.seek(part, 0)
        yield consumer
    finally:
        await consumer.stop()
