"""A run's manifest: what was planned, begun, ended, proposed, approved and published, by whom and when.

A topic of one partition; each record is one JSON object with the field `event`. Nothing in it is ever changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from stream.certificate import utc_now
from stream.errors import InvalidSettings
from stream.replay.broker import Broker, Written
from stream.replay.run import Run


class Act(StrEnum):
    """What happened to a run."""

    PLANNED = "planned"
    BEGUN = "begun"
    FINISHED = "finished"
    COMPARED = "compared"
    PROPOSED = "proposed"
    APPROVED = "approved"
    PUBLISHING = "publishing"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the manifest."""

    act: Act
    who: str
    at: datetime
    body: Mapping[str, Any]
    offset: int = -1


class Manifest:
    """Reads and writes a run's manifest.

    Args:
        broker: holds it.
        run: the run.
        writer: name of the transactions under which it is written.
        clock: now, for tests.
    """

    def __init__(self, broker: Broker, run: Run, writer: str = "", clock: Callable[[], datetime] = utc_now) -> None:
        self._broker, self._topic, self._clock = broker, run.manifest, clock
        self._writer = writer or f"{run.group}-manifest"

    async def read(self) -> list[Event]:
        """All events, in order.

        Raises:
            InvalidSettings: there is no such run.
        """
        found: list[Event] = []
        for partition, (start, end) in (await self._broker.bounds(self._topic)).items():
            async with aclosing(self._broker.read(self._topic, partition, start, end)) as batches:
                async for batch in batches:
                    found += [event(record.value or b"", record.offset) for record in batch]
        return found

    async def write(self, act: Act, who: str, body: Mapping[str, Any], *, once: bool = False) -> Event:
        """Put an event at the end; it is there when this returns.

        Args:
            act: what happened.
            who: by whom.
            body: more about it.
            once: where there is one of the kind already, give that and write nothing.

        Raises:
            BrokerUnavailable: whether it is there is not known.
            Overtaken: another process wrote at the same time, and this event is not there.
        """
        made = Event(act, who, self._clock(), body)
        transactions = self._broker.transactions(self._writer)
        try:
            await transactions.begin()
            # Behind the fence: what another process was about to write is there by now, or never will be.
            if once and (known := last(await self.read(), act)) is not None:
                return known
            await transactions.commit([Written(self._topic, None, encoded(made))])
        finally:
            await transactions.close()
        return made


def encoded(made: Event) -> bytes:
    """Bytes of an event."""
    record = {"event": made.act.value, "who": made.who, "at": made.at.isoformat(), **made.body}
    return json.dumps(record, ensure_ascii=False, sort_keys=True).encode()


def event(value: bytes, offset: int) -> Event:
    """Event of its bytes."""
    record = json.loads(value)
    act, who, at = Act(record.pop("event")), record.pop("who"), datetime.fromisoformat(record.pop("at"))
    return Event(act, who, at, record, offset)


def last(events: Sequence[Event], act: Act) -> Event | None:
    """The newest event of a kind."""
    return next((one for one in reversed(events) if one.act is act), None)


async def droppable(broker: Broker, run: Run) -> tuple[str, ...]:
    """Topics of a run that may be deleted: all that are there, but the manifest of one of which anything was published.

    The signatures under what was published stand in the manifest alone.

    Raises:
        InvalidSettings: there is no such run.
    """
    present = await broker.topics()
    found = tuple(topic for topic in run.topics if topic in present)
    if not found:
        raise InvalidSettings(f"there is no run {run.name}", hint="causa replay list")
    if run.manifest in found and last(await Manifest(broker, run).read(), Act.PUBLISHING) is not None:
        return tuple(topic for topic in found if topic != run.manifest)
    return found
