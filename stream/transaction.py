"""Transactions of one writer on Kafka: all or nothing, and nobody else under the same name.

Whoever begins under a transactional name fences the writer before and ends what it left open (KIP-98). A step whose end is
not known (a timeout, a lost connection, a fence) proves nothing either way: the protocol gives no way to ask, so that the
writer must begin again and look at what became visible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, InvalidProducerEpoch, KafkaError, ProducerFenced

from stream import failpoints, kafka
from stream.errors import BrokerUnavailable, CausaError, Overtaken

PATIENCE_S = 60.0
"""Longest wait for one step: what takes longer is given up and begun again."""
TRANSACTION_S = 45.0
"""After so long without an end the broker aborts a transaction by itself, and readers go on past it."""
EXPECTED = (KafkaError, IllegalOperation, AssertionError, TimeoutError, OSError)
"""What a broker that is in trouble makes aiokafka raise. It asserts its states: a call that comes behind an error which was
met in the background, such as a fence, finds a state that it does not expect. When a connection goes under in the middle
of an answer it raises nearly anything else; to begin again is safe whatever it was, and the rest is told in the log."""
_FENCED = (ProducerFenced, InvalidProducerEpoch)
log = structlog.get_logger("causa.transaction")


@contextmanager
def unknown() -> Iterator[None]:
    """Around calls of Kafka's clients: whatever they raise leaves the end of a transaction unknown.

    Our own errors go through, and so do a test's.

    Raises:
        BrokerUnavailable: begin again.
    """
    try:
        yield
    except (CausaError, failpoints.FailPoint):
        raise
    except EXPECTED as error:
        raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None
    except Exception as error:
        log.warning("a client of the broker's failed in a way that is not known", exc_info=error)
        raise BrokerUnavailable(f"transaction: {type(error).__name__}") from None


class Record(Protocol):
    """What is written."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A record with nothing but its key and value."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class TransactionalWriter:
    """Writes under one transactional name.

    Args:
        name: the transactional id.
        options: connection options of aiokafka.
        more: of its producer: how long it gathers records, what it compresses with.
    """

    def __init__(self, name: str, options: Mapping[str, Any], **more: Any) -> None:
        self._name = name
        self._options = {
            **options, "transactional_id": name, "transaction_timeout_ms": round(TRANSACTION_S * 1000), "acks": "all",
            "max_request_size": 16 * 1024 * 1024, **more,
        }  # fmt: skip
        self._producer: AIOKafkaProducer | None = None
        self._open = False

    async def begin(self) -> None:
        """Become the only writer of the name; a transaction is open then, which ends by itself after `TRANSACTION_S`.

        Who has nothing to write yet commits nothing (``commit([])``).

        Raises:
            BrokerUnavailable: not known; begin again.
        """
        await self.close()
        self._producer = AIOKafkaProducer(**self._options)
        with unknown():
            async with asyncio.timeout(PATIENCE_S):
                await self._producer.start()
                await self._producer.begin_transaction()  # waits until the broker has fenced whoever was before us
                self._open = True

    async def commit(
        self,
        records: Sequence[tuple[str, Record]],
        offsets: Mapping[TopicPartition, Any] | None = None,
        group: str = "",
    ) -> list[Any]:
        """Write records, and move a group's offsets, all or nothing.

        Args:
            records: each with its topic, in order.
            offsets: of the group, by place; none moves where there are none.
            group: whose they are.

        Returns:
            Where each record stands, as aiokafka tells it.

        Raises:
            Overtaken: another began under this name.
            BrokerUnavailable: whether it happened is not known: begin again.
        """
        producer = self._producer
        if producer is None:
            raise BrokerUnavailable("transaction: not begun")
        queued: list[asyncio.Future[Any]] = []
        with unknown():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._committed(producer, records, offsets, group, queued)
            except Exception as error:
                for sent in queued:
                    sent.add_done_callback(_heard)  # one fault was told: those of the other records are the same
                if isinstance(error, _FENCED) or any(_fenced(sent) for sent in queued):
                    raise Overtaken(f"another process writes as {self._name}") from None
                raise

    async def _committed(
        self,
        producer: AIOKafkaProducer,
        records: Sequence[tuple[str, Record]],
        offsets: Mapping[TopicPartition, Any] | None,
        group: str,
        queued: list[asyncio.Future[Any]],
    ) -> list[Any]:
        if not self._open:
            await producer.begin_transaction()
        self._open = False
        for number, (topic, record) in enumerate(records):
            if number == len(records) // 2:
                await failpoints.reach("mid-produce")
            queued.append(await producer.send(topic, record.value, key=record.key, headers=list(record.headers)))
        written = await asyncio.gather(*queued)
        await failpoints.reach("before-offsets")
        if offsets:
            await producer.send_offsets_to_transaction(dict(offsets), group)
        await failpoints.reach("after-offsets")
        await producer.commit_transaction()
        await failpoints.reach("after-commit")
        return list(written)

    async def close(self) -> None:
        """Disconnect; what is not committed never was."""
        producer, self._producer, self._open = self._producer, None, False
        if producer is not None:
            await kafka.stopped(producer)  # what it did not commit is aborted by the broker, or by who begins next


def _fenced(sent: asyncio.Future[Any]) -> bool:
    return sent.done() and not sent.cancelled() and isinstance(sent.exception(), _FENCED)


def _heard(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()
