"""A micro-batch of records to decisions: the core's three steps with a request to a model between each two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from stream import failpoints, metrics, tracing
from stream.certificate import utc_now
from stream.coder.model import LineAnswer, LineRequest
from stream.errors import ModelRejected
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.record import Decision, Incoming, Received
from stream.sealing import Keyring
from stream.underlying.ranking import Ranked
from stream.underlying.request import RankRequest
from stream.worker.asking import Asker
from stream.worker.holding import HOLD_S, Keys, Patience

BREATH_S = 0.03
"""Longest that one batch keeps the loop for itself, but for a single certificate that takes longer, seconds."""


class BatchProcessor:
    """Processes micro-batches; several may be under way at once.

    Args:
        core: the pure core.
        coder: asks the model of lines.
        ranker: asks the model of underlying causes.
        keys: certificates' own keys; None where there are none.
        clock: now, for tests.
        hold_s: wait between two tries while a schema or the keys cannot be asked for, seconds.
    """

    def __init__(
        self,
        core: Core,
        coder: Asker[LineRequest, LineAnswer],
        ranker: Asker[RankRequest, Ranked],
        *,
        keys: Keys | None = None,
        clock: Callable[[], datetime] = utc_now,
        hold_s: float = HOLD_S,
    ) -> None:
        self._core, self._coder, self._ranker = core, coder, ranker
        self._keys = keys
        self._clock = clock
        self._patience = Patience(hold_s)

    async def process(self, batch: Sequence[Incoming]) -> list[Decision]:
        """Decisions in the batch's order, one for each record. Never raises for a record or a server at fault."""
        metrics.BATCH.observe(len(batch))
        decisions: dict[int, Decision] = {}
        prepared: dict[int, Prepared] = {}
        with _stage("decode"):
            received = [await self._receive(incoming) for incoming in batch]
        await failpoints.reach("after-decode")
        with _stage("keys"):
            keyring = await self._keyring(received)
        with _stage("read"):
            breath = _Breath()
            for place, record in enumerate(received):
                ready = self._core.prepare(record, self._clock(), keyring)
                if isinstance(ready, Decision):
                    decisions[place] = ready
                else:
                    prepared[place] = ready
                await breath.taken()
        with _stage("ask coder"):
            lines = await self._coder.ask(list(prepared.values()), lambda p: p.requests)
        worded: dict[int, Worded] = {}
        with _stage("word"):
            breath = _Breath()
            for number, (place, item) in enumerate(prepared.items()):
                word = self._word(item, None if number in lines.rejected else lines.answers, lines.version)
                if isinstance(word, Decision):
                    decisions[place] = word
                else:
                    worded[place] = word
                await breath.taken()
        with _stage("ask ranker"):
            cases = await self._ranker.ask(list(worded.values()), lambda w: w.requests)
        with _stage("decide"):
            breath = _Breath()
            for number, (place, one) in enumerate(worded.items()):
                if number in cases.rejected:
                    decisions[place] = self._rejected(one.prepared)
                else:
                    decisions[place] = self._core.decide(one, cases.answers, cases.version, self._clock())
                await breath.taken()
        return [decisions[place] for place in range(len(batch))]

    def _word(self, item: Prepared, answers: Mapping[LineRequest, LineAnswer] | None, coder: str) -> Worded | Decision:
        """Its codes; a dead letter where the model rejects it (no answers) or our own code fails."""
        if answers is None:
            return self._rejected(item)
        return self._core.word(item, answers, coder, self._clock())

    def _rejected(self, item: Prepared) -> Decision:
        error = ModelRejected("the model fails on this certificate alone")
        return self._core.reject(item, error, self._clock())

    async def _receive(self, incoming: Incoming) -> Received:
        async def receive() -> Received:
            if self._core.must_ask(incoming):
                return await asyncio.to_thread(self._core.receive, incoming)
            return self._core.receive(incoming)

        return await self._patience.until_done(receive, "schema")

    async def _keyring(self, received: Sequence[Received]) -> Keyring | None:
        if self._keys is None:
            return None
        asked = partial(self._keys.keyring, {record.owner for record in received})
        return await self._patience.until_done(asked, "keys")


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Measures a stage of a micro-batch: its time, and a span where traces are on."""
    began = time.perf_counter()
    with tracing.span(name):
        yield
    metrics.LATENCY.labels(name).observe(time.perf_counter() - began)


class _Breath:
    """Heartbeats, fetches and health go on while a batch is coded, however long its certificates take."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    async def taken(self) -> None:
        """Let others run where nobody did for a while; called behind each certificate."""
        if time.perf_counter() - self._last > BREATH_S:
            await asyncio.sleep(0)
            self._last = time.perf_counter()
