"""The desk against a real broker: the topics in, decisions out, processes killed in the middle of sending."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaProducer
from shared import LONG

from desk.office import ALL, ANNE, Office, certificate, draft, machine, task
from stream import topics
from stream.coding import CodedCertificate, ManualTask, coded_record, correction_record, task_record
from stream.database import open_database
from stream.desk import rebuild
from stream.desk.records import correction_of
from stream.desk.refusals import NotReady
from stream.desk.service import DeskService
from stream.desk.tables import DECISIONS, OUTBOX, TASKS
from stream.embedded.kafka import KafkaServer
from stream.reader import KafkaReader
from stream.registry import open_registry
from stream.settings import Settings
from stream.wire import Wire
from stream.worker.subjects import subject_topics

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.servers


@dataclass
class World:
    """Topics of a test's own, and the settings that name them."""

    settings: Settings
    bootstrap: str
    environment: dict[str, str]

    def office(self, name: str) -> Office:
        path = self.settings.root / f"{name}.sqlite"
        engine = open_database(self.settings.desk.database, path)
        return Office(engine, self.settings.root, settings=self.settings)

    async def write(self, *values: ManualTask | CodedCertificate) -> None:
        """What the worker writes."""
        names = subject_topics(self.settings)
        wire = Wire(open_registry(self.settings.registry, names))
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for value in values:
                manual = isinstance(value, ManualTask)
                subject = "manual" if manual else "coded"
                record = task_record(value) if isinstance(value, ManualTask) else coded_record(value)
                key = value.certificate_id.encode()
                await producer.send_and_wait(names[subject], wire.encode(subject, record), key=key)

    async def sent(self) -> list[str]:
        """Decisions on the topic, by certificate in their order."""
        found = [
            read.value async for read in KafkaReader(self.settings, self.bootstrap).read(("corrections",))
        ]  # fmt: skip
        return [value["decision_id"] for value in sorted(found, key=lambda value: value["certificate_id"])]

    def send(self, failpoint: str = "") -> int:
        """A process that sends, killed at a point or not; its exit status."""
        environment = {**self.environment, "CAUSA_FAILPOINT": failpoint}
        command = [sys.executable, str(HERE / "sending.py"), self.bootstrap]
        return subprocess.run(command, env=environment, timeout=120, check=False).returncode


@pytest.fixture
async def world(kafka_server: KafkaServer, tmp_path: Path) -> AsyncIterator[World]:
    run = uuid.uuid4().hex[:8]
    settings = Settings(home=tmp_path)
    names = {key: f"{run}.{name}" for key, name in settings.kafka.topics.model_dump().items()}
    settings.kafka.topics = type(settings.kafka.topics)(**names)
    settings.worker.group = run
    await topics.create({"bootstrap_servers": kafka_server.bootstrap}, topics.declared(settings), 1)
    environment = {
        **os.environ, "PYTHONPATH": str(HERE.parent.parent), "CAUSA_HOME": str(tmp_path), "CAUSA_WORKER__GROUP": run,
        "CAUSA_DESK__KEY": "key of the tests",
        **{f"CAUSA_KAFKA__TOPICS__{key.upper()}": name for key, name in names.items()},
    }  # fmt: skip
    yield World(settings, kafka_server.bootstrap, environment)


def rows(office: Office, table: sa.Table) -> list[sa.Row]:  # type: ignore[type-arg]
    with office.desk.engine.connect() as connection:
        return list(connection.execute(table.select().order_by(*table.primary_key)))


async def test_killed_while_sending_nothing_is_lost_or_sent_twice(world: World) -> None:
    office = world.office("desk")
    service = DeskService(world.settings, office.desk, world.bootstrap)
    written: list[ManualTask | CodedCertificate] = []
    for number in range(30):
        made = certificate(f"c{number:02}")
        coded = machine(made, audit=number % 5 == 0)
        written += [coded, task(made, coded)]
    await world.write(*written)
    await service.intake.run(lambda: KafkaReader(world.settings, world.bootstrap))
    assert len(office.ids(ANNE)) == 30
    for number in range(30):
        office.clock.pass_(1)
        claim = office.desk.take(ANNE, f"c{number:02}")
        done = office.desk.decide(ANNE, claim.claim_id, draft("I21.9"))
        if number % 4 == 0:
            undone = office.desk.undo(ANNE, done.decision_id, "SLIP")
            assert undone.claim is not None
            office.desk.decide(ANNE, undone.claim.claim_id, draft("C25.9", reason="OTHER"))
    made_ = sorted(
        (correction_of(row.body) for row in rows(office, DECISIONS)),
        key=lambda one: (one.certificate_id, one.decided_at),
    )
    wanted = [one.decision_id for one in made_]
    assert len(wanted) == 46

    if LONG:
        assert world.send("mid-produce:kill") == -9
        assert await world.sent() == [], "what was under way was no transaction"
    # The first commit is the one that fences, and writes nothing.
    assert world.send("after-commit:kill:2") == -9
    async with asyncio.timeout(30):
        while len(await world.sent()) < len(wanted):
            pass  # the broker answers before its marks are on every partition
    assert await world.sent() == wanted
    assert len(rows(office, OUTBOX)) == 46, "it was killed before it could note it"
    await service.sender.begin()
    assert await service.sender.send() == 0
    await service.sender._topic.close()
    assert await world.sent() == wanted, "the next one found them on the topic"
    assert not rows(office, OUTBOX)

    await service.intake.run(lambda: KafkaReader(world.settings, world.bootstrap))
    assert all(row.read for row in rows(office, DECISIONS))
    other = world.office("other")
    with other.desk.engine.begin() as connection:
        rebuild.begin(connection, other.clock.now)
    with pytest.raises(NotReady):
        other.desk.next(ANNE, ALL)
    await DeskService(world.settings, other.desk, world.bootstrap).intake.run(
        lambda: KafkaReader(world.settings, world.bootstrap)
    )
    assert [tuple(row) for row in rows(other, TASKS)] == [tuple(row) for row in rows(office, TASKS)]
    assert [correction_record(correction_of(row.body)) for row in rows(other, DECISIONS)] == [
        correction_record(correction_of(row.body)) for row in rows(office, DECISIONS)
    ]
    for one in (office, other):
        one.desk.engine.dispose()
