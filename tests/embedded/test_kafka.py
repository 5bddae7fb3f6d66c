from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream.embedded.kafka import KafkaServer, _escaped
from stream.embedded.ports import HOST, is_open
from stream.embedded.process import State
from stream.errors import EmbeddedServerError
from stream.settings import Settings

TOPIC = "t"


@pytest.fixture
def kafka(settings: Settings) -> Iterator[KafkaServer]:
    proxied = {
        "listeners": f"PLAINTEXT://{HOST}:{{client}},CONTROLLER://{HOST}:{{controller}},PROXIED://{HOST}:{{proxied}}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{{client}},PROXIED://{HOST}:{{proxy}}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
    }
    server = KafkaServer(settings, overrides=proxied)
    yield server
    server.stop()


async def create(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    finally:
        await admin.close()


async def configured(bootstrap: str, name: str) -> str:
    """A broker's own word on one of its settings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.BROKER, "1", {name: None})])
        ((_, _, _, _, (entry, *_)),) = answer.resources
        return str(entry[1])
    finally:
        await admin.close()


async def publish(bootstrap: str, *values: bytes) -> None:
    async with (
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="test", max_request_size=16_000_000) as producer,
        producer.transaction(),
    ):
        for value in values:
            await producer.send(TOPIC, value, partition=0)


async def read(bootstrap: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=bootstrap,
        group_id="test",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


@pytest.mark.servers
async def test_records_outlive_stop_and_kill(kafka: KafkaServer, gone: Callable[..., bool]) -> None:
    reserved = kafka.reserve()
    with kafka:
        assert kafka.ports == reserved
        assert is_open(kafka.ports["proxied"])
        assert not is_open(kafka.ports["proxy"])
        assert kafka.start() is False
        bootstrap = kafka.bootstrap
        # The offsets of a group without members are kept for good.
        assert await configured(bootstrap, "offsets.retention.minutes") == str(2**31 - 1)
        await create(bootstrap)
        large = os.urandom(10_000_000)
        await publish(bootstrap, b"first", large)
        assert await read(bootstrap, 2) == [b"first", large]
    assert kafka.status().state is State.STOPPED

    kafka.start()
    assert kafka.bootstrap == bootstrap
    await publish(bootstrap, b"second")
    before = kafka.status()
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    assert gone(before.pid)
    assert kafka.status().state is State.DIED
    assert kafka.status().pid is None

    assert kafka.start() is True
    after = kafka.status()
    assert after.state is State.RUNNING
    assert after.pid != before.pid
    assert after.address == bootstrap
    assert await read(bootstrap, 3) == [b"first", large, b"second"]


@pytest.mark.servers
def test_a_wrong_override_is_told_in_one_line(settings: Settings) -> None:
    with pytest.raises(EmbeddedServerError, match=r"could not be formatted: .+") as failure:
        KafkaServer(settings, overrides={"num.io.threads": "many"}).start()
    assert "\n" not in failure.value.message
    assert KafkaServer(settings).status().state is State.STOPPED


def test_before_the_first_start(settings: Settings) -> None:
    with pytest.raises(EmbeddedServerError, match="never started") as failure:
        _ = KafkaServer(settings).bootstrap
    assert failure.value.hint == "causa up"


def test_a_silent_port_is_not_ready(settings: Settings) -> None:
    with socket.create_server((HOST, 0)) as listener:
        assert KafkaServer(settings)._answers({"client": listener.getsockname()[1]}) is False


def test_values_of_a_properties_file() -> None:
    assert _escaped("C:\\données 🫀") == "C:\\\\donn\\u00e9es \\ud83e\\udec0"
