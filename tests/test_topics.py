from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from stream import topics
from stream.embedded.kafka import KafkaServer
from stream.errors import BrokerUnavailable, InvalidData
from stream.settings import Settings
from stream.topics import DECLARED, Topic, declared

SETTINGS = Settings()
TOPICS = {topic.subject: topic for topic in declared(SETTINGS)}


def test_what_holds_the_same_key_is_parted_alike() -> None:
    shared = {TOPICS[s].partitions for s in ("certificates", "corrections", "coded")}
    assert shared == {SETTINGS.kafka.partitions}


def test_certificates_and_coded_are_never_compacted() -> None:
    assert TOPICS["manual"].config["cleanup.policy"] == "compact"
    assert {s for s, t in TOPICS.items() if "compact" in t.config["cleanup.policy"]} == {"manual", "automation"}
    assert TOPICS["coded"].config["retention.ms"] == "-1"


def test_a_dead_letter_or_a_task_may_hold_a_whole_certificate() -> None:
    largest = int(TOPICS["certificates"].config["max.message.bytes"])
    for subject in ("dead-letters", "manual"):
        assert int(TOPICS[subject].config["max.message.bytes"]) > largest


def test_every_topic_declares_its_key() -> None:
    for subject, body in yaml.safe_load(DECLARED.read_text()).items():
        assert set(body) == {"key", "partitions", "config"}, subject
        assert all(isinstance(value, str) for value in body["config"].values())


def test_names_and_partitions_are_those_of_the_settings() -> None:
    settings = Settings()
    settings.kafka.partitions = 7
    settings.kafka.topics.dead_letters = "elsewhere"
    found = {topic.subject: topic for topic in declared(settings)}
    assert found["dead-letters"].name == "elsewhere"
    assert found["coded"].partitions == 7
    assert found["alerts"].partitions == 1


@pytest.mark.parametrize("text", ["nowhere: {partitions: 1, config: {}}", "coded: {partitions: 1}"])
def test_a_malformed_declaration(tmp_path: Path, text: str) -> None:
    (tmp_path / "topics.yaml").write_text(text)
    with pytest.raises(InvalidData, match=r"topics\.yaml"):
        declared(SETTINGS, tmp_path / "topics.yaml")


async def test_nobody_listens() -> None:
    options = {"bootstrap_servers": "127.0.0.1:1", "request_timeout_ms": 1000}
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        await topics.create(options, tuple(TOPICS.values()), 1)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        await topics.check(options, tuple(TOPICS.values()))


@pytest.mark.servers
async def test_create_and_check_on_a_broker(kafka_server: KafkaServer) -> None:
    options = {"bootstrap_servers": kafka_server.bootstrap, "not an option of admins": 1}
    run = uuid.uuid4().hex[:8]
    wanted = tuple(replace(topic, name=f"{run}.{topic.name}") for topic in declared(SETTINGS))
    assert await topics.check(options, wanted) == [f"{topic.name}: missing" for topic in wanted]
    assert await topics.create(options, wanted[:2], 1) == [topic.name for topic in wanted[:2]]
    assert await topics.create(options, wanted, 1) == [topic.name for topic in wanted[2:]]
    assert await topics.create(options, wanted, 1) == []
    await settled(options, wanted, [])

    coded, manual = (next(t for t in wanted if t.subject == s) for s in ("coded", "manual"))
    await alter(kafka_server.bootstrap, coded.name, {**coded.config, "retention.ms": "1000"})
    more = tuple(replace(t, partitions=9) if t is manual else t for t in wanted)
    await settled(options, more, [
        f"{coded.name}: retention.ms is 1000, -1 declared", f"{manual.name}: {manual.partitions} partitions, 9 declared",
    ])  # fmt: skip
    # What exists is left as it is.
    assert await topics.create(options, more, 1) == []
    await settled(options, wanted, [f"{coded.name}: retention.ms is 1000, -1 declared"])


async def settled(options: dict[str, object], wanted: tuple[Topic, ...], faults: list[str]) -> None:
    """The check, once the broker has spread a change among its own parts."""
    for _ in range(50):
        found = await topics.check(options, wanted)
        if found == faults:
            break
        await asyncio.sleep(0.1)
    assert found == faults


@pytest.mark.servers
async def test_a_broker_that_refuses(kafka_server: KafkaServer) -> None:
    options = {"bootstrap_servers": kafka_server.bootstrap}
    with pytest.raises(BrokerUnavailable, match=r"InvalidTopicError|InvalidTopic"):
        await topics.create(options, (Topic("coded", "no/such name", 1, {}),), 1)
    with pytest.raises(BrokerUnavailable, match="InvalidReplicationFactor"):
        await topics.create(options, (Topic("coded", uuid.uuid4().hex, 1, {}),), 3)
    with pytest.raises(BrokerUnavailable, match="InvalidConfig"):
        await topics.create(options, (Topic("coded", uuid.uuid4().hex, 1, {"retention.ms": "long"}),), 1)


async def alter(bootstrap: str, name: str, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=config)])
    finally:
        await admin.close()
