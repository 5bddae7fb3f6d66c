"""What a replay needs of a broker: bounded reading, and writing in transactions that carry how far it is.

`kafka_broker` gives it by Kafka, `memory` in memory. All reading is of committed records, without a group: no offset of the
live workers moves, and none of their partitions is taken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from stream.coding import Origin
from stream.pipeline.record import place

AT_ONCE = 500
"""Records that are read together, where the caller does not say."""
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the broker holds it; `timestamp` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def origin(self) -> Origin:
        """Where it stands."""
        return Origin(self.topic, self.partition, self.offset)

    @property
    def place(self) -> str:
        """Likewise, as `topic/partition/offset`."""
        return place(self.origin)

    @property
    def at(self) -> datetime:
        """When it was written, by the clock of its producer or broker."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC)

    def header(self, name: str) -> str:
        """The first header of a name; empty where there is none, or it is no text."""
        return next((value.decode("utf-8", "replace") for key, value in self.headers if key == name and value), "")


@dataclass(frozen=True, slots=True)
class Written:
    """A record to be written."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Position:
    """How far work on a partition is: offset of the next record, and a note that was committed with it."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to be made."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class Transactions(Protocol):
    """Writing under one name: who begins last is the only one whose writes count."""

    async def begin(self) -> Position | None:
        """Fence whoever wrote under this name; how far the work is, None where it never began.

        Raises:
            BrokerUnavailable: not known; begin again.
        """

    async def commit(self, records: Sequence[Written], position: Position | None = None) -> None:
        """Write records, and how far the work is then, all or nothing.

        Raises:
            BrokerUnavailable: whether it happened is not known: begin again, and see.
            Overtaken: another process began; nothing of these happened.
        """

    async def close(self) -> None:
        """Let go; what is not committed never was."""


class Broker(Protocol):
    """A broker's topics. Every call raises BrokerUnavailable where it does not answer."""

    async def topics(self) -> set[str]:
        """Names of the topics that may be seen."""

    async def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition the first offset that is held, and the one behind the last committed record.

        Raises:
            InvalidSettings: there is no such topic.
        """

    async def since(self, topic: str, moment: datetime) -> dict[int, int]:
        """By partition the first offset written at a moment or later; the end where there is none."""

    def read(
        self, topic: str, partition: int, start: int, end: int, at_once: int = AT_ONCE
    ) -> AsyncGenerator[list[Record]]:
        """Committed records from `start` on and before `end`, in order, in lists that are not empty.

        A caller that stops early closes the generator (`contextlib.aclosing`).
        """

    async def create(self, topics: Sequence[NewTopic]) -> None:
        """Make topics; those that are there stay as they are."""

    async def delete(self, topics: Sequence[str]) -> None:
        """Delete topics with all that they hold."""

    async def position(self, group: str, topic: str, partition: int) -> Position | None:
        """How far a group's work on a partition is, None where it never began; nobody is fenced."""

    def transactions(self, name: str, group: str = "", source: tuple[str, int] | None = None) -> Transactions:
        """Transactions under a name.

        Args:
            name: transactional id.
            group: under which the position is kept; empty where none is.
            source: topic and partition that the position is of.
        """
