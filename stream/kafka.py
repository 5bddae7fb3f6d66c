"""How every Kafka client of Causa connects, and how it is let go: for producers, consumers and admins."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition, codec
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed, UnsupportedSaslMechanismError
from aiokafka.structs import OffsetAndMetadata

from stream import tls
from stream.errors import BrokerUnavailable, CausaError, InvalidSettings
from stream.settings import Settings

STOP_S = 5.0
"""Time for a client to close, seconds."""
_CLOSING: set[asyncio.Task[Any]] = set()
"""What closes, kept from being collected meanwhile."""


def client_options(settings: Settings, bootstrap: str) -> dict[str, Any]:
    """Keyword arguments of an aiokafka client: addresses, encryption, login and the longest wait for one answer.

    Args:
        settings: TLS and login are those of `settings.kafka`; they hold for an external broker only.
        bootstrap: where the broker answers, ``host:port`` with commas between; `settings.kafka.bootstrap`, or the
            address of the embedded broker, which speaks plain text on the loopback interface.

    Raises:
        InvalidSettings: a file of the TLS settings cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": bootstrap,
        "request_timeout_ms": round(settings.kafka.request_timeout_s * 1000),
        "client_id": "causa",
    }
    if not settings.kafka.bootstrap:
        return options
    context, sasl = settings.kafka.tls.context(), settings.kafka.sasl
    if context is not None:
        options["ssl_context"] = context
    if sasl.mechanism:
        options["sasl_mechanism"] = sasl.mechanism
        options["sasl_plain_username"] = sasl.username
        options["sasl_plain_password"] = sasl.password.get_secret_value()
    options["security_protocol"] = ("SASL_" if sasl.mechanism else "") + ("SSL" if context else "PLAINTEXT")
    return options


async def refusal(options: Mapping[str, Any], error: Exception) -> CausaError:
    """Why a client could not connect: what a person must set right, or else that Kafka does not answer.

    aiokafka tells a wrong password and a wrong certificate like a broker that is down, and a client in plain text waits
    on a port that speaks TLS. So each address is asked once more, by hand.

    Args:
        options: of the client that failed.
        error: what it raised.
    """
    context = options.get("ssl_context")
    for host, port, _ in collect_hosts(options["bootstrap_servers"]):
        if fault := await tls.fault(host, port, context):
            return InvalidSettings(f"Kafka at {host}:{port}: {fault}", hint="CAUSA_KAFKA__TLS__ENABLED, __CA_FILE")
        try:
            connection = await create_conn(host, port, **{k: v for k, v in options.items() if k != "bootstrap_servers"})
            connection.close()
        except SaslAuthenticationFailed:
            return InvalidSettings(f"Kafka at {host}:{port} refuses user and password", hint="CAUSA_KAFKA__SASL__…")
        except UnsupportedSaslMechanismError:
            return InvalidSettings(f"Kafka at {host}:{port} has no such login", hint="CAUSA_KAFKA__SASL__MECHANISM")
        except (KafkaError, OSError, TimeoutError):
            continue
    return BrokerUnavailable(f"Kafka does not answer: {type(error).__name__}", hint="causa status")


async def committed(
    options: Mapping[str, Any], group: str, places: Sequence[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """Offsets of a group, -1 where it has none, asked by a client that joins no group.

    Raises:
        BrokerUnavailable: the group's coordinator does not tell them. What else aiokafka raises is left to the caller.
    """
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        found = await admin.list_consumer_group_offsets(group, partitions=list(places))
    finally:
        await ended(admin.close())
    if any(place not in found for place in places):
        # The broker names every partition that it is asked for. Silence is an error, which aiokafka passes over.
        raise BrokerUnavailable("the group's coordinator does not tell its offsets")
    return {place: found[place] for place in places}


async def ended(closing: Coroutine[Any, Any, Any], seconds: float = STOP_S) -> bool:
    """Wait for a client's close, so long and no longer. What it raises is passed over: the client is needed no more.

    A stop of the caller's is always heard. aiokafka suppresses a cancellation while it closes, and `asyncio.wait_for`
    of Python 3.11 forgets one that comes together with the result; who closes under either may live on for ever.

    Returns:
        Whether it closed in time; it is told to give up otherwise.
    """
    task = asyncio.create_task(closing)
    _CLOSING.add(task)
    task.add_done_callback(_heard)
    _, late = await asyncio.wait({task}, timeout=seconds)
    if late:
        task.cancel()
    return not late


def _heard(task: asyncio.Task[Any]) -> None:
    _CLOSING.discard(task)
    if not task.cancelled():
        task.exception()


async def stopped(producer: AIOKafkaProducer, seconds: float = STOP_S) -> None:
    """Let go of a producer, also where the broker is away and its records cannot go.

    `stop` waits for these first; given up there, it leaves its sender and its connections behind for as long as the
    process lives.
    """

    async def both() -> None:  # in a task of its own: a stop of the caller's must not leave it half done
        if not await ended(producer.stop(), seconds):
            producer._message_accumulator.fail_all(KafkaError("given up"))
            sender = producer._sender.sender_task
            if sender is not None:
                sender.cancel()
            await ended(producer.client.close(), seconds)

    await ended(both(), 3 * seconds)


def compression() -> str:
    """Best compression that this installation can write: lz4 where its library is there, else gzip."""
    return "lz4" if codec.has_lz4() else "gzip"
