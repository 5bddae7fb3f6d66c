"""`causa tail`: what a topic holds, one JSON record a line."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, datetime
from typing import Annotated, Any

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stream import kafka
from stream.cli.output import utf8_stdout
from stream.embedded.servers import Embedded
from stream.errors import BadAvro, BrokerUnavailable, InputError, InvalidSettings
from stream.registry import SUBJECTS, open_registry
from stream.settings import Settings, load
from stream.wire import Wire
from stream.worker.subjects import subject_topics

SHOWN_TEXT = frozenset({"certificates", "manual", "dead-letters"})


def command(
    subject: Annotated[str, typer.Argument(help="certificates, coded, manual, corrections, alerts or dead-letters.")],
    *,
    last: Annotated[int, typer.Option("-n", min=0, help="Begin so many records before the end of each partition.")] = 0,
    beginning: Annotated[bool, typer.Option(help="Begin at the first record.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more at the end; --no-follow stops there.")] = True,
    text: Annotated[bool, typer.Option(help="Show what the certificates say; else it is hidden.")] = False,
) -> None:
    """Print the records of a topic as JSON, one a line, as committed.

    Certificates' text is hidden unless `--text` is given. It reads without a group: no offset moves.
    Examples: `causa tail coded`, `causa tail manual --beginning --no-follow --text | jq .reasons`
    """
    if subject not in SUBJECTS:
        raise InvalidSettings(f"{subject} is no topic of Causa", hint=", ".join(SUBJECTS))
    settings = load()
    utf8_stdout()
    try:
        asyncio.run(_tail(settings, subject, last, beginning, limit, follow, text))
    except KafkaError as error:
        raise BrokerUnavailable(f"Kafka does not answer: {type(error).__name__}", hint="causa status") from None


async def _tail(
    settings: Settings, subject: str, last: int, beginning: bool, limit: int | None, follow: bool, text: bool
) -> None:
    topics = subject_topics(settings)
    wire = Wire(open_registry(settings.registry, topics))
    options = kafka.client_options(settings, Embedded(settings).bootstrap())
    consumer = AIOKafkaConsumer(
        **options, group_id=None, enable_auto_commit=False, isolation_level="read_committed",
        max_partition_fetch_bytes=20 * 1024 * 1024,
    )  # fmt: skip
    try:
        await consumer.start()
        parts = [TopicPartition(topics[subject], p) for p in await _partitions(consumer, topics[subject])]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        first = await consumer.beginning_offsets(parts)
        for part in parts:
            consumer.seek(part, first[part] if beginning else max(first[part], ends[part] - last))
        shown = 0
        while limit is None or shown < limit:
            batch = await consumer.getmany(timeout_ms=500, max_records=500)
            for records in batch.values():
                for record in records:
                    if limit is not None and shown >= limit:
                        break
                    typer.echo(json.dumps(_readable(wire, subject, record, text), ensure_ascii=False))
                    shown += 1
            if not batch and not follow and all([await consumer.position(p) >= ends[p] for p in parts]):
                return
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.force_metadata_update()
    for _ in range(20):
        found = consumer.partitions_for_topic(topic)
        if found:
            return sorted(found)
        consumer._client.add_topic(topic)
        await asyncio.sleep(0.2)
    raise InvalidSettings(f"there is no topic {topic}", hint="causa topics create")


def _readable(wire: Wire, subject: str, record: Any, text: bool) -> Any:
    try:
        value = wire.decode(subject, record.value)
    except InputError as error:
        value = {"error": error.code if not isinstance(error, BadAvro) else error.message}
    if subject in SHOWN_TEXT and not text:
        value = _hidden(value)
    return _plain({"partition": record.partition, "offset": record.offset, **value})


_TEXTS = frozenset({"text", "interval", "reason", "mother", "accident_place", "payload"})
_CODES = {
    # Avro takes any string here, and a dead letter may bear any key: they are shown where they can be no sentence.
    "pregnancy": re.compile(r"[A-Z0-9_]{1,64}"),
    "autopsy": re.compile(r"[A-Z0-9_]{1,64}"),
    **dict.fromkeys(
        ("certificate_id", "key", "parts", "form_version", "department", "commune"), re.compile(r"[\x21-\x7e]{1,128}")
    ),
}


def _hidden(value: Any, name: str = "") -> Any:
    """The value without what a certificate says; `name` is the field that holds it."""
    if isinstance(value, dict):
        # Sealed text is hidden too, but for the id of its key.
        return {key: _hidden(item, name if name in _TEXTS and key != "key_id" else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, name) for item in value]
    if isinstance(value, str | bytes) and _tells(value, name):
        return f"[{len(value)} hidden]"
    return value


def _tells(value: str | bytes, name: str) -> bool:
    """Whether a field's value may say what a certificate says."""
    if name not in _CODES:
        return name in _TEXTS
    written = value.decode("latin-1") if isinstance(value, bytes) else value
    return _CODES[name].fullmatch(written) is None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value
