"""The demonstration's course: servers up, samples in, results watched, everything stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.live import Live

from stream import kafka, topics
from stream.certificate import Certificate, certificate_record, read_certificate, utc_now
from stream.demo import show
from stream.demo.watch import Tally, Watcher
from stream.embedded.guard import bound_to_me
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
STOP_S = 5.0


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


def demonstrate(settings: Settings, console: Console) -> Outcome:
    """Run it; servers and worker are attached, so that they end with this process however it ends.

    Raises:
        EmbeddedServerError: a server, or the worker, cannot be started or dies.
        KeyboardInterrupt: Ctrl-C, or SIGTERM, which means the same here; all is stopped by then.
    """
    began = time.monotonic()
    # A shell's background job ignores SIGINT, and with it would ignore SIGTERM, which is turned into one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # A topic just made has no leader for a moment: aiokafka tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    embedded = Embedded(settings)
    # Here and not in a thread of a loop: Ctrl-C breaks the start off.
    with console.status("starting Kafka and Triton (the first time they are installed)") as line:
        embedded.up(False, line.update)
    try:
        console.print(f"Kafka and Triton are up after {time.monotonic() - began:.0f} s")
        tally, expected = asyncio.run(_stream(settings, embedded.bootstrap(), console))
        return Outcome(tally, expected, time.monotonic() - began)
    finally:
        embedded.release()


async def _stream(settings: Settings, bootstrap: str, console: Console) -> tuple[Tally, int]:
    run = f"demo-{int(time.time())}"
    # Topics of its own, so that a demonstration neither sees nor leaves records among real ones.
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings = settings.model_copy(deep=True)
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    declared = topics.declared(settings)
    options = kafka.client_options(settings, bootstrap)
    by_subject = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, by_subject))
    certificates = samples()
    tally = Tally()
    watcher = Watcher(options, by_subject, wire, tally)
    worker: _WorkerProcess | None = None
    tasks: list[asyncio.Task[None]] = []
    try:
        await topics.create(options, declared, 1)
        worker = _start_worker(settings, run)
        await watcher.start({t.subject: t.partitions for t in declared})
        batch = [replace(c, certificate_id=f"{c.certificate_id}~{turn}") for turn in range(TURNS) for c in certificates]
        bad = spoiled(wire, certificates[0])
        expected = len(batch) + len(bad)
        sending = _publish(options, by_subject["certificates"], wire, batch, bad, tally, worker)
        tasks = [asyncio.create_task(watcher.follow()), asyncio.create_task(sending)]
        with Live(show.live(tally, len(batch)), console=console, refresh_per_second=8) as screen:
            patience = time.monotonic() + PATIENCE_S + len(batch) / RATE
            while tally.results < expected and time.monotonic() < patience:
                await asyncio.sleep(0.1)
                screen.update(show.live(tally, len(batch)))
                for task in tasks:
                    if task.done():
                        task.result()
                if worker.process.poll() is not None:
                    raise EmbeddedServerError("the worker died", hint=f"its log: {worker.log}")
        if tally.results < expected:
            raise EmbeddedServerError(
                f"{expected - tally.results} of {expected} results are missing", hint=f"the worker's log: {worker.log}"
            )
        return tally, expected
    finally:
        console.print("\nstopping …")
        # Whoever uses the topics ends before they do.
        for task in tasks:
            task.cancel()
        await _at_most(STOP_S, asyncio.gather(*tasks, return_exceptions=True))
        await _at_most(STOP_S, watcher.stop())
        if worker is not None:
            await asyncio.to_thread(worker.stop)
        await _at_most(STOP_S, topics.delete(options, [t.name for t in declared]))


async def _at_most(seconds: float, step: Awaitable[object]) -> None:
    """One step of the end: neither its fault nor its slowness may keep the next from its turn."""
    future = asyncio.ensure_future(step)
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if not done:
        future.cancel()
    elif not future.cancelled():
        future.exception()  # asked for, so that nobody tells it


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


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Environment of the worker: that of the demonstration, its topics and its home.

    An embedded server is not named: the worker finds it in the same home, and takes no address as its own of a broker
    that wants encryption and login.
    """
    named = {"CAUSA_KAFKA__BOOTSTRAP": settings.kafka.bootstrap, "CAUSA_TRITON__URL": settings.triton.url}
    return {
        **inherited,
        **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in settings.kafka.topics.model_dump().items()},
        **{name: address for name, address in named.items() if address},
        "CAUSA_HOME": str(settings.root),
        "CAUSA_LOG_FORMAT": "json",
    }


def _start_worker(settings: Settings, group: str) -> _WorkerProcess:
    """Start it, bound to this process; to be called in the main thread, whose end the kernel takes for the process's."""
    log = settings.root / "demo-worker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "stream.cli.main", "worker", "--group", group]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env=environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the demonstration's to answer, and its worker's turn comes
            preexec_fn=bound_to_me(),  # noqa: PLW1509 - it calls the kernel and nothing of ours
        )
    return _WorkerProcess(process, log)
