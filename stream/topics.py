"""The topics as declared in `topics.yaml`: created, and checked against what the broker has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from stream import kafka
from stream.errors import BrokerUnavailable, InvalidData
from stream.settings import Settings

DECLARED = Path(__file__).with_name("topics.yaml")


@dataclass(frozen=True, slots=True)
class Topic:
    """A declared topic.

    Attributes:
        subject: its role (`certificates`, …).
        name: its name on the broker.
        partitions: how many.
        config: Kafka's own settings for it.
    """

    subject: str
    name: str
    partitions: int
    config: Mapping[str, str]


def declared(settings: Settings, path: Path = DECLARED) -> tuple[Topic, ...]:
    """The declared topics under their configured names.

    Raises:
        InvalidData: a subject without a name in the settings, or a malformed declaration.
    """
    found = []
    for subject, body in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        name = getattr(settings.kafka.topics, subject.replace("-", "_"), None)
        if name is None or not isinstance(body.get("config"), dict):
            raise InvalidData(f"{path.name}: {subject} is no topic of the settings, or has no config")
        partitions = settings.kafka.partitions if body["partitions"] == "shared" else int(body["partitions"])
        found.append(Topic(subject, name, partitions, {str(k): str(v) for k, v in body["config"].items()}))
    return tuple(found)


async def create(options: Mapping[str, Any], topics: tuple[Topic, ...], replication: int) -> list[str]:
    """Create the topics that are missing; the names of those created. Existing ones are left as they are.

    Raises:
        BrokerUnavailable: the broker refuses or does not answer.
    """
    async with connected(options) as admin:
        existing = set(await admin.list_topics())
        missing = [t for t in topics if t.name not in existing]
        new = [NewTopic(t.name, t.partitions, replication, topic_configs=dict(t.config)) for t in missing]
        if new:
            answer = await admin.create_topics(new)
            faults = {name: for_code(code) for name, code, *_ in answer.topic_errors if code}
            for name, fault in faults.items():
                # Another creator was faster, or the broker's list is a moment behind itself.
                if fault is not TopicAlreadyExistsError:
                    raise BrokerUnavailable(f"topic {name} cannot be created: {fault.__name__}")
            missing = [t for t in missing if t.name not in faults]
        return [t.name for t in missing]


async def delete(options: Mapping[str, Any], names: Iterable[str]) -> None:
    """Delete topics with all that they hold; one that is not there is none to delete.

    Raises:
        BrokerUnavailable: the broker refuses or does not answer.
    """
    async with connected(options) as admin:
        answer = await admin.delete_topics(list(names))
        for name, code in answer.topic_error_codes:
            fault = for_code(code)
            if code and fault is not UnknownTopicOrPartitionError:
                raise BrokerUnavailable(f"topic {name} cannot be deleted: {fault.__name__}")


async def missing(options: Mapping[str, Any], topics: tuple[Topic, ...]) -> list[str]:
    """Names of the declared topics that the broker does not have.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    async with connected(options) as admin:
        existing = set(await admin.list_topics())
    return [t.name for t in topics if t.name not in existing]


async def partitions(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, int]:
    """Number of partitions of each topic, as the broker has it.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    async with connected(options) as admin:
        return {d["topic"]: len(d["partitions"]) for d in await admin.describe_topics(list(names))}


async def check(options: Mapping[str, Any], topics: tuple[Topic, ...]) -> list[str]:
    """Differences between the declaration and the broker, one sentence each; empty when all is as declared.

    Raises:
        BrokerUnavailable: the broker does not answer.
    """
    async with connected(options) as admin:
        existing = set(await admin.list_topics())
        faults = [f"{t.name}: missing" for t in topics if t.name not in existing]
        present = [t for t in topics if t.name in existing]
        described = {d["topic"]: d for d in await admin.describe_topics([t.name for t in present])} if present else {}
        for topic in present:
            number = len(described[topic.name]["partitions"])
            if number != topic.partitions:
                faults.append(f"{topic.name}: {number} partitions, {topic.partitions} declared")
            resource = ConfigResource(ConfigResourceType.TOPIC, topic.name)
            answers = await admin.describe_configs([resource])
            actual = {row[0]: row[1] for answer in answers for r in answer.resources for row in r[4]}
            faults += [
                f"{topic.name}: {key} is {actual.get(key)}, {value} declared"
                for key, value in topic.config.items()
                if actual.get(key) != value
            ]
        return faults


class connected:  # noqa: N801 - reads as a function
    """Admin client as a context, its faults as ours."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        allowed = ("bootstrap_servers", "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username",
                   "sasl_plain_password", "request_timeout_ms", "client_id")  # fmt: skip
        self._options = {k: v for k, v in options.items() if k in allowed}
        self._client = AIOKafkaAdminClient(**self._options)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        try:
            await self._client.start()
        except KafkaError as error:
            await self._client.close()
            raise await kafka.refusal(self._options, error) from None
        return self._client

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._client.close()
        if isinstance(error, KafkaError):
            raise BrokerUnavailable(f"Kafka: {type(error).__name__}") from None
