"""A micro-batch of records to decisions: the core's three steps with a request to a model between each two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import structlog

from stream import metrics
from stream.certificate import utc_now
from stream.coder.model import LineAnswer, LineRequest
from stream.errors import InfrastructureError, ModelRejected
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.record import Decision, Incoming
from stream.underlying.ranking import Ranked
from stream.underlying.request import RankRequest
from stream.worker.asking import HOLD_S, Asker
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.batch")


class BatchProcessor:
    """Processes micro-batches; several may be under way at once.

    Args:
        core: the pure core.
        coder: asks the model of lines.
        ranker: asks the model of underlying causes.
        clock: now, for tests.
        hold_s: wait between two tries while a schema cannot be asked for, seconds.
    """

    def __init__(
        self,
        core: Core,
        coder: Asker[LineRequest, LineAnswer],
        ranker: Asker[RankRequest, Ranked],
        *,
        clock: Callable[[], datetime] = utc_now,
        hold_s: float = HOLD_S,
    ) -> None:
        self._core, self._coder, self._ranker = core, coder, ranker
        self._clock = clock
        self._hold_s = hold_s
        self._rarely = Rarely()

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """Decisions in the batch's order, one for each record. Never raises for a record or a server at fault."""
        began = time.perf_counter()
        metrics.BATCH.observe(len(batch))
        decisions: dict[int, Decision] = {}
        prepared: dict[int, Prepared] = {}
        for place, incoming in enumerate(batch):
            ready = await self._prepare(incoming)
            if isinstance(ready, Decision):
                decisions[place] = ready
            else:
                prepared[place] = ready
        metrics.LATENCY.labels("read").observe(time.perf_counter() - began)
        lines = await self._coder.ask(list(prepared.values()), lambda p: p.requests)
        began = time.perf_counter()
        worded: dict[int, Worded] = {}
        for number, (place, item) in enumerate(prepared.items()):
            word = self._word(item, None if number in lines.rejected else lines.answers)
            if isinstance(word, Decision):
                decisions[place] = word
            else:
                worded[place] = word
            await _breathe(number)
        metrics.LATENCY.labels("word").observe(time.perf_counter() - began)
        cases = await self._ranker.ask(list(worded.values()), lambda w: w.requests)
        began = time.perf_counter()
        for number, (place, one) in enumerate(worded.items()):
            if number in cases.rejected:
                decisions[place] = self._rejected(one.prepared)
            else:
                decisions[place] = self._core.decide(one, cases.answers, self._ranker.version, self._clock())
            await _breathe(number)
        metrics.LATENCY.labels("decide").observe(time.perf_counter() - began)
        return [decisions[place] for place in range(len(batch))]

    def _word(self, item: Prepared, answers: Mapping[LineRequest, LineAnswer] | None) -> Worded | Decision:
        """Its codes; a dead letter where the model rejects it (no answers) or our own code fails."""
        if answers is None:
            return self._rejected(item)
        return self._core.word(item, answers, self._coder.version, self._clock())

    def _rejected(self, item: Prepared) -> Decision:
        error = ModelRejected("the model fails on this certificate alone")
        return self._core.reject(item.incoming, error, self._clock())

    async def _prepare(self, incoming: Incoming) -> Prepared | Decision:
        while True:
            try:
                if self._core.must_ask(incoming):
                    return await asyncio.to_thread(self._core.prepare, incoming, self._clock())
                return self._core.prepare(incoming, self._clock())
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning("held: a schema cannot be asked for", code=error.code, reason=error.message)
                await asyncio.sleep(self._hold_s)


async def _breathe(number: int) -> None:
    """Heartbeats and fetches go on while a batch is coded."""
    if number % 16 == 15:
        await asyncio.sleep(0)
