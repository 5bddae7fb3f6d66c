"""One run through Kafka: topics of its own, shells that code, and a reader that sees every result become visible."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from bench import broker, shells
from bench.shells import Running, Shell
from bench.usage import CODES, FEEDER, Roots
from stream import kafka
from stream.certificate import Certificate, certificate_record
from stream.embedded.servers import Endpoints
from stream.errors import EmbeddedServerError
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

PATIENCE_S = 90.0
"""Longest wait without any new result."""
CALM = 2
"""Looks in a row, a second apart, at which all shells must be ready."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A result as it was first read: when, on which partition, and how long after it was due (None: not timed)."""

    at: float
    partition: int
    latency: float | None


@dataclass
class Counter:
    """Raw reader of coded records and dead letters; nothing is decoded.

    Attributes:
        due: when certificates that are timed were due to be published, by key; taken out when their result is read.
        answers: results in the order they were read; one that comes twice is counted in `twice`.
        dead: dead letters.
    """

    consumer: Any
    coded_topic: str
    due: dict[bytes, float] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    dead: int = 0
    twice: int = 0
    _seen: set[bytes] = field(default_factory=set)

    @property
    def count(self) -> int:
        """Certificates that have a result."""
        return len(self._seen)

    async def follow(self) -> None:
        """Count until cancelled."""
        while True:
            for part, records in (await self.consumer.getmany(timeout_ms=100)).items():
                at = time.time()
                coded = part.topic == self.coded_topic
                for record in records:
                    if record.key in self._seen:
                        self.twice += 1
                        continue
                    self._seen.add(record.key)
                    due = self.due.pop(record.key, None)
                    if coded:
                        self.answers.append(Answer(at, part.partition, None if due is None else at - due))
                    else:
                        self.dead += 1


@dataclass
class Stage:
    """Where a run takes place.

    Attributes:
        group: consumer group of the shells.
        source: topic of certificates.
        published: how many certificates were.
    """

    settings: Settings
    endpoints: Endpoints
    servers: Mapping[str, int]
    options: Mapping[str, Any]
    group: str
    source: str
    manual: Sequence[TopicPartition]
    wire: Wire
    producer: Any
    counter: Counter
    running: list[Running] = field(default_factory=list)
    published: int = 0
    _process: str = "worker"
    _following: asyncio.Task[None] | None = None

    @property
    def roots(self) -> Roots:
        """Processes of the run."""
        own = [(CODES, r.process.pid) for r in self.running]
        return [*own, *self.servers.items(), (FEEDER, os.getpid())]

    def start(self, shell: Shell, number: int = 1) -> None:
        """Start so many shells of a kind."""
        self._process = shell.process
        for _ in range(number):
            place = len(self.running) + 1
            self.running.append(shells.start(self.settings, self.endpoints, self.group, shell, place))

    async def ready(self) -> None:
        """Wait until every shell has its share of the partitions, twice in a row: one that joins takes from the others.

        Raises:
            EmbeddedServerError: a shell never gets there.
        """
        quiet, until = 0, time.monotonic() + PATIENCE_S
        while quiet < CALM:
            if time.monotonic() > until:
                raise EmbeddedServerError(f"{self._process} never became ready", hint=f"{self.running[0].log}")
            await asyncio.sleep(1.0)
            quiet = quiet + 1 if all([await one.ready() for one in self.running]) else 0

    async def publish(self, certificate: Certificate) -> None:
        """Hand a certificate to the producer."""
        value = self.wire.encode("certificates", certificate_record(certificate))
        await self.producer.send(self.source, value, key=certificate.certificate_id.encode())
        self.published += 1

    async def backlog(self, certificates: Iterable[Certificate]) -> None:
        """Publish certificates as fast as the broker takes them."""
        for certificate in certificates:
            await self.publish(certificate)
        await self.producer.flush()

    async def offer(self, due: Iterable[tuple[float, Certificate]]) -> float:
        """Publish whatever the shells do; seconds that it took.

        Latency counts from when a certificate was due, so that neither a stall nor a slow feeder hides anything.

        Args:
            due: certificates with their moments, seconds after the start, in order.
        """
        start = time.time() + 0.2
        for after, certificate in due:
            wait = start + after - time.time()
            if wait > 0:
                await asyncio.sleep(wait)
            self.counter.due[certificate.certificate_id.encode()] = start + after
            await self.publish(certificate)
        await self.producer.flush()
        return max(0.001, time.time() - start)

    async def until(self, results: int) -> None:
        """Wait for that many results.

        Raises:
            EmbeddedServerError: a shell died, or nothing came for `PATIENCE_S`.
        """
        last, since = -1, time.monotonic()
        while (now := self.counter.count) < results:
            assert self._following is not None
            if self._following.done():
                self._following.result()
            if now != last:
                last, since = now, time.monotonic()
            for one in self.running:
                if one.process.poll() is not None:
                    raise EmbeddedServerError(f"{self._process} died", hint=f"its log: {one.log}")
            if time.monotonic() - since > PATIENCE_S:
                logs = ", ".join(str(one.log) for one in self.running)
                raise EmbeddedServerError(f"{results - now} of {results} results are missing", hint=logs)
            await asyncio.sleep(0.05)

    async def all_manual(self) -> None:
        """See that as many manual records as coded ones were written: half a job is no job.

        Raises:
            EmbeddedServerError: some are missing.
        """
        ends = await self.counter.consumer.end_offsets(self.manual)
        if sum(ends.values()) < len(self.counter.answers):
            raise EmbeddedServerError(f"{self._process} wrote {sum(ends.values())} manual records")

    async def generation(self) -> int:
        """The group's generation: it grows by one with each rebalance."""
        return await broker.generation(self.options, self.group)


@asynccontextmanager
async def staged(
    settings: Settings, endpoints: Endpoints, servers: Mapping[str, int], key: str, partitions: int = 0
) -> AsyncIterator[Stage]:
    """A stage of its own, cleared at the end: shells ended, topics deleted.

    Args:
        settings: of the bench.
        endpoints: of Kafka and Triton.
        servers: process ids whose use of the processor is told, by name.
        key: name of the run, in its topics' names.
        partitions: of its topics; 0 for those of the settings.
    """
    settings = settings.model_copy(deep=True)
    group = f"bench-{key}-{os.getpid()}-{int(time.time())}"
    names = {name: f"{group}.{topic}" for name, topic in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    settings.kafka.partitions = partitions or settings.kafka.partitions
    by_subject = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, by_subject))
    options = kafka.client_options(settings, endpoints.bootstrap)
    async with broker.created(settings, options, group) as declared, broker.producer(options) as producer:
        parts = {t.subject: [TopicPartition(t.name, p) for p in range(t.partitions)] for t in declared}
        async with broker.reader(options, [*parts["coded"], *parts["dead-letters"]]) as consumer:
            counter = Counter(consumer, by_subject["coded"])
            stage = Stage(
                settings, endpoints, servers, options, group, by_subject["certificates"], parts["manual"], wire,
                producer, counter,
            )  # fmt: skip
            following = stage._following = asyncio.create_task(counter.follow())
            try:
                yield stage
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await following
                await asyncio.gather(*(asyncio.to_thread(one.stop) for one in stage.running))
