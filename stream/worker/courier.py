"""How results reach the broker: at least once, or exactly once.

Both are told of a batch when it arrives (`open`), because who holds its partitions then is what counts, and get its results
when they are there (`Parcel.deliver`), batch after batch in order of arrival; several may be under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from stream.errors import BrokerUnavailable
from stream.pipeline.record import Decision, Incoming
from stream.worker.counting import count
from stream.worker.lanes import MISSING_S, Lane, Transactions
from stream.worker.outbox import Outbox
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.courier")


class Parcel(Protocol):
    """A batch's way to the broker."""

    async def deliver(self, decisions: Sequence[Decision]) -> bool:
        """Whether every result is with the broker; False where the partition was lost: its next owner codes it again.

        It waits for as long as the broker does not take them.
        """


class Courier(Protocol):
    """What a flow needs to give results away."""

    async def start(self) -> None:
        """Connect."""

    def open(self, batch: Sequence[Incoming]) -> Parcel:
        """A parcel for the results of a batch that has just arrived."""

    def lose(self) -> None:
        """Every partition may be another's from now on, until `keep` tells; what is under way goes no further."""

    def keep(self, partitions: Iterable[int]) -> None:
        """These partitions are ours, and no other. Records of others that were read before come to nothing."""

    async def watch(self) -> None:
        """Wait for a fault after which nothing goes out any more; never returns.

        Raises:
            SkippedRecords: a record was passed over; this process must start again.
        """

    async def stop(self) -> None:
        """Disconnect."""


class AtLeastOnce:
    """Writes by an outbox, one batch after the other; what a first try wrote is written again by the next.

    Args:
        outbox: writes decisions.
        retry_s: wait before a refused delivery is tried again, seconds.
    """

    def __init__(self, outbox: Outbox, *, retry_s: float = 1.0) -> None:
        self._outbox, self._retry_s = outbox, retry_s
        self._refused = Rarely()
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """See `Courier.start`."""
        await self._outbox.start()

    def open(self, batch: Sequence[Incoming]) -> Parcel:  # noqa: ARG002 - any batch goes the same way
        """See `Courier.open`."""
        return self

    def lose(self) -> None:
        """See `Courier.lose`: results of a partition that was lost are written all the same, and by its next owner too."""

    def keep(self, partitions: Iterable[int]) -> None:
        """See `Courier.keep`: of no account."""

    async def deliver(self, decisions: Sequence[Decision]) -> bool:
        """See `Parcel.deliver`."""
        async with self._turn:
            while True:
                try:
                    await self._outbox.deliver(decisions)
                    count(decisions)
                    return True
                except BrokerUnavailable as error:
                    if self._refused.due(error.code):
                        log.warning(
                            "held: the broker does not take the results",
                            code=error.code, reason=error.message, batch=len(decisions),
                        )  # fmt: skip
                    await asyncio.sleep(self._retry_s)

    async def watch(self) -> None:
        """See `Courier.watch`: an outbox is tried for ever."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """See `Courier.stop`."""
        await self._outbox.stop()


class ExactlyOnce:
    """Writes by transactions, a lane for each partition.

    Args:
        open_: transactions of a partition.
        retry_s, missing_s: see `Lane`.
    """

    def __init__(
        self, open_: Callable[[int], Transactions], *, retry_s: float = 1.0, missing_s: float = MISSING_S
    ) -> None:
        self._open, self._retry_s, self._missing_s = open_, retry_s, missing_s
        self._lanes: dict[int, Lane] = {}
        self._owned: frozenset[int] | None = None
        self._failed = asyncio.Event()
        self._fault: BaseException | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """See `Courier.start`: lanes connect by themselves, each when its partition brings its first record."""

    def open(self, batch: Sequence[Incoming]) -> Parcel:
        """See `Courier.open`. A lane that is begun while partitions are shared out is closed by `keep` if it is another's."""
        lanes = {}
        for partition in {incoming.origin.partition for incoming in batch}:
            if self._owned is not None and partition not in self._owned:
                continue
            if partition not in self._lanes:
                lane = Lane(self._open(partition), retry_s=self._retry_s, missing_s=self._missing_s)
                lane.task.add_done_callback(self._ended)
                self._lanes[partition] = lane
            lanes[partition] = self._lanes[partition]
        return _Parcel(lanes)

    def lose(self) -> None:
        """See `Courier.lose`."""
        self._owned = None
        self._close(list(self._lanes))

    def keep(self, partitions: Iterable[int]) -> None:
        """See `Courier.keep`."""
        self._owned = frozenset(partitions)
        self._close([partition for partition in self._lanes if partition not in self._owned])

    def _close(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            task = asyncio.create_task(self._lanes.pop(partition).close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            fault = task.exception()
        elif any(lane.task is task for lane in self._lanes.values()):
            fault = RuntimeError("a lane was cancelled that nobody has closed")  # its partition would stand still
        else:
            return
        self._fault = self._fault or fault
        self._failed.set()

    async def watch(self) -> None:
        """See `Courier.watch`."""
        await self._failed.wait()
        assert self._fault is not None
        raise self._fault

    async def stop(self) -> None:
        """See `Courier.stop`."""
        self.lose()
        await asyncio.gather(*self._closing, return_exceptions=True)


class _Parcel:
    """Results on their lanes; those of a partition that was lost before they were begun have none."""

    def __init__(self, lanes: Mapping[int, Lane]) -> None:
        self._lanes = lanes

    async def deliver(self, decisions: Sequence[Decision]) -> bool:
        parts: dict[int, list[Decision]] = {}
        for decision in decisions:
            parts.setdefault(decision.incoming.origin.partition, []).append(decision)
        # All parts are given in before anything is waited for: the order of batches is the order of these calls.
        given = [self._lanes[partition].put(part) for partition, part in parts.items() if partition in self._lanes]
        if given:
            await asyncio.wait(given)
        for one in given:
            if not one.cancelled() and (fault := one.exception()) is not None:
                raise fault
        return len(given) == len(parts) and not any(one.cancelled() for one in given)
