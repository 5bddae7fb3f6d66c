"""A micro-batch of records to decisions: the core's three steps with a request to a model between each two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

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
T = TypeVar("T")


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

        def kept(items: Iterable[tuple[int, T | Decision]], kind: type[T]) -> dict[int, T]:
            """Those that go on, by place; the others are decided."""
            going: dict[int, T] = {}
            for place, item in items:
                if isinstance(item, kind):
                    going[place] = item
                elif isinstance(item, Decision):
                    decisions[place] = item
            return going

        prepared = kept([(n, await self._prepare(incoming)) for n, incoming in enumerate(batch)], Prepared)
        metrics.LATENCY.labels("read").observe(time.perf_counter() - began)
        places = list(prepared)
        lines = await self._coder.ask(list(prepared.values()), lambda p: p.requests)
        began = time.perf_counter()
        worded: dict[int, Worded] = {}
        for number, place in enumerate(places):
            item = prepared[place]
            if number in lines.rejected:
                decisions[place] = self._rejected(item)
            else:
                word = self._core.word(item, lines.answers, self._coder.version, self._clock())
                worded |= kept([(place, word)], Worded)
            await _breathe(number)
        metrics.LATENCY.labels("word").observe(time.perf_counter() - began)
        places = list(worded)
        cases = await self._ranker.ask(list(worded.values()), lambda w: w.requests)
        began = time.perf_counter()
        for number, place in enumerate(places):
            one = worded[place]
            if number in cases.rejected:
                decisions[place] = self._rejected(one.prepared)
            else:
                decisions[place] = self._core.decide(one, cases.answers, self._ranker.version, self._clock())
            await _breathe(number)
        metrics.LATENCY.labels("decide").observe(time.perf_counter() - began)
        return [decisions[place] for place in range(len(batch))]

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
