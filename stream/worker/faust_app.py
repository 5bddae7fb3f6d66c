"""Faust, with every default that matters said aloud, and four of its habits changed (notes in docs/streaming.md).

It assigns partitions and delivers raw records; it decodes nothing, keeps no tables, and commits nothing of its own accord.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import faust
import structlog
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Producer
from faust.types import EventT
from mode.threads import ServiceThread

from stream import tracing
from stream.coding import Origin
from stream.errors import BrokerUnavailable, InvalidSettings
from stream.pipeline.record import Incoming
from stream.settings import Settings
from stream.worker.holding import Patience

log = structlog.get_logger("causa.worker")
RETRY_S = 0.5


def _thread_crashed(_self: Any, _message: str, *_args: Any, **_options: Any) -> None:
    log.error("a thread of Faust died", exc_info=sys.exc_info())


# Its own prints message and traceback past every log.
ServiceThread.on_crash = _thread_crashed


def _as_we_read(consumer: Any, transport: Any) -> Any:
    made = _consumer(consumer, transport)
    # Faust reads what was not committed too, unless it keeps its own transactions: a producer's record that it took back
    # would be coded all the same.
    made._isolation_level = "read_committed"
    # Faust's round robin goes over all partitions of all topics: those of one number, which share a lane and its fence,
    # would end up with different workers. By ranges they stay together, as long as the topics have as many partitions.
    made._partition_assignment_strategy = [RangePartitionAssignor]
    made.start = partial(_started, made.start)
    return made


async def _started(start: Callable[[], Awaitable[None]]) -> None:
    """Faust dies of a broker that goes away between two of its first connections; here it is waited for."""

    async def begun() -> None:
        try:
            await start()
        except KafkaConnectionError as error:
            raise BrokerUnavailable(type(error).__name__) from None

    await Patience(RETRY_S).until_done(begun, "broker")


def _as_faust_writes(producer: Any, transactional_id: str | None = None) -> Any:
    made = _producer(producer, transactional_id)
    made.start = partial(_started, made.start)
    return made


_producer = Producer._new_producer
Producer._new_producer = _as_faust_writes
_consumer = AIOKafkaConsumerThread._create_worker_consumer
AIOKafkaConsumerThread._create_worker_consumer = _as_we_read


def make_app(settings: Settings, bootstrap: str) -> faust.App:
    """The Faust app of a worker.

    Raises:
        InvalidSettings: TLS files that cannot be read, or a `home` that cannot be written.
    """
    options = settings.worker
    home = settings.root / "faust"
    try:
        home.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder only
    except OSError as error:
        raise InvalidSettings(f"home cannot be written: {error.strerror}", hint="set CAUSA_HOME") from None
    tls, sasl = settings.kafka.tls.context(), settings.kafka.sasl
    credentials: Any = None
    if sasl.mechanism:
        credentials = faust.SASLCredentials(
            username=sasl.username, password=sasl.password.get_secret_value(), ssl_context=tls, mechanism=sasl.mechanism
        )
    elif tls is not None:
        credentials = faust.SSLCredentials(context=tls)
    return faust.App(
        options.group,
        broker=[f"kafka://{address.strip()}" for address in bootstrap.split(",")],
        broker_credentials=credentials,
        store="memory://",
        datadir=str(home),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # There are no tables: without this Faust assigns partitions by its own rules, which may leave a worker none.
        table_standby_replicas=0,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=options.instance or None,
        broker_session_timeout=options.session_timeout_s,
        broker_heartbeat_interval=max(1.0, options.session_timeout_s / 4),
        broker_rebalance_timeout=max(options.session_timeout_s, 20.0),
        broker_commit_interval=1.0,
        broker_max_poll_records=max(256, options.batch_max * 4),
        stream_buffer_maxsize=max(256, options.batch_max * options.in_flight),
        # A held batch must not hold a rebalance: what is in flight then is coded again by the next owner.
        stream_wait_empty=False,
        worker_redirect_stdouts=False,
    )


def incoming(event: EventT[Any]) -> Incoming:
    """An event as the core takes it."""
    message = event.message
    origin = Origin(message.topic, message.partition, message.offset)
    return Incoming(message.value, message.key, origin, tracing.received(message.headers))


def acknowledge(events: Sequence[EventT[Any]]) -> None:
    """In order of arrival: Faust commits up to the first gap, and there must be none behind us."""
    for event in events:
        event.ack()
