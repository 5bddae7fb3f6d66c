"""The demonstration's course: servers up, samples in, results watched, everything stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from rich.console import Console
from rich.live import Live

from stream import kafka, topics
from stream.certificate import Certificate, certificate_record, read_certificate, utc_now
from stream.demo import show
from stream.demo.watch import Tally, Watcher
from stream.embedded.servers import Embedded
from stream.errors import EmbeddedServerError
from stream.registry import open_registry
from stream.settings import REPOSITORY, Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SAMPLES = REPOSITORY / "samples" / "certificates.jsonl"
TURNS = 4
RATE = 150.0
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """What the demonstration measured."""

    tally: Tally
    expected: int
    seconds: float


def samples(path: Path = SAMPLES) -> list[Certificate]:
    """The shipped certificates; they describe no person."""
    rows = [json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()]
    return [read_certificate({k: v for k, v in row.items() if k != "gold"}) for row in rows]


def spoiled(wire: Wire, certificate: Certificate) -> list[bytes]:
    """Three records that no worker can code: what becomes of them is part of what is shown."""
    whole = wire.encode("certificates", certificate_record(certificate))
    empty = wire.encode("certificates", certificate_record(replace(certificate, part1=(), part2=())))
    return [whole[:40], b"\x00\x00\x00\x27\x0f" + whole[5:], empty]


async def demonstrate(settings: Settings, console: Console) -> Outcome:
    """Run it; the servers are attached, so that they end with this process however it ends.

    Raises:
        EmbeddedServerError: a server, or the worker, cannot be started or dies.
    """
    began = time.monotonic()
    embedded = Embedded(settings)
    with console.status("starting Kafka and Triton (the first time they are installed)") as line:
        await asyncio.to_thread(embedded.up, False, line.update)
    try:
        console.print(f"Kafka and Triton are up after {time.monotonic() - began:.0f} s")
        endpoints = embedded.endpoints()
        tally, expected = await _stream(settings, endpoints.bootstrap, endpoints.triton, console)
        return Outcome(tally, expected, time.monotonic() - began)
    finally:
        await asyncio.to_thread(embedded.release)


async def _stream(settings: Settings, bootstrap: str, triton: str, console: Console) -> tuple[Tally, int]:
    run = f"demo-{int(time.time())}"
    # Topics of its own, so that a demonstration neither sees nor leaves records among real ones.
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings = settings.model_copy(deep=True)
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    declared = topics.declared(settings)
    options = kafka.client_options(settings, bootstrap)
    await topics.create(options, declared, 1)
    by_subject = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, by_subject))
    certificates = samples()
    tally = Tally()
    watcher = Watcher(options, by_subject, wire, tally)
    worker = _start_worker(settings, run, bootstrap, triton)
    try:
        await watcher.start({t.subject: t.partitions for t in declared})
        following = asyncio.create_task(watcher.follow())
        batch = [replace(c, certificate_id=f"{c.certificate_id}~{turn}") for turn in range(TURNS) for c in certificates]
        bad = spoiled(wire, certificates[0])
        expected = len(batch) + len(bad)
        sending = asyncio.create_task(_publish(options, by_subject["certificates"], wire, batch, bad, tally, worker))
        with Live(show.live(tally, len(batch)), console=console, refresh_per_second=8) as screen:
            patience = time.monotonic() + PATIENCE_S + len(batch) / RATE
            while tally.results < expected and time.monotonic() < patience:
                await asyncio.sleep(0.1)
                screen.update(show.live(tally, len(batch)))
                if following.done():
                    following.result()
                if worker.process.poll() is not None:
                    raise EmbeddedServerError("the worker died", hint=f"its log: {worker.log}")
        await sending
        if tally.results < expected:
            raise EmbeddedServerError(
                f"{expected - tally.results} of {expected} results are missing", hint=f"the worker's log: {worker.log}"
            )
        following.cancel()
        return tally, expected
    finally:
        await watcher.stop()
        worker.stop()
        await _forget(options, [t.name for t in declared])


async def _publish(
    options: dict[str, object],
    topic: str,
    wire: Wire,
    batch: list[Certificate],
    bad: list[bytes],
    tally: Tally,
    worker: _WorkerProcess,
) -> None:
    """Samples at a steady rate, once the worker says that it started, the spoiled records in their midst."""
    producer = AIOKafkaProducer(**options, acks="all", linger_ms=2)
    await producer.start()
    try:
        while worker.process.poll() is None and not worker.started():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.1)
        start = time.monotonic()
        for number, certificate in enumerate(batch):
            wait = start + number / RATE - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            record = certificate_record(replace(certificate, received_at=utc_now()))
            tally.sent[certificate.certificate_id] = time.time()
            await producer.send(topic, wire.encode("certificates", record), key=certificate.certificate_id.encode())
            if number in (50, 150, 250) and bad:
                await producer.send(topic, bad.pop(), key=b"spoiled")
        for value in bad:
            await producer.send(topic, value, key=b"spoiled")
        await producer.flush()
    finally:
        await producer.stop()


class _WorkerProcess:
    """A `causa worker` of its own process, as in production, its log in a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def started(self) -> bool:
        """Whether its log says that it has joined."""
        return b"worker started" in self.log.read_bytes()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to one that does not listen."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(25)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def _start_worker(settings: Settings, group: str, bootstrap: str, triton: str) -> _WorkerProcess:
    log = settings.root / "demo-worker.log"
    names = {f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in settings.kafka.topics.model_dump().items()}
    environment = {
        **os.environ, **names, "CAUSA_KAFKA__BOOTSTRAP": bootstrap, "CAUSA_TRITON__URL": triton,
        "CAUSA_HOME": str(settings.root), "CAUSA_LOG_FORMAT": "json",
    }  # fmt: skip
    command = [sys.executable, "-m", "stream.cli.main", "worker", "--group", group]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.STDOUT)
    return _WorkerProcess(process, log)


async def _forget(options: dict[str, object], names: list[str]) -> None:
    """Delete the demonstration's topics."""
    admin = AIOKafkaAdminClient(
        **{k: v for k, v in options.items() if k in ("bootstrap_servers", "request_timeout_ms")}
    )
    await admin.start()
    try:
        await admin.delete_topics(names)
    finally:
        await admin.close()
