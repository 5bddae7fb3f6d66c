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

import structlog

from stream import metrics
from stream.errors import BrokerUnavailable
from stream.pipeline.record import Decision, Incoming
from stream.worker.batch import BatchProcessor
from stream.worker.outbox import Outbox
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.flow")
Acknowledge = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Batch:
    task: asyncio.Task[list[Decision]]
    acknowledge: Acknowledge
    began: float


class Flow:
    """Takes batches in, gives results out in order.

    Args:
        processor: codes a batch.
        outbox: writes decisions.
        in_flight: most batches under way.
        retry_s: wait before a refused delivery is tried again, seconds.
    """

    def __init__(self, processor: BatchProcessor, outbox: Outbox, in_flight: int, *, retry_s: float = 1.0) -> None:
        self._processor = processor
        self._outbox = outbox
        self._slots = asyncio.Semaphore(in_flight)
        self._queue: asyncio.Queue[_Batch] = asyncio.Queue()
        self._retry_s = retry_s
        self._courier: asyncio.Task[None] | None = None
        self._refused = Rarely()
        self.closing = False

    def start(self) -> asyncio.Task[None]:
        """Begin to deliver; the task ends only by cancellation or by a fault that must end the process."""
        self._courier = asyncio.create_task(self._deliver_all(), name="courier")
        return self._courier

    async def put(self, batch: Sequence[Incoming], acknowledge: Acknowledge) -> None:
        """Give a batch in; waits while too many are under way, for ever once the flow is closing.

        Args:
            batch: records, in order.
            acknowledge: called when every result of the batch has been acknowledged by the broker.
        """
        await self._slots.acquire()
        if self.closing:
            await asyncio.Event().wait()  # what is not begun is left to the next owner of the partition
        metrics.IN_FLIGHT.inc()
        task = asyncio.create_task(self._processor.process(batch))
        self._queue.put_nowait(_Batch(task, acknowledge, time.perf_counter()))

    async def _deliver_all(self) -> None:
        while True:
            batch = await self._queue.get()
            decisions = await batch.task
            await self._deliver(decisions)
            batch.acknowledge()
            _count(decisions)
            metrics.LATENCY.labels("total").observe(time.perf_counter() - batch.began)
            metrics.IN_FLIGHT.dec()
            self._slots.release()
            self._queue.task_done()

    async def _deliver(self, decisions: Sequence[Decision]) -> None:
        """Deliver until the broker has all of it. What a first try wrote is written again: at least once."""
        while True:
            try:
                await self._outbox.deliver(decisions)
                return
            except BrokerUnavailable as error:
                if self._refused.due(error.code):
                    log.warning(
                        "held: the broker does not take the results",
                        code=error.code,
                        reason=error.message,
                        batch=len(decisions),
                    )
                await asyncio.sleep(self._retry_s)

    async def drain(self, seconds: float) -> bool:
        """Take nothing more and finish what is under way.

        Returns:
            Whether everything was delivered in time; if not, the rest stays unacknowledged and will be read again.
        """
        self.closing = True
        try:
            await asyncio.wait_for(self._queue.join(), seconds)
            return True
        except TimeoutError:
            return False
        finally:
            if self._courier is not None:
                self._courier.cancel()
            while not self._queue.empty():
                self._queue.get_nowait().task.cancel()


def _count(decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        if decision.coded is not None:
            metrics.CODED.labels(decision.coded.targeting.route, decision.coded.modality).inc()
            for reason in decision.coded.targeting.reasons:
                metrics.REASONS.labels(reason).inc()
        elif decision.letter is not None:
            metrics.DEAD.labels(decision.letter.error).inc()
