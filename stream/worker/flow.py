"""Batches under way: several are processed at once, but delivered and acknowledged in the order they came.

Acknowledging out of order would let Faust commit past a certificate that is still being coded (faust-streaming #606),
so the order of arrival is kept from the stream to the broker. The number in flight is bounded: when it is reached the
agent waits, Faust's buffers fill, and the partitions pause.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stream import failpoints, metrics, tracing
from stream.pipeline.record import Decision, Incoming
from stream.worker.courier import Courier, Parcel
from stream.worker.folding import Processor

FEW = 4
"""Batches under way that keep server and worker busy when little comes."""
FINISHED = 3
"""Batches, behind the one whose turn it is, that are still coded to their end when the flow closes."""
Acknowledge = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    task: asyncio.Task[list[Decision]]
    parcel: Parcel
    acknowledge: Acknowledge
    began: float
    trace: tracing.Batch


@dataclass(frozen=True, slots=True)
class _Leaving:
    batch: _Batch
    decisions: Sequence[Decision]
    delivery: asyncio.Task[bool]
    began: float


class Flow:
    """Takes batches in, gives results out in order.

    Args:
        processor: makes decisions of a batch.
        courier: brings results to the broker.
        in_flight: most batches under way.
    """

    def __init__(self, processor: Processor, courier: Courier, in_flight: int) -> None:
        self._processor = processor
        self._courier = courier
        self._slots = asyncio.Semaphore(in_flight)
        self._coding: asyncio.Queue[_Batch] = asyncio.Queue()
        self._leaving: asyncio.Queue[_Leaving] = asyncio.Queue()
        self._under_way = 0
        self._idle, self._fewer = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    def start(self) -> asyncio.Task[None]:
        """Begin to deliver; the task ends only by cancellation or by a fault that must end the process."""
        self._task = asyncio.create_task(self._run(), name="flow")
        return self._task

    async def room(self, *, full: bool = True) -> None:
        """Wait until there is room for one more batch, for ever once the flow is closing; `put` takes or gives it back.

        Args:
            full: whether the batch is half as large as batches may be, or larger. One that is not waits while `FEW` are
                under way: the next ones fill meanwhile, whereas many small ones would cost more than they save.
        """
        while not full and self._under_way >= FEW:
            self._fewer.clear()
            await self._fewer.wait()
        await self._slots.acquire()
        if self.closing:
            await asyncio.Event().wait()  # what is not begun is left to the next owner of the partition

    def put(self, batch: Sequence[Incoming], acknowledge: Acknowledge) -> None:
        """Give a batch in, once there is `room`.

        Args:
            batch: records, in order; none give the room back, and so do any once the flow is closing.
            acknowledge: called when every result of the batch has been acknowledged by the broker.
        """
        if not batch or self.closing:  # what comes behind a batch that was left behind must be left behind too
            self._slots.release()
            return
        metrics.IN_FLIGHT.inc()
        self._under_way += 1
        self._idle.clear()
        parcel = self._courier.open(batch)
        trace = tracing.batch(batch)
        with trace.active():
            task = asyncio.create_task(self._processor.process(batch))
        self._coding.put_nowait(_Batch(task, parcel, acknowledge, time.perf_counter(), trace))

    async def _run(self) -> None:
        parts = [asyncio.create_task(part) for part in (self._send_all(), self._finish_all(), self._courier.watch())]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in parts:
                task.cancel()

    async def _send_all(self) -> None:
        """Each batch leaves when it is coded and those before it have left; it need not have arrived."""
        while True:
            batch = await self._coding.get()
            decisions = batch.trace.carry(await batch.task)
            await failpoints.reach("after-inference")
            with batch.trace.active():
                delivery = asyncio.create_task(batch.parcel.deliver(decisions), name="parcel")
            self._leaving.put_nowait(_Leaving(batch, decisions, delivery, time.perf_counter()))

    async def _finish_all(self) -> None:
        while True:
            leaving = await self._leaving.get()
            batch = leaving.batch
            delivered = await leaving.delivery
            batch.trace.end(leaving.decisions, delivered)
            if delivered:
                batch.acknowledge()
                metrics.LATENCY.labels("deliver").observe(time.perf_counter() - leaving.began)
                metrics.LATENCY.labels("total").observe(time.perf_counter() - batch.began)
            metrics.IN_FLIGHT.dec()
            self._slots.release()
            self._under_way -= 1
            self._fewer.set()
            if not self._under_way:
                self._idle.set()

    async def drain(self, seconds: float) -> bool:
        """Take nothing more and finish what is under way.

        Returns:
            Whether everything was delivered in time; if not, the rest stays unacknowledged and will be read again.
        """
        self.closing = True
        self._leave_behind()
        try:
            if self._under_way:
                await asyncio.wait_for(self._idle.wait(), seconds)
            return True
        except TimeoutError:
            return False
        finally:
            self.abandon()

    def _leave_behind(self) -> None:
        """Give up the last of what is being coded: it is the next owner's, and the time to stop is short."""
        waiting = [self._coding.get_nowait() for _ in range(self._coding.qsize())]
        for batch in waiting[:FINISHED]:
            self._coding.put_nowait(batch)
        for batch in waiting[FINISHED:]:
            batch.task.cancel()
            metrics.IN_FLIGHT.dec()
            self._under_way -= 1

    def abandon(self) -> None:
        """Drop what is under way: it was not acknowledged, and will be read again."""
        self.closing = True
        if self._task is not None:
            self._task.cancel()
        while not self._coding.empty():
            self._coding.get_nowait().task.cancel()
        while not self._leaving.empty():
            self._leaving.get_nowait().delivery.cancel()
