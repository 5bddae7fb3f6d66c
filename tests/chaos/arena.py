"""A broker, a model server and several workers, fed with certificates while faults strike."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from worker.certificates import samples, spoiled

from chaos.fleet import Fleet
from chaos.proxy import Proxy
from chaos.reader import Reader
from stream import topics
from stream.certificate import Certificate, Status, certificate_record
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Correction,
    DecisionKind,
    Entity,
    Method,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
    correction_record,
)
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY, Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

INPUTS = ("certificates", "corrections")
RESULTS = ("coded", "manual", "dead-letters")
AHEAD = 3_000
"""Certificates published before their results are there: a backlog that no single worker holds in memory."""
PORTION_S = 0.25
AMENDED = 7
"""Every so-maniest certificate comes again, amended."""
DECIDED = 0.08
"""Coders' decisions for each certificate."""
PATIENCE_S = 240.0


@dataclass
class Servers:
    """What an arena stands on.

    Attributes:
        kafka: one broker or several.
        proxy: what workers reach the first of them through; None where they reach it directly.
        answers: file that says how the served models misbehave; None where they cannot.
    """

    kafka: Sequence[KafkaServer]
    triton: TritonServer
    proxy: Proxy | None = None
    answers: Path | None = None

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.bootstrap for broker in self.kafka)


class Stuck(AssertionError):
    """Something that must happen has not happened for minutes."""


@dataclass
class Arena:
    """Several workers of one group on topics of their own.

    Attributes:
        chance: every choice of a run, by its seed.
        figures: what faults have done, to be told in the report.
    """

    servers: Servers
    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    variables: dict[str, str] = field(default_factory=dict)
    replication: int = 1
    figures: dict[str, int] = field(default_factory=dict)
    published: int = 0

    async def __aenter__(self) -> Self:
        self.run = uuid.uuid4().hex[:8]
        names = {key: f"{self.run}.{name}" for key, name in Settings().kafka.topics.model_dump().items()}
        self.settings = Settings(home=self.folder)
        self.settings.kafka.topics = type(self.settings.kafka.topics)(**names)
        self.topics = subject_topics(self.settings)
        self.wire = Wire(LocalRegistry(REPOSITORY / "schemas"))
        self.options: dict[str, Any] = {"bootstrap_servers": self.servers.bootstrap}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.fleet = Fleet(self.run, self._environment(names), self.folder)
        declared = topics.declared(self.settings)
        await topics.create(self.options, declared, self.replication)
        self.parts = {t.subject: [TopicPartition(t.name, p) for p in range(t.partitions)] for t in declared}
        self.reader = Reader(self.options, [part for subject in RESULTS for part in self.parts[subject]])
        await self.reader.start()
        self._producer = AIOKafkaProducer(
            **self.options, enable_idempotence=True, linger_ms=5, max_request_size=16 * 1024 * 1024,
            request_timeout_ms=120_000,
        )  # fmt: skip
        await self._producer.start()
        return self

    def _environment(self, names: dict[str, str]) -> dict[str, str]:
        proxy = self.servers.proxy
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("CAUSA_")},
            **{f"CAUSA_KAFKA__TOPICS__{k.upper()}": v for k, v in names.items()},
            "CAUSA_KAFKA__BOOTSTRAP": proxy.address if proxy else self.servers.bootstrap,
            "CAUSA_TRITON__URL": self.servers.triton.url,
            "CAUSA_HOME": str(self.folder / "home"),
            "CAUSA_LOG_FORMAT": "json",
            "CAUSA_WORKER__BATCH_MAX": "32",
            "CAUSA_WORKER__SESSION_TIMEOUT_S": "6",
            "OMP_NUM_THREADS": "1",
            **self.variables,
        }

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.fleet.close()
        await self.reader.stop()
        await self._producer.stop()

    def count(self, figure: str, more: int = 1) -> None:
        """Add to a figure of the report."""
        self.figures[figure] = self.figures.get(figure, 0) + more

    @property
    def answered(self) -> int:
        """Results so far, as the concurrent reader of committed records sees them."""
        return self.reader.count(self.topics["coded"]) + self.reader.count(self.topics["dead-letters"])

    async def feed(self, certificates: int, rate: float, enough: asyncio.Event, *, poison: float = 0.0) -> None:
        """Publish certificates, some of them amended later, with unreadable records at random places among them.

        Args:
            certificates: so many at least, and on until there are enough.
            rate: most in a second.
            enough: set when no more are needed.
            poison: share of unreadable records.
        """
        bad = itertools.cycle([(one.key, one.value) for one in spoiled(self.wire)])
        source = turns()
        certificates_topic, corrections_topic = (self.topics[subject] for subject in INPUTS)
        portion = max(1, round(rate * PORTION_S))
        while self.published < certificates or not enough.is_set():
            await self.until(lambda: self.published - self.answered < AHEAD, "the workers to take what is published")
            records = [self._record(next(source)) for _ in range(portion)]
            for _ in range(portion):
                if self.chance.random() < poison:
                    records.insert(self.chance.randrange(len(records) + 1), next(bad))
            decisions = [self._decision() for _ in range(portion) if self.chance.random() < DECIDED]
            sent = [await self._producer.send(certificates_topic, value, key=key) for key, value in records]
            sent += [await self._producer.send(corrections_topic, value, key=key) for key, value in decisions]
            await asyncio.gather(*sent)
            self.published += len(records) + len(decisions)
            await asyncio.sleep(PORTION_S)

    def _record(self, certificate: Certificate) -> tuple[bytes | None, bytes | None]:
        value = self.wire.encode("certificates", certificate_record(certificate))
        return certificate.certificate_id.encode(), value

    def _decision(self) -> tuple[bytes, bytes]:
        """A coder's decision; one in ten is none that a record can be made of."""
        number = self.figures.get("decisions", 0)
        self.count("decisions")
        correction = decided(number)
        if number % 10 == 9:
            correction = replace(correction, version=2)
        return correction.certificate_id.encode(), self.wire.encode("corrections", correction_record(correction))

    async def until(self, so: Callable[[], bool], what: str) -> None:
        """Wait until it is so.

        Raises:
            Stuck: it never gets there.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not so():  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Stuck(f"waited for {what} in vain: {self.state()}; {self.fleet.log()[-3000:]}") from None

    def state(self) -> str:
        """Where the run stands, for a person who watches."""
        return (
            f"{self.answered} of {self.published} answered, "
            f"{len(self.fleet.serving)} of {len(self.fleet.alive)} workers serve, {self.figures}"
        )

    async def settled(self) -> None:
        """Wait until every offset of the input is committed and no transaction is open."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while await self.behind() or await self.open_transactions():  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise Stuck(f"never settled: {self.state()}; {self.fleet.log()[-3000:]}") from None
        await self.reader.to_the_end()

    async def behind(self) -> int:
        """Records of the input below its end whose offsets are not committed; all of them where nobody can tell."""
        admin = AIOKafkaAdminClient(**self.options)
        try:
            await admin.start()
            inputs = [part for subject in INPUTS for part in self.parts[subject]]
            committed = await admin.list_consumer_group_offsets(self.run, partitions=inputs)
            ends = await self._ends(inputs, "read_uncommitted")
            return sum(end - max(0, committed[part].offset) for part, end in ends.items())
        except (KafkaError, KeyError, OSError):
            return max(1, self.published)
        finally:
            await admin.close()

    async def open_transactions(self) -> int:
        """Records of result topics that stand behind a transaction without an end."""
        parts = self.reader.parts
        try:
            last, stable = [await self._ends(parts, level) for level in ("read_uncommitted", "read_committed")]
        except (KafkaError, OSError):
            return 1
        return sum(last[part] - stable[part] for part in parts)

    async def _ends(self, parts: Sequence[TopicPartition], level: str) -> dict[TopicPartition, int]:
        consumer = AIOKafkaConsumer(**self.options, isolation_level=level)
        try:
            await consumer.start()
            ends: dict[TopicPartition, int] = await consumer.end_offsets(parts)
            return ends
        finally:
            await consumer.stop()


def turns() -> Iterator[Certificate]:
    """The shipped certificates again and again under other ids, some of them amended a little later."""
    for turn in itertools.count(1):
        earlier: list[Certificate] = []
        for place, certificate in enumerate(samples(f"~{turn}")):
            if place % AMENDED == 0:
                earlier.append(certificate)
            yield certificate
            if place % AMENDED == 3:
                yield amended(earlier.pop())


def amended(certificate: Certificate) -> Certificate:
    """Its next version."""
    return replace(certificate, version=certificate.version + 1, status=Status.AMENDED)


def decided(number: int) -> Correction:
    """A person's first decision on a certificate of its own, with the record that it makes."""
    name, at = f"decided-{number}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    cause = Underlying("I21.9", 1.0, Method.HUMAN, steps=("chosen by a person",))
    result = CodedCertificate(
        name, 1, "hash", CodedStatus.FINAL, Modality.HUMAN, cause, Targeting(Route.MANUAL), Versions(), at,
        part1=(CodedLine((Entity("I21.9", 0, 7, 1.0, Method.HUMAN, "desk"),)),),
    )  # fmt: skip
    return Correction(
        f"d-{number}", DecisionKind.FIRST, name, 1, "p1", "coder", "R1", at, content_hash="hash", result=result
    )
