"""Exactly once: each input partition has a lane, on which results and offset leave together, in order.

A lane owns its partition in the broker's eyes: *beginning* fences whoever wrote for it before, finishes or aborts what he
left half done, and only then asks where the partition's results end. What lies below that offset is somebody's committed
work and is dropped; what lies above is written, and each write carries the next offset with it, all or nothing. A write
whose end is not known (a timeout, a lost connection, a fence) proves nothing either way: the lane begins again, and the
offset it then finds tells. Nor does a lane take the caller's word that nothing is missing: results that begin beyond its
offset are held until the broker says that no record stands between. So it does not matter how many owners a partition seems to have: results of one stretch of
offsets become visible once.

While one write is under way the next results gather, and go together: little load gives small latency, much load gives
large transactions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from stream import metrics
from stream.errors import BrokerUnavailable, SkippedRecords
from stream.pipeline.record import Decision, Outgoing
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.lane")
LARGEST = 512
"""Decisions in one transaction."""


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


@dataclass(slots=True)
class _Ready:
    decisions: Sequence[Decision]
    done: asyncio.Future[None]


class Lane:
    """One partition's results on their way.

    Args:
        transactions: the partition's.
        retry_s: wait before beginning again, seconds.
    """

    def __init__(self, transactions: Transactions, *, retry_s: float = 1.0) -> None:
        self._transactions, self._retry_s = transactions, retry_s
        self._ready: deque[_Ready] = deque()
        self._news = asyncio.Event()
        self._held = Rarely()
        self._refused: tuple[str, int] | None = None
        self._task = asyncio.create_task(self._run(), name="lane")
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody waits for ever for a lane that is closed, or that a fault has ended."""
        fault = None if task.cancelled() else task.exception()
        while self._ready:
            done = self._ready.popleft().done
            if not done.done() and fault is not None:
                done.set_exception(fault)
            done.cancel()

    def put(self, decisions: Sequence[Decision]) -> asyncio.Future[None]:
        """Give results in, in order of offset.

        Returns:
            Done once they are committed, by us or by another owner; cancelled once they never will be from here.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._task.done():
            done.cancel()
            return done
        self._ready.append(_Ready(decisions, done))
        self._news.set()
        return done

    async def close(self) -> None:
        """Give the partition up: what is not committed is left to its next owner."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._transactions.close()

    async def _run(self) -> None:
        position: Mapping[str, int] | None = None
        while True:
            self._news.clear()
            try:
                if position is None:
                    position = await self._transactions.begin()
                taken = self._taken()
                if not taken:
                    await self._news.wait()
                    continue
                position = await self._write(taken, position)
            except BrokerUnavailable as error:
                position = None
                metrics.TRANSACTIONS.labels("begun again").inc()
                if self._held.due(error.code):
                    log.warning("held: the lane begins again", code=error.code, reason=error.message)
                await asyncio.sleep(self._retry_s)

    async def _write(self, taken: Sequence[_Ready], position: Mapping[str, int]) -> Mapping[str, int]:
        """Commit what is not committed yet; where the lane stands then."""
        after = dict(position)
        fresh: list[Decision] = []
        for decision in (decision for one in taken for decision in one.decisions):
            origin = decision.incoming.origin
            expected = after[origin.topic]
            if origin.offset < expected:
                metrics.REPEATED.inc()
                continue
            if origin.offset > expected and await self._transactions.between(origin.topic, expected, origin.offset):
                self._refuse(origin.topic, expected, origin.offset)
                return position
            after[origin.topic] = origin.offset + 1
            fresh.append(decision)
        if fresh:
            await self._transactions.commit([record for d in fresh for record in d.outgoing], after)
            metrics.TRANSACTIONS.labels("committed").inc()
        for one in taken:
            self._ready.popleft()
            if not one.done.done():
                one.done.set_result(None)
        return after

    def _refuse(self, topic: str, expected: int, offset: int) -> None:
        """What waits does not go on where the lane stands: it came from before a rebalance, and comes again in its place.

        Raises:
            SkippedRecords: the same for the second time: this process has lost its place, and must start again.
        """
        metrics.TRANSACTIONS.labels("refused").inc()
        if self._refused == (topic, expected):
            raise SkippedRecords(f"records {expected} to {offset - 1} of a partition were passed over")
        log.warning("results refused: records before them are missing", expected=expected, offset=offset)
        self._refused = (topic, expected)
        while self._ready:
            self._ready.popleft().done.cancel()

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
