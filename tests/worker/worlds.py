"""Two worlds in which the worker is tested: the in-memory twins, and real Kafka with real Triton and a real process."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Generic

import pytest
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from stream import log, topics
from stream.automation import KafkaAnnouncer, MemoryChanges, MemoryTopic, Trust
from stream.certificate import Certificate, certificate_record
from stream.coder.model import CANARY, MemoryModel, by_length
from stream.coding import AutomationChange, Origin
from stream.embedded.kafka import KafkaServer
from stream.embedded.process import State
from stream.embedded.triton import TritonServer
from stream.errors import ModelUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming, Outgoing
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY, Breaker, Retry, Settings, Worker
from stream.targeting import policy
from stream.triton import A, Model, Q
from stream.underlying import ranking
from stream.underlying.ranking import MemoryRanker
from stream.wire import Wire
from stream.worker.asking import Guarded
from stream.worker.batch import BatchProcessor
from stream.worker.courier import AtLeastOnce, Courier, ExactlyOnce
from stream.worker.flow import Flow
from stream.worker.outbox import MemoryOutbox
from stream.worker.subjects import subject_topics
from stream.worker.transactions import MemoryBroker, MemoryTransactions
from stream.worker.trust import TrustKeeper
from training.stamp import stamp_of

LIMIT_S = 60.0
WRITTEN = ("coded", "manual", "dead-letters")
Record = tuple[bytes | None, bytes | None]


@dataclass(frozen=True)
class Written:
    """A record of a result topic."""

    key: bytes | None
    value: bytes
    partition: int
    headers: tuple[object, ...] = ()


@dataclass
class World(ABC):
    """A broker, a model server and one worker, each of which can be stopped and started.

    Attributes:
        models: names and versions of the coder and of the ranker.
        once: whether a result is there once whatever happens; else a kill may leave equal ones.
    """

    models: ClassVar[tuple[str, str]]
    once: ClassVar[bool]
    wire: Wire
    results: dict[str, list[Written]] = field(default_factory=lambda: {s: [] for s in WRITTEN})

    def record(self, certificate: Certificate) -> Record:
        """Key and value as a producer writes them."""
        value = self.wire.encode("certificates", certificate_record(certificate))
        return certificate.certificate_id.encode(), value

    @abstractmethod
    async def publish(self, records: Iterable[Record]) -> list[Origin]:
        """Write certificates; where each came to lie."""

    @abstractmethod
    async def start(self) -> None:
        """Start a worker."""

    @abstractmethod
    async def terminate(self) -> int:
        """SIGTERM; its exit status."""

    @abstractmethod
    async def kill(self) -> None:
        """SIGKILL."""

    @abstractmethod
    async def kill_model(self) -> None:
        """SIGKILL to the model server."""

    @abstractmethod
    async def revive_model(self) -> None:
        """Start it again."""

    @abstractmethod
    async def announce(self, change: AutomationChange) -> None:
        """Write a change of automation."""

    @abstractmethod
    async def poll(self) -> None:
        """Take what was written since into `results`."""

    @abstractmethod
    async def behind(self) -> int:
        """Records below the end whose offsets are not committed."""

    @abstractmethod
    def log(self) -> str:
        """All that every worker so far has logged."""

    async def until(self, enough: Callable[[World], bool]) -> None:
        """Poll until it is so; a world that never gets there fails the test."""
        async with self._patience():
            while not enough(self):
                await self.poll()
                await asyncio.sleep(0.02)

    async def settled(self) -> None:
        """Poll until every offset is committed, and read what was written."""
        async with self._patience():
            while await self.behind():
                await self.poll()
                await asyncio.sleep(0.05)
        await self.poll()

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(LIMIT_S):
                yield
        except TimeoutError:
            counts = {subject: len(records) for subject, records in self.results.items()}
            pytest.fail(f"behind by {await self.behind()} after {LIMIT_S} s; {counts}; log: {self.log()[-4000:]}")


class Power:
    """What a model server runs on: all its models are up, or none."""

    on = True


class Switch(Generic[Q, A]):
    """A model of a server that can be down."""

    def __init__(self, model: Model[Q, A], power: Power) -> None:
        self._model, self._power = model, power
        self.version = model.version

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        if not self._power.on:
            raise ModelUnavailable("killed")
        return await self._model.ask(requests)

    async def close(self) -> None:
        """Nothing to close."""


class SlowOutbox(MemoryOutbox):
    """Writes one record after the other, so that a kill may come between two of one batch."""

    async def deliver(self, decisions: Sequence[Decision]) -> None:
        for record in (record for d in decisions for record in d.outgoing):
            await asyncio.sleep(0)
            self.records.append(record)


WORDS = {"insuffisance cardiaque": "I50.9", "cancer": "C80.9", "hypertension": "I10"}
PREFERRED = {"I10": "I10", "C349": "C349", "I509": "I509"}
OPTIONS = Worker(
    breaker=Breaker(failures=3, probe_s=0.01),
    retry=Retry(first_s=0.001, max_s=0.002, attempts=4),
    cache_lines=1000,
)


class MemoryWorld(World):
    """The twins: everything in this process, in milliseconds."""

    PARTITIONS = 2
    models = ("memory-1", "memory-1")
    once = False

    def __init__(self) -> None:
        super().__init__(Wire(LocalRegistry(REPOSITORY / "schemas")))
        self._core = Core(self.wire, Settings())
        self._strata = [s.name for s in policy.load(Settings().policy, Settings().thresholds).rules.strata]
        self._automation = MemoryTopic()
        self._source: list[Incoming] = []
        self._ends = [0] * self.PARTITIONS
        self._committed = 0
        self._power = Power()
        self._outbox = SlowOutbox()
        self._read = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._log = io.StringIO()
        self._root = logging.getLogger()
        self._before = self._root.handlers[:], self._root.level
        self._hooks = threading.excepthook, sys.excepthook, sys.unraisablehook, warnings.showwarning
        log.configure("debug", "json")
        handler = self._root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(self._log)

    async def publish(self, records: Iterable[Record]) -> list[Origin]:
        origins = []
        for key, value in records:
            partition = len(key or b"") % self.PARTITIONS
            origins.append(Origin("certificates", partition, self._ends[partition]))
            self._ends[partition] += 1
            self._source.append(Incoming(value, key, origins[-1]))
        return origins

    async def start(self) -> None:
        self._keeper = TrustKeeper(MemoryChanges(self._automation), self._strata, self._trusted)
        await self._keeper.start()
        tagging, selecting = Switch(MemoryModel(WORDS), self._power), Switch(MemoryRanker(PREFERRED), self._power)
        lines = Guarded(tagging, OPTIONS, CANARY, by_length)
        cases = Guarded(selecting, OPTIONS, ranking.CANARY, ranking.by_size)
        self._breakers = (lines.breaker, cases.breaker)
        processor = BatchProcessor(self._core, lines.asker(), cases.asker(), hold_s=0.01)
        self._courier = self._open()
        self._flow = Flow(processor, self._courier, 3)
        self._tasks = [self._flow.start(), asyncio.create_task(self._feed(self._flow, self._next()))]

    def _open(self) -> Courier:
        return AtLeastOnce(self._outbox, retry_s=0.01)

    def _next(self) -> int:
        """Where a worker begins to read."""
        return self._committed

    def _written(self) -> Sequence[Outgoing]:
        return self._outbox.records

    def _trusted(self, trust: Trust) -> None:
        self._core.automation = trust.over(self._strata)

    async def announce(self, change: AutomationChange) -> None:
        await self._automation.announce(change)

    async def _feed(self, flow: Flow, position: int) -> None:
        while True:
            batch = self._source[position : position + 16]
            position += len(batch)
            if batch:
                await flow.room()
                flow.put(batch, partial(self._commit, position))
            await asyncio.sleep(0.001)

    def _commit(self, position: int) -> None:
        assert position > self._committed, "offsets only move forward"
        self._committed = position

    async def terminate(self) -> int:
        drained = await self._flow.drain(10)
        await self._end()
        return 0 if drained else 1

    async def kill(self) -> None:
        self._flow.abandon()
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for breaker in self._breakers:
            await breaker.close()
        await self._keeper.close()
        await self._courier.stop()
        self._tasks = []

    async def kill_model(self) -> None:
        self._power.on = False

    async def revive_model(self) -> None:
        self._power.on = True

    async def poll(self) -> None:
        new = self._written()[self._read :]
        self._read += len(new)
        for record in new:
            partition = len(record.key or b"") % self.PARTITIONS if record.subject != "dead-letters" else 0
            self.results[record.subject].append(Written(record.key, record.value, partition))

    async def behind(self) -> int:
        for task in self._tasks:
            if task.done():
                task.result()
        return len(self._source) - self._committed

    def log(self) -> str:
        return self._log.getvalue()

    async def close(self) -> None:
        if self._tasks:
            await self.kill()
        self._root.handlers[:], level = self._before
        self._root.setLevel(level)
        threading.excepthook, sys.excepthook, sys.unraisablehook, warnings.showwarning = self._hooks
        structlog.reset_defaults()


class OnceWorld(MemoryWorld):
    """The twins with transactions."""

    once = True

    def __init__(self) -> None:
        super().__init__()
        self._broker = MemoryBroker()

    def _open(self) -> Courier:
        return ExactlyOnce(lambda p: MemoryTransactions(self._broker, ("certificates",), p), retry_s=0.01)

    def _left(self, record: Incoming) -> bool:
        origin = record.origin
        return origin.offset >= self._broker.offsets.get((origin.topic, origin.partition), 0)

    def _next(self) -> int:
        return next((place for place, record in enumerate(self._source) if self._left(record)), len(self._source))

    def _commit(self, position: int) -> None:
        """Offsets move with the results."""

    def _written(self) -> Sequence[Outgoing]:
        return [record for _, record in self._broker.results]

    async def behind(self) -> int:
        await super().behind()
        return sum(map(self._left, self._source))


def stamped(model: str) -> str:
    """Name and version of a served model, with the stamp of its weights."""
    return f"{model}-1+{stamp_of(REPOSITORY / 'model_repo' / model / '1')}"


class RealWorld(World):
    """Real Kafka, real Triton, and `causa worker` in a process of its own, all through their public faces."""

    models = (stamped("coder"), stamped("underlying"))
    once = True

    def __init__(self, kafka: KafkaServer, triton: TritonServer, folder: Path, **variables: str) -> None:
        self._run = uuid.uuid4().hex[:8]
        names = {key: f"{self._run}.{name}" for key, name in Settings().kafka.topics.model_dump().items()}
        self.settings = Settings(home=folder)
        self.settings.kafka.topics = type(self.settings.kafka.topics)(**names)
        super().__init__(Wire(LocalRegistry(REPOSITORY / "schemas")))
        self._triton, self._folder = triton, folder
        self._options = {"bootstrap_servers": kafka.bootstrap}
        self._topics = subject_topics(self.settings)
        self._variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CAUSA_")},
            **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in names.items()},
            "CAUSA_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "CAUSA_TRITON__URL": triton.url,
            "CAUSA_HOME": str(folder / "home"),
            "CAUSA_LOG_FORMAT": "json",
            "CAUSA_LOG_LEVEL": "debug",
            "CAUSA_WORKER__BATCH_MAX": "16",
            "CAUSA_WORKER__SESSION_TIMEOUT_S": "6",
            **variables,
        }
        self._ended = False
        self._workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._readers: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        await topics.create(self._options, topics.declared(self.settings), 1)
        self._admin = AIOKafkaAdminClient(**self._options)
        await self._admin.start()
        self._producer = AIOKafkaProducer(**self._options, max_request_size=16 * 1024 * 1024, linger_ms=5)
        await self._producer.start()
        self._readers = AIOKafkaConsumer(
            **self._options, enable_auto_commit=False, isolation_level="read_committed", fetch_max_wait_ms=50,
            max_partition_fetch_bytes=20 * 1024 * 1024,
        )  # fmt: skip
        await self._readers.start()
        declared = [t for t in topics.declared(self.settings) if t.subject in WRITTEN]
        self._parts = [TopicPartition(t.name, p) for t in declared for p in range(t.partitions)]
        self._readers.assign(self._parts)
        await self._readers.seek_to_beginning(*self._parts)

    async def publish(self, records: Iterable[Record]) -> list[Origin]:
        topic = self._topics["certificates"]
        sent = [await self._producer.send(topic, value, key=key) for key, value in records]
        return [Origin(topic, m.partition, m.offset) for m in await asyncio.gather(*sent)]

    async def publish_together(self, records: Sequence[Record], *, committed: bool) -> None:
        """Write certificates in one transaction of their producer's, which commits or takes them back."""
        producer = AIOKafkaProducer(**self._options, transactional_id=f"{self._run}-upstream")
        await producer.start()
        try:
            await producer.begin_transaction()
            topic = self._topics["certificates"]
            sent = [await producer.send(topic, value, key=key) for key, value in records]
            await asyncio.gather(*sent)
            await (producer.commit_transaction if committed else producer.abort_transaction)()
        finally:
            await producer.stop()
        # Its markers are written behind the answer: who takes the same name must wait for them.
        heir = AIOKafkaProducer(**self._options, transactional_id=f"{self._run}-upstream")
        await heir.start()
        await heir.stop()

    async def announce(self, change: AutomationChange) -> None:
        await KafkaAnnouncer(self.wire, self._topics["automation"], self._options).announce(change)

    async def start(self) -> None:
        file = self._folder / f"worker-{len(self._workers)}.log"
        with file.open("wb") as out:
            command = [sys.executable, "-m", "stream.cli.main", "worker", "--group", self._run]
            process = subprocess.Popen(  # noqa: ASYNC220 - returns at once; nothing is awaited of it here
                command, env=self._variables, cwd=self._folder, stdout=out, stderr=out
            )
        self._workers.append((process, file))
        self._ended = False

    async def terminate(self) -> int:
        process, _ = self._workers[-1]
        self._ended = True
        process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(process.wait, 20)  # the promise of `causa worker --help`

    async def kill(self) -> None:
        process, _ = self._workers[-1]
        self._ended = True
        process.kill()
        await asyncio.to_thread(process.wait)

    async def kill_model(self) -> None:
        pid = self._triton.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while self._triton.status().state is State.RUNNING:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(0.05)

    async def revive_model(self) -> None:
        await asyncio.to_thread(self._triton.start)

    async def poll(self) -> None:
        assert self._readers is not None
        if self._workers:
            process, file = self._workers[-1]
            assert self._ended or process.poll() is None, file.read_text()
        subjects = {name: subject for subject, name in self._topics.items()}
        ends = await self._readers.end_offsets(self._parts)
        while any([await self._readers.position(part) < end for part, end in ends.items()]):
            for part, records in (await self._readers.getmany(timeout_ms=100)).items():
                self.results[subjects[part.topic]] += [
                    Written(r.key, r.value, r.partition, tuple(r.headers)) for r in records
                ]

    async def behind(self) -> int:
        assert self._readers is not None
        try:
            committed = await self._admin.list_consumer_group_offsets(self._run)
        except GroupCoordinatorNotAvailableError:  # a young broker: nobody has committed anything
            committed = {}
        source = [TopicPartition(self._topics["certificates"], p) for p in range(self.settings.kafka.partitions)]
        ends = await self._readers.end_offsets(source)
        return sum(end - max(0, committed[p].offset if p in committed else 0) for p, end in ends.items())

    def log(self) -> str:
        return "".join(file.read_text(encoding="utf-8") for _, file in self._workers)

    def events(self) -> list[str]:
        """The sentences of the log; a line that is no JSON fails the test."""
        return [str(json.loads(line)["event"]) for line in self.log().splitlines()]

    async def close(self) -> None:
        for process, _ in self._workers:
            process.kill()
            process.wait()
        if self._readers is not None:
            await self._readers.stop()
            await self._producer.stop()
            await self._admin.close()
