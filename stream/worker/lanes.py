"""Exactly once: each input partition has a lane, on which results and offset leave together, in order.

A lane owns its partition in the broker's eyes: *beginning* fences whoever wrote for it before, finishes or aborts what
he left half done, and only then asks where the partition's results end. What lies below that offset is somebody's
committed work and is dropped; what lies above is written, and each write carries the next offset with it, all or
nothing. A write whose end is not known (a timeout, a lost connection, a fence) proves nothing either way: the lane
begins again, and the offset it then finds tells. Nor does a lane take the caller's word that nothing is missing: where
results go on beyond its offset, it begins again, since another owner may have moved that, and asks the broker whether a
record stands between. If so they came too early, from before a rebalance; they are left out, and come again behind what
is missing. So it does not matter how many owners a partition seems to have: results of one stretch of offsets become
visible once.

While one write is under way the next results gather, and go together: little load gives small latency, much load gives
large transactions.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import structlog

from stream import metrics, tracing
from stream.coding import Origin
from stream.errors import BrokerUnavailable, SkippedRecords
from stream.pipeline.record import Decision, Outgoing
from stream.worker.counting import count
from stream.worker.stages import Rarely

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

log = structlog.get_logger("causa.lane")
LARGEST = 512
"""Decisions in one transaction."""
MISSING_S = 120.0
"""A record that later ones came before is here after so long, or it never comes: longer than any rebalance lasts."""


class Transactions(Protocol):
    """The transactions of one input partition; co-partitioned input topics share them, so that their order is one."""

    async def begin(self) -> Mapping[str, int]:
        """Fence every other owner; by input topic, the offset up to which results are committed, 0 where there are none.

        Raises:
            BrokerUnavailable: not known; begin again.
        """

    async def commit(self, records: Sequence[Outgoing], offsets: Mapping[str, int]) -> None:
        """Write records, and by input topic the offset that is next to be coded, all or nothing.

        Raises:
            BrokerUnavailable: whether it happened is not known, or another owner began: begin again.
        """

    async def between(self, topic: str, first: int, last: int) -> bool:
        """Whether the topic's partition holds a record from offset `first` on and before `last`.

        Offsets are left out where a transaction ended or was given up, and by nothing else: the topic is not compacted.

        Raises:
            BrokerUnavailable: not known.
        """

    async def close(self) -> None:
        """Let go; what is not committed never was."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """A record from `first` on and before `last` is missing; when patience with it ends, by the loop's clock."""

    first: int
    last: int
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    decisions: Sequence[Decision]
    done: asyncio.Future[None]
    trace: SpanContext | None = None


class _Unsure(Exception):
    """Something seems to be missing, and the lane has not asked since where it stands."""


class Lane:
    """One partition's results on their way.

    Args:
        transactions: the partition's.
        retry_s: wait before beginning again, seconds.
        missing_s: how long a record may stay away that others came before, seconds.
    """

    def __init__(self, transactions: Transactions, *, retry_s: float = 1.0, missing_s: float = MISSING_S) -> None:
        self._transactions, self._retry_s, self._missing_s = transactions, retry_s, missing_s
        self._ready: deque[_Ready] = deque()
        self._news = asyncio.Event()
        self._closed = asyncio.Event()
        self._held = Rarely()
        self._missing: dict[str, _Missing] = {}
        self._asked: dict[str, int] = {}
        self._task = asyncio.create_task(self._run(), name="lane")
        self._task.add_done_callback(self._ended)

    @property
    def task(self) -> asyncio.Task[None]:
        """Ends with the lane: cancelled where it is closed, else with the fault that ended it."""
        return self._task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody waits for ever for a lane that is closed, or that a fault has ended."""
        while self._ready:
            _end(self._ready.popleft().done, task)

    def put(self, decisions: Sequence[Decision]) -> asyncio.Future[None]:
        """Give results in, in order of offset.

        Returns:
            Done once they are committed, by us or by another owner; cancelled once they never will be from here. Where a
            fault has ended the lane, it is raised:

        Raises:
            SkippedRecords: a record was passed over; this process has lost its place and must start again.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._task.done():
            _end(done, self._task)
            return done
        self._ready.append(_Ready(decisions, done, tracing.current()))
        self._news.set()
        return done

    async def close(self) -> None:
        """Give the partition up: what is not committed is left to its next owner."""
        self._closed.set()  # a cancellation can get lost in a client that is just closing
        self._news.set()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._transactions.close()

    async def _run(self) -> None:
        position: Mapping[str, int] | None = None
        while not self._closed.is_set():
            self._news.clear()
            try:
                if position is None:
                    position = await self._transactions.begin()
                if self._closed.is_set():
                    break
                taken = self._taken()
                if taken:
                    position = await self._write(taken, position)
                self._watch(position)
                if not self._ready:
                    await self._wait()
            except _Unsure:
                position = None
            except BrokerUnavailable as error:
                position = None
                self._missing.clear()  # nobody brings records while the broker is away
                metrics.TRANSACTIONS.labels("begun again").inc()
                if self._held.due(error.code):
                    log.warning("held: the lane begins again", code=error.code, reason=error.message)
                await asyncio.sleep(self._retry_s)
        raise asyncio.CancelledError  # it was closed, and whoever waits for its results must not wait on

    async def _write(self, taken: Sequence[_Ready], position: Mapping[str, int]) -> Mapping[str, int]:
        """Commit what is not committed yet; where the lane stands then."""
        after = dict(position)
        fresh: list[Decision] = []
        early: list[_Ready] = []
        for one in taken:
            for decision in one.decisions:
                origin = decision.incoming.origin
                expected = after[origin.topic]
                if origin.offset < expected:
                    metrics.REPEATED.inc()
                elif origin.offset > expected and await self._lacks(origin, expected):
                    if one not in early:
                        early.append(one)
                else:
                    after[origin.topic] = origin.offset + 1
                    fresh.append(decision)
        if fresh:
            began = time.perf_counter()
            with tracing.span("transaction", [one.trace for one in taken]):
                await self._transactions.commit([record for d in fresh for record in d.outgoing], after)
            metrics.TRANSACTION.observe(time.perf_counter() - began)
            metrics.TRANSACTED.observe(len(fresh))
            metrics.TRANSACTIONS.labels("committed").inc()
            count(fresh)
        for one in taken:
            self._ready.popleft()
            if one in early:
                metrics.TRANSACTIONS.labels("refused").inc()
                one.done.cancel()
            elif not one.done.done():
                one.done.set_result(None)
        return after

    async def _lacks(self, origin: Origin, expected: int) -> bool:
        """Whether a record is missing before this one; since when is remembered."""
        topic, offset = origin.topic, origin.offset
        known = self._missing.get(topic)
        if known is None or known.first != expected or known.last > offset:
            if not await self._transactions.between(topic, expected, offset):
                return False
            if known is None or known.first != expected:
                if self._asked.get(topic) != expected:
                    self._asked[topic] = expected
                    raise _Unsure
                log.warning(
                    "results left out: records before them are missing",
                    topic=topic, partition=origin.partition, expected=expected, offset=offset,
                )  # fmt: skip
                known = _Missing(expected, offset, asyncio.get_running_loop().time() + self._missing_s)
            self._missing[topic] = replace(known, last=offset)
        return True

    def _watch(self, position: Mapping[str, int]) -> None:
        """Forget what was missing once it is there.

        Raises:
            SkippedRecords: it never comes.
        """
        self._missing = {topic: gap for topic, gap in self._missing.items() if position[topic] <= gap.first}
        for gap in self._missing.values():
            if asyncio.get_running_loop().time() >= gap.until:
                raise SkippedRecords(f"a record from {gap.first} to {gap.last - 1} of a partition was passed over")

    async def _wait(self) -> None:
        """For results, or for the end of our patience with a record that is missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min((gap.until for gap in self._missing.values()), default=None)):
                await self._news.wait()

    def _taken(self) -> list[_Ready]:
        """What goes into the next transaction: all that waits, within its size; one batch at least."""
        taken: list[_Ready] = []
        size = 0
        for one in self._ready:
            if taken and size + len(one.decisions) > LARGEST:
                break
            taken.append(one)
            size += len(one.decisions)
        return taken


def _end(waiting: asyncio.Future[None], task: asyncio.Task[None]) -> None:
    """Who waits for a lane learns how it ended."""
    fault = None if task.cancelled() else task.exception()
    if fault is not None and not waiting.done():
        waiting.set_exception(fault)
    waiting.cancel()
