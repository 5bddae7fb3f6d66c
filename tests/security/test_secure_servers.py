"""TLS, users and rights against a real broker, and TLS to a real Triton."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from typer.testing import CliRunner
from worker.behaviour import nothing_lost, secrets_kept
from worker.certificates import samples
from worker.worlds import RealWorld

from security.authority import Authority
from stream import acl, kafka, topics
from stream.cli.main import app
from stream.coder.model import CANARY, TritonModel
from stream.embedded.kafka import KafkaServer
from stream.embedded.secure import ADMINISTRATOR, Security
from stream.embedded.triton import TritonServer
from stream.errors import BrokerUnavailable, CausaError, InvalidSettings
from stream.settings import REPOSITORY, Kafka, Sasl, Settings, Tls, Triton

pytestmark = pytest.mark.servers
ROLES = ("producer", "worker", "surveillance", "quality", "desk", "replay", "operator")
PASSWORDS = {f"causa-{role}": f"hunter2-{role}" for role in ROLES}


@dataclass(frozen=True)
class Secure:
    """A broker that knows users, a Triton that speaks TLS, and who signed for both."""

    kafka: KafkaServer
    triton: TritonServer
    authority: Authority
    stranger: Authority

    def variables(self, user: str, password: str = "", *, authority: Authority | None = None) -> dict[str, str]:
        """Settings of a process of a user's."""
        ca = str((authority or self.authority).file)
        return {
            "CAUSA_KAFKA__BOOTSTRAP": self.kafka.secure,
            "CAUSA_KAFKA__TLS__ENABLED": "true", "CAUSA_KAFKA__TLS__CA_FILE": ca,
            "CAUSA_KAFKA__SASL__MECHANISM": "SCRAM-SHA-512", "CAUSA_KAFKA__SASL__USERNAME": user,
            "CAUSA_KAFKA__SASL__PASSWORD": password or PASSWORDS.get(user, "hunter2-admin"),
            "CAUSA_TRITON__URL": self.triton.url,
            "CAUSA_TRITON__TLS__ENABLED": "true", "CAUSA_TRITON__TLS__CA_FILE": ca,
        }  # fmt: skip

    def options(self, user: str, **changes: Any) -> dict[str, Any]:
        """Connection options of a client of a user's."""
        variables = self.variables(user, changes.pop("password", ""), authority=changes.pop("authority", None))
        settings = Settings()
        settings.kafka = Kafka(
            bootstrap=self.kafka.secure, request_timeout_s=5.0,
            tls=Tls(enabled=changes.pop("tls", True), ca_file=Path(variables["CAUSA_KAFKA__TLS__CA_FILE"])),
            sasl=Sasl.model_validate({
                "mechanism": "SCRAM-SHA-512", "username": user, "password": variables["CAUSA_KAFKA__SASL__PASSWORD"],
            }),
        )  # fmt: skip
        return kafka.client_options(settings, settings.kafka.bootstrap) | changes


@contextmanager
def secured(folder: Path, passwords: Mapping[str, str]) -> Iterator[Secure]:
    """Kafka with TLS, logins and an authorizer, and Triton with TLS, of one authority."""
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    broker, server = authority.sign("broker"), authority.sign("triton")
    security = Security(broker.both, authority.file, "CN=broker", "hunter2-admin", passwords)
    models = folder / "models"
    shutil.copytree(REPOSITORY / "model_repo", models, ignore=shutil.ignore_patterns("__pycache__"))
    tls = (
        "--grpc-use-ssl=1", f"--grpc-server-cert={server.certificate}", f"--grpc-server-key={server.key}",
        f"--grpc-root-cert={authority.file}",
    )  # fmt: skip
    settings = Settings(home=folder, triton=Triton(model_repo=models))
    with (
        KafkaServer(settings, security=security) as broker_server,
        TritonServer(settings, options=tls) as triton,
    ):
        yield Secure(broker_server, triton, authority, stranger)


@pytest.fixture(scope="module")
def secure(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    with secured(tmp_path_factory.mktemp("secure"), PASSWORDS) as servers:
        yield servers


@pytest.fixture
async def world(secure: Secure, tmp_path: Path) -> AsyncIterator[RealWorld]:
    """The worker over TLS, as the user of its role, with rights as declared; the test itself is the administrator."""
    world = RealWorld(secure.kafka, secure.triton, tmp_path, **secure.variables("causa-worker"))
    world._options = secure.options(ADMINISTRATOR)
    world.settings.worker.group = world._run
    await topics.create(world._options, topics.declared(world.settings), 1)
    declared = acl.declared(world.settings)
    await acl.grant(world._options, declared)
    await _given(world._options, declared)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


async def test_the_worker_runs_over_tls_as_a_user_and_everybody_keeps_to_his_rights(
    secure: Secure, world: RealWorld
) -> None:
    good = samples()[:40]
    names = world.settings.kafka.topics
    producer = AIOKafkaProducer(**secure.options("causa-producer"))
    await producer.start()
    try:
        for key, value in map(world.record, good):
            await producer.send_and_wait(names.certificates, value, key=key)
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait(names.coded, b"forged")
    finally:
        await producer.stop()
    await world.start()
    await world.settled()
    # The offsets of a transaction may be seen a moment before its records.
    await world.until(lambda w: min(len(w.results[subject]) for subject in ("coded", "manual")) >= len(good))
    nothing_lost(world, good, duplicates=False)
    group = world.settings.worker.group

    # Surveillance reads what was coded, and no text.
    assert len(await read(secure, "causa-surveillance", names.coded)) == len(good)
    for closed in (names.manual, names.certificates, names.dead_letters):
        with pytest.raises(TopicAuthorizationFailedError):
            await read(secure, "causa-surveillance", closed)

    # The desk reads its tasks and writes corrections; the machine's results are not its to write.
    assert await read(secure, "causa-desk", names.manual)
    await write(secure, "causa-desk", names.corrections)
    for closed in (names.coded, names.manual, names.certificates):
        with pytest.raises(TopicAuthorizationFailedError):
            await write(secure, "causa-desk", closed)

    # A replay reads certificates under a group of its own, never under the live one, and writes to topics of its own.
    assert await read(secure, "causa-replay", names.certificates, group=f"{group}-replay-1")
    with pytest.raises(GroupAuthorizationFailedError):
        await read(secure, "causa-replay", names.certificates, group=group)
    for closed in (names.coded, names.manual):
        with pytest.raises(TopicAuthorizationFailedError):
            await write(secure, "causa-replay", closed)

    # The worker sees that the topics are there, and reads none of those that it writes.
    with pytest.raises(TopicAuthorizationFailedError):
        await read(secure, "causa-worker", names.manual)

    # Who steals the worker's transactional id is refused.
    thief = AIOKafkaProducer(**secure.options("causa-desk"), transactional_id=f"{group}-0")
    with pytest.raises(KafkaError):
        await thief.start()
    await thief.stop()
    assert await world.terminate() == 0
    secrets_kept(world, good)
    assert "hunter2" not in world.log()


async def test_what_is_wrong_is_said_and_nothing_hangs(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = topics.declared(Settings())
    for changes, told in (
        ({"password": "hunter2-wrong"}, "refuses user and password"),
        ({"authority": secure.stranger}, "certificate is not trusted"),
        ({"tls": False}, "it speaks TLS, and the settings do not"),
        ({"bootstrap_servers": secure.kafka.bootstrap}, "does not speak TLS"),
        ({"sasl_mechanism": "PLAIN"}, "has no such login"),
    ):
        async with asyncio.timeout(30):
            with pytest.raises(InvalidSettings, match=told) as failure:
                await topics.missing(secure.options("causa-worker", **changes), declared)
        assert "hunter2" not in failure.value.message + failure.value.hint
    with pytest.raises(BrokerUnavailable):
        await topics.missing(secure.options("causa-worker", bootstrap_servers="127.0.0.1:1"), declared)

    for tls, told in (
        (Tls(enabled=True, ca_file=secure.stranger.file), "certificate is not trusted"),
        (Tls(), "it speaks TLS, and the settings do not"),
    ):
        model = TritonModel(secure.triton.url, Triton(tls=tls))
        assert not await model.ready()
        with pytest.raises(InvalidSettings, match=told):
            await model.check_tls()
        await model.close()
    model = TritonModel(secure.triton.url, Triton(tls=Tls(enabled=True, ca_file=secure.authority.file)))
    assert await model.ready() and await model.ask([CANARY])
    await model.check_tls()
    await model.close()
    plain = TritonModel(secure.triton.http_url, Triton(tls=Tls(enabled=True, ca_file=secure.authority.file)))
    with pytest.raises(InvalidSettings, match="does not speak TLS"):
        await plain.check_tls()
    await plain.close()


def test_a_worker_with_a_wrong_password_ends_with_one_line(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = RealWorld(secure.kafka, secure.triton, tmp_path, **secure.variables("causa-worker", "hunter2-wrong"))
    asyncio.run(world.start())
    process, _ = world._workers[-1]
    assert process.wait(60) == 2
    assert "refuses user and password" in world.log() and "hunter2" not in world.log()


def test_rights_are_given_by_the_command_and_those_that_nobody_declared_are_told(
    secure: Secure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**secure.variables(ADMINISTRATOR), "CAUSA_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    options = secure.options(ADMINISTRATOR)
    stray = acl.Right("User:stray", "TOPIC", "coded", False, "WRITE")
    asyncio.run(acl.grant(options, [stray]))
    result = CliRunner().invoke(app, ["topics", "acl", "--apply"])
    assert result.exit_code == 0 and "rights given" in result.output, result.output
    asyncio.run(_given(options, acl.declared(Settings())))
    again = CliRunner().invoke(app, ["topics", "acl", "--apply"])
    assert again.output.startswith("0 rights given") and f"not declared: {stray}" in again.output
    monkeypatch.setenv("CAUSA_KAFKA__SASL__USERNAME", "causa-operator")
    monkeypatch.setenv("CAUSA_KAFKA__SASL__PASSWORD", PASSWORDS["causa-operator"])
    as_operator = CliRunner().invoke(app, ["topics", "create"])
    assert as_operator.exit_code == 0, as_operator.output
    assert not isinstance(as_operator.exception, CausaError)


async def _given(options: dict[str, Any], rights: list[acl.Right]) -> None:
    """The broker is a moment behind itself."""
    for _ in range(100):
        if set(rights) <= await acl.present(options):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the rights that were given are not there")


async def read(secure: Secure, user: str, topic: str, group: str | None = None) -> list[Any]:
    """All that a user gets of a topic; the first record where it is read under a group.

    Raises:
        TopicAuthorizationFailedError, GroupAuthorizationFailedError: the broker refuses.
    """
    consumer = AIOKafkaConsumer(
        **secure.options(user), group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed",
    )  # fmt: skip
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            if group:
                consumer.subscribe([topic])
                return [await consumer.getone()]
            parts = [TopicPartition(topic, number) for number in range(1 if "dead" in topic else 4)]
            consumer.assign(parts)
            # aiokafka waits for a topic that it may not see, instead of saying so.
            await consumer._client.force_metadata_update()
            if topic in consumer._client.cluster.unauthorized_topics:
                raise TopicAuthorizationFailedError(topic)
            ends = await consumer.end_offsets(parts)
            found = []
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
            return found
    finally:
        await consumer.stop()


async def write(secure: Secure, user: str, topic: str) -> None:
    """One record from a user."""
    producer = AIOKafkaProducer(**secure.options(user))
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"x", key=b"c")
    finally:
        await producer.stop()
