"""What a worker stands on, waited for before it joins its group: the broker, its topics, the group's offsets, the models."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from stream import topics as declared_topics
from stream.errors import InvalidSettings
from stream.settings import Settings
from stream.triton import Endpoint
from stream.wire import Wire
from stream.worker.forgotten import Forgotten
from stream.worker.holding import Patience

log = structlog.get_logger("causa.worker")
POLL_S = 0.5
TOLD_EVERY = 60
"""Polls between two words about a model that is not served: half a minute."""


async def topics_in_order(
    settings: Settings, options: Mapping[str, Any], inputs: Sequence[str], topics: Mapping[str, str], wire: Wire
) -> None:
    """Wait for the broker, and look whether its topics are those that are declared, and what it knows of the group.

    Args:
        settings: all of them.
        options: connection options of aiokafka.
        inputs: topics that the group reads, as Kafka names them.
        topics: topic of each subject.
        wire: codec of all topics.

    Raises:
        InvalidSettings: a topic is missing, the inputs differ in their partitions, or Kafka has forgotten the offsets of
            partitions that have results.
    """
    broker = partial(Patience(POLL_S).until_done, what="broker")
    declared = declared_topics.declared(settings)
    absent = await broker(partial(declared_topics.missing, options, declared))
    if absent:  # before anything else is asked of them: a broker may make the topics that it is asked for
        raise InvalidSettings(f"the broker has no topic {', '.join(absent)}", hint="causa topics create")
    numbers = await broker(partial(declared_topics.partitions, options, inputs))
    if len(set(numbers.values())) > 1:
        told = ", ".join(f"{topic} has {number}" for topic, number in numbers.items())
        raise InvalidSettings(f"the worker's topics differ in their partitions: {told}", hint="causa topics check")
    if settings.worker.delivery == "exactly_once":  # else results may well stand there without an offset
        await broker(Forgotten(inputs, settings.worker.group, topics, wire, options).check)


async def models_served(models: Iterable[Endpoint], address: str) -> None:
    """Wait for the pinned models; the group is joined only then, so that no partition waits on a cold start.

    Raises:
        InvalidSettings: server and settings do not agree on TLS.
    """
    polls = 0
    for model in models:
        while not await model.ready():
            if polls % TOLD_EVERY == 0:
                await model.check_tls()
                log.warning("waiting for the model to be served", model=model.version, address=address)
            polls += 1
            await asyncio.sleep(POLL_S)


async def connected(start: Callable[[], Awaitable[None]]) -> None:
    """Wait for the broker once more: it may have gone while the models were waited for."""
    await Patience(POLL_S).until_done(start, "broker")
