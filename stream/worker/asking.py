"""Asking a model for a micro-batch, whatever goes wrong: what lasts holds the batch, what one certificate causes is its own.

Infrastructure faults hold the batch for as long as they last. A batch that keeps failing while a canary succeeds is
halved until the certificate at fault stands alone; its parts are asked for without retries, for the canary has shown that
the server is sound, and whoever shares the stream waits meanwhile. When that one fails again and again, the canary
succeeding each time, it is given up: once would not do, for a server that comes back between the last try of an innocent
certificate and the canary looks the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from stream.errors import InfrastructureError, ModelRejected
from stream.settings import Worker
from stream.triton import A, Model
from stream.worker.holding import HOLD_S
from stream.worker.stages import BreakerModel, CachedModel, K, MeasuredModel, Rarely, RetryingModel, SplitModel

log = structlog.get_logger("causa.batch")
T = TypeVar("T")
STRIKES = 3


@dataclass(frozen=True)
class Answered(Generic[K, A]):
    """Answers by request, and the places of the items that the model fails on."""

    answers: Mapping[K, A]
    rejected: frozenset[int]


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
    """

    def __init__(self, model: Model[K, A], plain: Model[K, A], canary: K, hold_s: float = HOLD_S) -> None:
        self._model, self._plain, self._canary, self._hold_s = model, SplitModel(plain), canary, hold_s
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
            return Answered({}, frozenset())
        strikes = 0
        while True:
            try:
                answers = await model.ask(wanted)
                return Answered(dict(zip(wanted, answers, strict=True)), frozenset())
            except InfrastructureError as error:
                if not await self._canary_lives():
                    strikes = 0
                    if self._rarely.due(error.code):
                        log.warning(
                            "held: the model fails, and so does the canary",
                            code=error.code,
                            reason=error.message,
                            batch=len(items),
                        )
                    await asyncio.sleep(self._hold_s)
                    continue
            if len(items) == 1:
                strikes += 1
                if strikes < STRIKES:
                    await asyncio.sleep(self._hold_s)
                    continue
                log.error("the model rejects one certificate", code=ModelRejected.code)
                return Answered({}, frozenset({items[0][0]}))
            middle = len(items) // 2
            left, right = await self._ask(items[:middle], self._plain), await self._ask(items[middle:], self._plain)
            return Answered({**left.answers, **right.answers}, left.rejected | right.rejected)

    async def _canary_lives(self) -> bool:
        try:
            await self._plain.ask([self._canary])
        except InfrastructureError:
            return False
        return True
