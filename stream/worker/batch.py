"""A micro-batch of records to decisions: the core on both sides of one model request.

Infrastructure faults hold the batch for as long as they last. A batch that keeps failing while a canary line succeeds
is halved until the certificate at fault stands alone. When that one fails again and again, the canary succeeding each
time, it becomes a dead letter (MODEL_REJECTED): once would not do, for a server that comes back between the last try
of an innocent certificate and the canary looks the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from stream import metrics
from stream.certificate import utc_now
from stream.coder.model import CANARY, LineAnswer, LineModel, LineRequest
from stream.errors import InfrastructureError, ModelRejected
from stream.pipeline.core import Core, Prepared
from stream.pipeline.record import Decision, Incoming
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.batch")
HOLD_S = 1.0
STRIKES = 3


class BatchProcessor:
    """Processes micro-batches; several may be under way at once.

    Args:
        core: the pure core.
        model: the model with its stages around it.
        canary: the model without retries, to be asked for one line when a batch keeps failing.
        clock: now, for tests.
        hold_s: wait between two tries while the infrastructure is down, seconds.
    """

    def __init__(
        self,
        core: Core,
        model: LineModel,
        canary: LineModel,
        *,
        clock: Callable[[], datetime] = utc_now,
        hold_s: float = HOLD_S,
    ) -> None:
        self._core = core
        self._model = model
        self._canary = canary
        self._clock = clock
        self._hold_s = hold_s
        self._no_schema, self._no_model = Rarely(), Rarely()

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """Decisions in the batch's order, one for each record. Never raises for a record or a server at fault."""
        began = time.perf_counter()
        metrics.BATCH.observe(len(batch))
        prepared = [await self._prepare(incoming) for incoming in batch]
        metrics.LATENCY.labels("read").observe(time.perf_counter() - began)
        good = [p for p in prepared if isinstance(p, Prepared)]
        answers, rejected = await self._ask(good)
        began = time.perf_counter()
        decisions: list[Decision] = []
        for number, item in enumerate(prepared):
            if isinstance(item, Decision):
                decisions.append(item)
            elif item.incoming in rejected:
                error = ModelRejected("the model fails on this certificate alone")
                decisions.append(self._core.reject(item.incoming, error, self._clock()))
            else:
                decisions.append(self._core.decide(item, answers, self._model.version, self._clock()))
            if number % 16 == 15:
                await asyncio.sleep(0)  # heartbeats and fetches go on while a batch is coded
        metrics.LATENCY.labels("code").observe(time.perf_counter() - began)
        return decisions

    async def _prepare(self, incoming: Incoming) -> Prepared | Decision:
        while True:
            try:
                if self._core.must_ask(incoming):
                    return await asyncio.to_thread(self._core.prepare, incoming, self._clock())
                return self._core.prepare(incoming, self._clock())
            except InfrastructureError as error:
                if self._no_schema.due(error.code):
                    log.warning("held: a schema cannot be asked for", code=error.code, reason=error.message)
                await asyncio.sleep(self._hold_s)

    async def _ask(self, good: Sequence[Prepared]) -> tuple[dict[LineRequest, LineAnswer], set[Incoming]]:
        """Answers to all requests, and the records on which the model fails."""
        requests = [r for p in good for r in p.requests]
        if not requests:
            return {}, set()
        strikes = 0
        while True:
            try:
                return dict(zip(requests, await self._model.tag(requests), strict=True)), set()
            except InfrastructureError as error:
                if not await self._canary_lives():
                    strikes = 0
                    if self._no_model.due(error.code):
                        log.warning(
                            "held: the model fails, and so does the canary",
                            code=error.code,
                            reason=error.message,
                            batch=len(good),
                        )
                    await asyncio.sleep(self._hold_s)
                    continue
            if len(good) == 1:
                strikes += 1
                if strikes < STRIKES:
                    continue
                log.error("the model rejects one certificate", code=ModelRejected.code)
                return {}, {good[0].incoming}
            middle = len(good) // 2
            left, bad_left = await self._ask(good[:middle])
            right, bad_right = await self._ask(good[middle:])
            return left | right, bad_left | bad_right

    async def _canary_lives(self) -> bool:
        try:
            await self._canary.tag([LineRequest(CANARY)])
        except InfrastructureError:
            return False
        return True
