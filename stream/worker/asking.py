"""Asking a model for a micro-batch, whatever goes wrong: what lasts holds the batch, what one certificate causes is its own.

Infrastructure faults hold the batch for as long as they last. A batch that keeps failing while a canary succeeds is
halved until the certificate at fault stands alone; its parts are asked for without retries, for the canary has shown that
the server is sound, and whoever shares the stream waits meanwhile. A certificate alone is given up in two cases only:

- the model answers it with a fault or with nonsense, `STRIKES` times in a row, the canary succeeding behind each. Once
  would not do: a server that comes back between the last try of an innocent certificate and the canary looks the same;
- it gets no answer, or takes the server down with it, `FAILURES` times and for `LASTING_S` at least, each time right
  behind a canary that was answered. A deadline that is missed is the server's fault nearly always (too much work, a
  restart), and no certificate is given up for a short one; but one that cannot be answered must not hold a stream for ever.

While the canary is not answered nothing else is asked: an outage counts for one failure at most, however long it lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from stream.errors import InfrastructureError, ModelFault, ModelRejected
from stream.settings import Worker
from stream.triton import A, Model
from stream.worker.holding import HOLD_S
from stream.worker.stages import BreakerModel, CachedModel, K, MeasuredModel, Rarely, RetryingModel, SplitModel

log = structlog.get_logger("causa.batch")
T = TypeVar("T")
STRIKES = 3
FAILURES = 5
LASTING_S = 300.0
DEATHS = 2
"""A batch behind which the canary is dead is halved when it has failed so often right behind a living one."""


@dataclass(frozen=True)
class Answered(Generic[K, A]):
    """Answers by request, and the places of the items that the model fails on.

    Attributes:
        version: name and version of the model that gave them; of the model as it is known where nothing was asked.
    """

    answers: Mapping[K, A]
    rejected: frozenset[int]
    version: str


class Guarded(Generic[K, A]):
    """The stages that a worker puts around a model.

    Args:
        model: the model itself.
        options: the worker's retries, breaker and cache.
        canary: a request that every sound model answers.
        order: the place of a request among those sent.

    Attributes:
        breaker: the circuit breaker, to be closed with the model.
    """

    def __init__(self, model: Model[K, A], options: Worker, canary: K, order: Callable[[K], Any]) -> None:
        self._measured, self._canary = MeasuredModel(model), canary
        self.breaker = BreakerModel(self._measured, options.breaker, canary)
        retrying = SplitModel(RetryingModel(self.breaker, options.retry))
        self._model = CachedModel(retrying, options.cache_lines, order)

    def asker(self) -> Asker[K, A]:
        """Asks through all stages; the canary through none but the measuring one."""
        return Asker(self._model, self._measured, self._canary)


class Asker(Generic[K, A]):
    """Asks one model.

    Args:
        model: the model with its stages around it.
        plain: the model without retries: asked for the canary when a batch keeps failing, and for its parts.
        canary: a request that every sound model answers.
        hold_s: wait between two tries while the infrastructure is down, and between the strikes of one certificate,
            seconds.
        lasting_s: how long a certificate must go without an answer, at least, before it is given up, seconds.
    """

    def __init__(
        self, model: Model[K, A], plain: Model[K, A], canary: K, hold_s: float = HOLD_S, lasting_s: float = LASTING_S
    ) -> None:
        self._model, self._plain, self._canary = model, SplitModel(plain), canary
        self._hold_s, self._lasting_s = hold_s, lasting_s
        self._rarely = Rarely()

    @property
    def version(self) -> str:
        """Name and version of the model."""
        return self._model.version

    async def ask(self, items: Sequence[T], requests: Callable[[T], Sequence[K]]) -> Answered[K, A]:
        """Answers to all requests of some items. Never raises for a server or an item at fault."""
        return await self._ask(list(enumerate(map(requests, items))), self._model)

    async def _ask(self, items: Sequence[tuple[int, Sequence[K]]], model: Model[K, A]) -> Answered[K, A]:
        wanted = [request for _, requests in items for request in requests]
        if not wanted:
            return Answered({}, frozenset(), self.version)
        strikes = failures = 0
        sound, since = False, 0.0
        while True:
            try:
                answers = await model.ask(wanted)
                return Answered(dict(zip(wanted, answers, strict=True)), frozenset(), model.version)
            except InfrastructureError as error:
                fault = error
            failures += sound  # right behind a canary that was answered
            lives = await self._canary_lives()
            strikes = strikes + 1 if lives and isinstance(fault, ModelFault) else 0
            if not lives:
                await self._hold(fault, len(items))
            if not sound:
                sound, since = True, time.monotonic()
            if len(items) == 1:
                lasted = time.monotonic() - since >= self._lasting_s
                if strikes >= STRIKES or (failures >= FAILURES and lasted):
                    log.error("the model rejects one certificate", code=ModelRejected.code, reason=fault.code)
                    return Answered({}, frozenset({items[0][0]}), self.version)
                if lives:
                    await asyncio.sleep(self._hold_s)
            elif lives or failures >= DEATHS:
                middle = len(items) // 2
                left, right = await self._ask(items[:middle], self._plain), await self._ask(items[middle:], self._plain)
                if left.version == right.version:
                    return Answered({**left.answers, **right.answers}, left.rejected | right.rejected, left.version)
                sound = False  # other weights are served since: all of the batch is asked of them

    async def _hold(self, fault: InfrastructureError, batch: int) -> None:
        """Wait until the canary is answered."""
        lives = False
        while not lives:
            if self._rarely.due(fault.code):
                log.warning(
                    "held: the model fails, and so does the canary",
                    code=fault.code,
                    reason=fault.message,
                    batch=batch,
                )
            await asyncio.sleep(self._hold_s)
            lives = await self._canary_lives()

    async def _canary_lives(self) -> bool:
        try:
            await self._plain.ask([self._canary])
        except InfrastructureError:
            return False
        return True
