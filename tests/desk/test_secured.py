"""The desk and the alerts' publisher on a broker that asks who one is, each with its role's rights and nothing more."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from security.authority import Authority
from shared import LONG
from surveillance.alerts.made import database
from surveillance.alerts.test_register import alert

from desk.office import ANNE, Office, certificate, draft, machine, task
from stream import acl, kafka, topics
from stream.certificate import utc_now
from stream.coding import coded_record, task_record
from stream.database import open_database, prepare, writing
from stream.desk.outbox import KafkaTopic
from stream.desk.service import DeskService
from stream.desk.tables import OUTBOX
from stream.embedded.kafka import KafkaServer
from stream.embedded.secure import ADMINISTRATOR, Security
from stream.errors import BrokerUnavailable
from stream.reader import KafkaReader, Read
from stream.registry import open_registry
from stream.settings import Kafka, Sasl, Settings, Tls
from stream.surveillance.alerts import publisher, store
from stream.surveillance.alerts.tables import FORM, TABLES
from stream.wire import Wire
from stream.worker.subjects import subject_topics

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(not LONG, reason="a secured broker of its own: make chaos"),
]
PASSWORDS = {f"causa-{role}": f"hunter2-{role}" for role in ("desk", "surveillance")}


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something of the broker's."""
    for _ in range(600):
        if await holds():
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"it does not come: {what}")


@dataclass(frozen=True)
class Secured:
    """A broker that knows users, with topics of this run and the declared rights on them."""

    server: KafkaServer
    authority: Authority
    run: str
    folder: Path

    def settings(self, user: str) -> Settings:
        """Settings of a process of a user's."""
        found = Settings(home=self.folder / user)
        names = {key: f"{self.run}.{name}" for key, name in found.kafka.topics.model_dump().items()}
        password = PASSWORDS.get(user, "hunter2-admin")
        found.kafka = Kafka(
            bootstrap=self.server.secure, request_timeout_s=5.0, tls=Tls(enabled=True, ca_file=self.authority.file),
            sasl=Sasl.model_validate({"mechanism": "SCRAM-SHA-512", "username": user, "password": password}),
            topics=type(found.kafka.topics)(**names),
        )  # fmt: skip
        found.worker.group = self.run
        return found

    async def read(self, subject: str) -> list[Read]:
        """All of a topic, as the administrator sees it."""
        settings = self.settings(ADMINISTRATOR)
        return [read async for read in KafkaReader(settings, self.server.secure).read((subject,))]


@pytest.fixture(scope="module")
def broker(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder, "authority")
    security = Security(authority.sign("broker").both, authority.file, "CN=broker", "hunter2-admin", PASSWORDS)
    with KafkaServer(Settings(home=folder), security=security) as server:
        yield Secured(server, authority, uuid.uuid4().hex[:8], folder)


@pytest.fixture
async def secured(broker: Secured) -> AsyncIterator[Secured]:
    settings = broker.settings(ADMINISTRATOR)
    options, declared = kafka.client_options(settings, broker.server.secure), acl.declared(settings)
    if await topics.missing(options, topics.declared(settings)):
        await topics.create(options, topics.declared(settings), 1)
        await acl.grant(options, declared)

        async def given() -> bool:
            return set(declared) <= await acl.present(options)

        await until("the rights are there", given)
    yield broker


async def test_the_desk_reads_its_topics_and_sends_its_decisions_as_its_role(secured: Secured, tmp_path: Path) -> None:
    admin, settings = secured.settings(ADMINISTRATOR), secured.settings("causa-desk")
    names = subject_topics(admin)
    wire = Wire(open_registry(admin.registry, names))
    async with AIOKafkaProducer(**kafka.client_options(admin, secured.server.secure)) as producer:
        for number in range(3):
            made = certificate(f"c{number}")
            coded = machine(made, audit=number == 0)
            for subject, record in (("coded", coded_record(coded)), ("manual", task_record(task(made, coded)))):
                await producer.send_and_wait(
                    names[subject], wire.encode(subject, record), key=made.certificate_id.encode()
                )
    engine = open_database(settings.desk.database, tmp_path / "desk.sqlite")
    office = Office(engine, tmp_path, settings=settings, clock=utc_now)
    service = DeskService(settings, office.desk, secured.server.secure)
    working = asyncio.create_task(service.run())
    try:

        async def ready() -> bool:
            if working.done():
                working.result()
            return not service.ready()

        await until("intake and outbox are ready", ready)
        assert len(office.ids(ANNE)) == 3
        made_ = []
        for name in ("c0", "c1", "c2"):
            claim = await asyncio.to_thread(office.desk.take, ANNE, name)
            made_.append(await asyncio.to_thread(office.desk.decide, ANNE, claim.claim_id, draft("I21.9")))

        async def sent() -> bool:
            with engine.connect() as connection:
                return not connection.execute(OUTBOX.select()).all()

        await until("the broker has all", sent)
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
    found = {read.value["decision_id"] for read in await secured.read("corrections")}
    assert found == {done.decision_id for done in made_}
    engine.dispose()

    # The name that fences all desks is the desk's alone, and what the machine coded is not the desk's to write.
    stranger = secured.settings("causa-surveillance")
    options = kafka.client_options(stranger, secured.server.secure)
    thief = KafkaTopic(wire, names["corrections"], f"{secured.run}-desk", options)
    with pytest.raises(BrokerUnavailable):
        await thief.begin()
    await thief.close()


async def test_alerts_are_published_as_their_role(secured: Secured) -> None:
    settings = secured.settings("causa-surveillance")
    names = subject_topics(settings)
    engine = database()
    prepare(engine, TABLES, service="alerts", version=FORM)
    revisions = [replace(alert(), revision=number) for number in (1, 2)]
    for one in revisions:
        with writing(engine) as connection:
            store.put(connection, [one])
    topic = publisher.KafkaTopic(
        Wire(open_registry(settings.registry, names)), names["alerts"], f"{secured.run}-surveillance-alerts",
        kafka.client_options(settings, secured.server.secure),
    )  # fmt: skip
    publishing = publisher.Publisher(engine, topic, lambda: KafkaReader(settings, secured.server.secure))
    await publishing.begin()
    assert await publishing.publish() == len(revisions)
    await publishing.begin()  # another process: what stands in the topic is read with the role's rights
    assert await publishing.publish() == 0
    await topic.close()
    assert [read.value["revision"] for read in await secured.read("alerts")] == [1, 2]
    engine.dispose()
