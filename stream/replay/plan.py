"""The plan of a replay: settled before anything is done, kept in the run's manifest, followed by every process that goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream.errors import InvalidSettings
from stream.replay.broker import Broker
from stream.replay.feed import Feed
from stream.replay.recorded import Bounds
from stream.replay.selection import Selection
from stream.replay.versions import Speaking

FORM = 1
"""Version of the plan's JSON form."""
SAMPLE = 64
"""Certificates that are coded, and not written, to tell how long a run will take."""


@dataclass(frozen=True, slots=True)
class Range:
    """Which part of a topic; what is not named is not limited.

    Attributes:
        partitions: those alone.
        offsets: by partition, first offset and the one behind the last.
        since, until: moments of writing, the second left out.
    """

    partitions: frozenset[int] = frozenset()
    offsets: Mapping[int, tuple[int | None, int | None]] | None = None
    since: datetime | None = None
    until: datetime | None = None


async def bounds_of(broker: Broker, topic: str, wanted: Range) -> dict[int, tuple[int, int]]:
    """Offsets of a range as they are now: later records are no part of it.

    Raises:
        InvalidSettings: a partition that the topic does not have, or a range that is empty by itself.
    """
    held = await broker.bounds(topic)
    if unknown := sorted({*wanted.partitions, *(wanted.offsets or {})} - set(held)):
        raise InvalidSettings(f"{topic} has no partition {unknown[0]}")
    after = await broker.since(topic, wanted.since) if wanted.since else {}
    before = await broker.since(topic, wanted.until) if wanted.until else {}
    found = {}
    for partition, (first, end) in held.items():
        if wanted.partitions and partition not in wanted.partitions:
            continue
        if wanted.offsets is not None and partition not in wanted.offsets:
            continue
        low, high = (wanted.offsets or {}).get(partition, (None, None))
        start = max(first, low or 0, after.get(partition, 0))
        stop = min(end, end if high is None else high, before.get(partition, end))
        found[partition] = (start, max(start, stop))
    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does.

    Attributes:
        run: its name.
        source: certificates, coded or dead-letters.
        topic: what is read: that topic, or, for `coded`, the certificates that its results are of.
        bounds: by partition, offsets of `topic`.
        coded: by partition, how far `coded` is asked; later results change nothing.
        within: for the source `coded`, which part of it.
        selection: which certificates.
        speaking: versions that were asked for.
        records: records in the bounds.
        selected: those that are taken.
        gone: selected results whose certificate can no longer be read.
        versions: that will speak, as far as they are known.
        rate: certificates a second at most; None for no limit.
        speed: certificates a second, measured on a sample.
        who: who made the plan.
        at: when.
    """

    run: str
    source: str
    topic: str
    bounds: Bounds
    coded: Bounds
    within: Bounds | None
    selection: Selection
    speaking: Speaking
    records: int
    selected: int
    gone: int
    versions: Mapping[str, str]
    rate: float | None
    speed: float | None
    who: str
    at: datetime

    @property
    def seconds(self) -> float | None:
        """How long it takes, as far as can be told."""
        speeds = [speed for speed in (self.rate, self.speed) if speed]
        return self.selected / min(speeds) if speeds else None

    def record(self) -> dict[str, Any]:
        """JSON mapping; `read` is its inverse."""
        return {
            "form": FORM, "run": self.run, "source": self.source, "topic": self.topic, "bounds": _pairs(self.bounds),
            "coded": _pairs(self.coded), "within": None if self.within is None else _pairs(self.within),
            "selection": self.selection.record(), "speaking": self.speaking.record(), "records": self.records,
            "selected": self.selected, "gone": self.gone, "versions": dict(self.versions), "rate": self.rate,
            "speed": self.speed, "who": self.who, "at": self.at.isoformat(),
        }  # fmt: skip

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Plan:
        """Plan of its JSON mapping.

        Raises:
            InvalidSettings: it was made by a release whose plans are of another form.
        """
        if record.get("form") != FORM:
            raise InvalidSettings("the run was planned by another release of Causa", hint="begin a new run")
        return cls(
            record["run"], record["source"], record["topic"], _bounds(record["bounds"]), _bounds(record["coded"]),
            None if record["within"] is None else _bounds(record["within"]), Selection.read(record["selection"]),
            Speaking.read(record["speaking"]), record["records"], record["selected"], record["gone"],
            record["versions"], record["rate"], record["speed"], record["who"], datetime.fromisoformat(record["at"]),
        )  # fmt: skip


def _pairs(bounds: Bounds) -> dict[str, list[int]]:
    return {str(partition): list(pair) for partition, pair in bounds.items()}


def _bounds(record: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    return {int(partition): (pair[0], pair[1]) for partition, pair in record.items()}


async def counted(broker: Broker, topic: str, bounds: Bounds, feed: Feed | None = None) -> tuple[int, int]:
    """Records in the bounds, and those among them that a feed takes (all, without one)."""
    records = selected = 0
    for partition, (start, end) in bounds.items():
        async with aclosing(broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                records += len(batch)
                selected += len(batch) if feed is None else sum(await feed.takes(batch))
    return records, selected


def duration(seconds: float | None) -> str:
    """A time that a person reads at a glance.

    >>> duration(75), duration(None), duration(3 * 3600 + 61)
    ('1 min 15 s', 'unknown', '3 h 01 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def told(plan: Plan) -> list[tuple[str, str]]:
    """The plan in words: what, and how it is."""
    spans = ", ".join(f"{p}: {a:,}–{b:,}" for p, (a, b) in sorted(plan.bounds.items()) if b > a) or "nothing"
    rows = [
        ("run", plan.run),
        ("reads", f"{plan.topic} ({plan.source}), {len(plan.bounds)} partitions"),
        ("offsets", spans),
        ("selection", plan.selection.told()),
        ("records", f"{plan.records:,} in the range, {plan.selected:,} to be coded"),
        ("trust", plan.speaking.trusting.value),
        *((f"version: {name}", version) for name, version in sorted(plan.versions.items()) if version),
        ("limit", f"{plan.rate:g} certificates/s" if plan.rate else "none"),
        ("time", f"{duration(plan.seconds)}" + (f" at {plan.speed:,.0f}/s as measured" if plan.speed else "")),
    ]
    if plan.gone:
        rows.append(("left out", f"{plan.gone:,} results whose certificate tells no place or is no longer kept"))
    return rows
