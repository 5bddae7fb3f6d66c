"""How far the machine is trusted: the changes of automation folded, and the compacted topic that they come from.

Alarms lower automation, and a person raises it again. The fold itself keeps to that: a record without a person in it
counts only where it is stricter than what holds, so that no alarm, stray or late, gives the machine more room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from typing import Any, Protocol

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from stream import kafka
from stream.coding import Automation, AutomationChange, change_record, read_change
from stream.errors import BrokerUnavailable, InputError, InvalidSettings
from stream.wire import Wire

ALL = "*"
"""The scope that stands for every stratum."""
SUBJECT = "automation"
STRICTNESS: Mapping[Automation, int] = {Automation.NORMAL: 0, Automation.STRICT: 1, Automation.HALTED: 2}

log = structlog.get_logger("causa.automation")
_POLL_MS = 1_000
_TRIES, _TRY_S = 20, 0.1
"""Looks for a topic that a young broker may not show yet, and the wait between two."""


def stricter(a: Automation, b: Automation) -> Automation:
    """The one of two that trusts the machine less."""
    return max(a, b, key=STRICTNESS.__getitem__)


@dataclass(frozen=True, slots=True)
class Trust:
    """What holds once some changes have been read in their order.

    Reading a whole topic twice, or a record twice in a row, ends where reading it once does.

    Attributes:
        held: by scope, the change that holds there; NORMAL where there is none.
    """

    held: Mapping[str, AutomationChange] = field(default_factory=dict)

    def after(self, change: AutomationChange) -> Trust:
        """What holds after one more change; this very object where the change counts for nothing."""
        before = self.own(change.scope)
        if not change.who and STRICTNESS[change.automation] <= STRICTNESS[before]:
            return self
        if change == self.held.get(change.scope):
            return self
        return Trust({**self.held, change.scope: change})

    def own(self, scope: str) -> Automation:
        """What a scope itself is set to, whatever holds for all."""
        held = self.held.get(scope)
        return held.automation if held else Automation.NORMAL

    def of(self, stratum: str) -> Automation:
        """What holds in a stratum: the stricter of its own and of what is set for all."""
        return stricter(self.own(stratum), self.own(ALL))

    def over(self, strata: Iterable[str]) -> dict[str, Automation]:
        """What holds in each of some strata."""
        return {stratum: self.of(stratum) for stratum in strata}

    def since(self, stratum: str) -> datetime | None:
        """Moment of the latest change that bears on a stratum; None where there was none."""
        return max((self.held[scope].at for scope in (stratum, ALL) if scope in self.held), default=None)


def fold(changes: Iterable[AutomationChange]) -> Trust:
    """What holds after changes in the order of the topic."""
    return reduce(Trust.after, changes, Trust())


class Changes(Protocol):
    """Reads the changes of automation; no offset is kept, each reader reads all of them."""

    async def read(self) -> Sequence[AutomationChange]:
        """All changes from the first to the end of the topic as it is now; `more` goes on behind them.

        Raises:
            BrokerUnavailable, RegistryUnavailable: a server does not answer.
            InvalidSettings: the broker has no such topic.
        """

    async def more(self) -> Sequence[AutomationChange]:
        """What has come since, after a wait; maybe nothing. Raises as `read` does."""

    async def close(self) -> None:
        """Disconnect; `read` connects again."""


class Announcer(Protocol):
    """Writes changes of automation."""

    async def announce(self, change: AutomationChange) -> None:
        """Write a change; returns once the broker has acknowledged it.

        Raises:
            BrokerUnavailable: it did not; the change may or may not be there.
        """


class KafkaChanges:
    """Reads the compacted topic without a group.

    A record that does not decode counts for nothing and is told in the log.

    Args:
        wire: codec of the subject `automation`.
        topic: its name.
        options: connection options of aiokafka.
    """

    def __init__(self, wire: Wire, topic: str, options: Mapping[str, Any]) -> None:
        self._wire, self._topic, self._options = wire, topic, dict(options)
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self) -> list[AutomationChange]:
        """See `Changes.read`."""
        await self.close()
        self._consumer = consumer = AIOKafkaConsumer(
            **self._options, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
            isolation_level="read_committed",
        )  # fmt: skip
        found: list[AutomationChange] = []
        try:
            await consumer.start()
            await self._subscribe(consumer)
            ends = await consumer.end_offsets(consumer.assignment())
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                found += await self._fetched(consumer)
        except KafkaError as error:
            raise BrokerUnavailable(f"Kafka does not answer: {type(error).__name__}", hint="causa status") from None
        return found

    async def _subscribe(self, consumer: AIOKafkaConsumer) -> None:
        """To every partition of the topic: without a group aiokafka assigns them by itself."""
        for _ in range(_TRIES):
            if self._topic in await consumer.topics():
                break
            await asyncio.sleep(_TRY_S)
        else:
            raise InvalidSettings(f"there is no topic {self._topic}", hint="causa topics create")
        consumer.subscribe([self._topic])
        for _ in range(_TRIES):
            if consumer.assignment():
                return
            await asyncio.sleep(_TRY_S)
        raise BrokerUnavailable("Kafka does not tell the partitions of its topics", hint="causa status")

    async def more(self) -> list[AutomationChange]:
        """See `Changes.more`."""
        assert self._consumer is not None
        try:
            return await self._fetched(self._consumer)
        except KafkaError as error:
            raise BrokerUnavailable(f"Kafka does not answer: {type(error).__name__}") from None

    async def _fetched(self, consumer: AIOKafkaConsumer) -> list[AutomationChange]:
        batch = await consumer.getmany(timeout_ms=_POLL_MS)
        found = [await self._decoded(record) for records in batch.values() for record in records]
        return [change for change in found if change is not None]

    async def _decoded(self, record: Any) -> AutomationChange | None:
        try:
            # A schema never seen may take the registry seconds.
            if self._wire.must_ask(record.value):
                return read_change(await asyncio.to_thread(self._wire.decode, SUBJECT, record.value))
            return read_change(self._wire.decode(SUBJECT, record.value))
        except InputError as error:
            log.warning("a change of automation cannot be read: it is left out", code=error.code, offset=record.offset)
            return None

    async def close(self) -> None:
        """See `Changes.close`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await kafka.ended(consumer.stop())


class KafkaAnnouncer:
    """Writes changes under their scope as key. They are rare: each has a connection of its own.

    Args:
        wire: codec of the subject `automation`.
        topic: its name.
        options: connection options of aiokafka.
    """

    def __init__(self, wire: Wire, topic: str, options: Mapping[str, Any]) -> None:
        self._wire, self._topic, self._options = wire, topic, dict(options)

    async def announce(self, change: AutomationChange) -> None:
        """See `Announcer.announce`."""
        value = self._wire.encode(SUBJECT, change_record(change))
        producer = AIOKafkaProducer(**self._options, acks="all", enable_idempotence=True)
        try:
            await producer.start()
            await producer.send_and_wait(self._topic, value, key=change.scope.encode())
        except KafkaError as error:
            raise BrokerUnavailable(
                f"the change of automation was not acknowledged: {type(error).__name__}", hint="causa status"
            ) from None
        finally:
            await kafka.stopped(producer)


class MemoryTopic:
    """In-memory twin of the topic, and its announcer.

    Attributes:
        records: all that was announced.
        failures: so many of the next readings or announcements find no broker.
    """

    def __init__(self, records: Iterable[AutomationChange] = ()) -> None:
        self.records = list(records)
        self.failures = 0

    async def announce(self, change: AutomationChange) -> None:
        """See `Announcer.announce`."""
        self.answer()
        self.records.append(change)

    def answer(self) -> None:
        """Raises BrokerUnavailable while there are failures left."""
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("the broker is down")


class MemoryChanges:
    """In-memory twin of a reader."""

    def __init__(self, topic: MemoryTopic) -> None:
        self._topic, self._read = topic, 0

    async def read(self) -> list[AutomationChange]:
        """See `Changes.read`."""
        self._read = 0
        return await self.more()

    async def more(self) -> list[AutomationChange]:
        """See `Changes.more`."""
        await asyncio.sleep(0.001)
        self._topic.answer()
        found = self._topic.records[self._read :]
        self._read += len(found)
        return found

    async def close(self) -> None:
        """See `Changes.close`."""
