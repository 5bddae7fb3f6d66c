"""Policies around a model, as small stages: each is a `stream.triton.Model` over another.

    CachedModel(SplitModel(RetryingModel(BreakerModel(MeasuredModel(TritonModel(…))))))

The deadline is the innermost, in `Endpoint`. None of them knows Kafka, nor which model it stands around.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import structlog

from stream import metrics
from stream.errors import InfrastructureError, ModelFault
from stream.memory import Memory
from stream.settings import Breaker, Retry
from stream.triton import A, Model, Q

K = TypeVar("K", bound=Hashable)

log = structlog.get_logger("causa.model")
ROWS = 512
"""Most rows in one request: `max_batch_size` of every config.pbtxt in model_repo."""


HELD_EVERY_S = 30.0


class Rarely:
    """Says when a fault that lasts is to be told: at once, then each `every_s` seconds; each kind of fault for itself."""

    def __init__(self, every_s: float = HELD_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s, self._clock = every_s, clock
        self._told: dict[str, float] = {}

    def due(self, kind: str) -> bool:
        """Whether to tell a fault of this kind (an error's code: a closed set) now."""
        now = self._clock()
        if kind in self._told and now - self._told[kind] < self._every_s:
            return False
        self._told[kind] = now
        return True


class Stage(Generic[Q, A]):
    """A model over another one; its name in metrics is the other's version without the number."""

    def __init__(self, model: Model[Q, A]) -> None:
        self._model = model
        self._name = model.version.rpartition("-")[0] or model.version

    @property
    def version(self) -> str:
        """See `Model.version`."""
        return self._model.version

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        """See `Model.ask`."""
        return await self._model.ask(requests)

    async def close(self) -> None:
        """See `Model.close`."""
        await self._model.close()


class MeasuredModel(Stage[Q, A]):
    """Times requests and counts their errors."""

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        """See `Model.ask`."""
        began = time.perf_counter()
        try:
            answers = await self._model.ask(requests)
        except InfrastructureError as error:
            metrics.MODEL_ERRORS.labels(self._name, error.code).inc()
            raise
        metrics.LATENCY.labels(self._name).observe(time.perf_counter() - began)
        metrics.ANSWERS.labels(self._name, "server").inc(len(requests))
        return answers


class BreakerModel(Stage[Q, A]):
    """Circuit breaker that holds callers rather than refusing them.

    After `failures` failures in a row of the server (not of an input) it opens: callers wait, so that batches in
    flight stay few and Kafka's partitions stand still. A canary line is tried every `probe_s`; when it is answered
    the breaker closes and everybody goes on.
    """

    def __init__(self, model: Model[Q, A], settings: Breaker, canary: Q) -> None:
        super().__init__(model)
        self._canary = canary
        self._settings = settings
        self._failures = 0
        self._closed = asyncio.Event()
        self._closed.set()
        self._probe: asyncio.Task[None] | None = None
        self._rarely = Rarely()
        metrics.BREAKER.labels(self._name).set(0)

    @property
    def open(self) -> bool:
        """Whether callers are held."""
        return not self._closed.is_set()

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        """See `Model.ask`; waits while the breaker is open."""
        await self._closed.wait()
        try:
            answers = await self._model.ask(requests)
        except ModelFault:
            # The input may be at fault: that is for the canary to say, not for the breaker.
            raise
        except InfrastructureError as error:
            self._failures += 1
            if self._failures >= self._settings.failures and not self.open:
                self._trip(error)
            raise
        self._failures = 0
        return answers

    def _trip(self, error: InfrastructureError) -> None:
        self._closed.clear()
        metrics.BREAKER.labels(self._name).set(1)
        self._rarely.due(error.code)  # told here
        log.warning(
            "the model does not answer: the stream is held",
            code=error.code,
            reason=error.message,
            count=self._failures,
        )
        self._probe = asyncio.create_task(self._probing(), name="breaker-probe")

    async def _probing(self) -> None:
        began = time.monotonic()
        answered = False
        while not answered:
            await asyncio.sleep(self._settings.probe_s)
            try:
                await self._model.ask([self._canary])
                answered = True
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning("held: the model still does not answer", code=error.code, reason=error.message)
            except Exception as error:
                # Whatever goes wrong, the canary is not answered; a probe that died would hold the stream for ever.
                if self._rarely.due("INTERNAL"):
                    log.warning("held: the model cannot be asked", exc_info=error)
        self._failures = 0
        metrics.BREAKER.labels(self._name).set(0)
        log.warning("the model answers again", seconds=round(time.monotonic() - began, 1))
        self._closed.set()

    async def close(self) -> None:
        """See `Model.close`."""
        if self._probe is not None:
            self._probe.cancel()
        await self._model.close()


class RetryingModel(Stage[Q, A]):
    """Tries again with exponential backoff and full jitter, up to `attempts`; then the last error goes up."""

    def __init__(self, model: Model[Q, A], settings: Retry, rng: random.Random | None = None) -> None:
        super().__init__(model)
        self._settings = settings
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        """See `Model.ask`."""
        limit = self._settings.first_s
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await self._model.ask(requests)
            except InfrastructureError as error:
                if attempt == self._settings.attempts:
                    raise
                wait = self._rng.uniform(0, limit)
                log.info(
                    "the model failed, trying again",
                    code=error.code,
                    reason=error.message,
                    attempt=attempt,
                    wait_s=round(wait, 3),
                )
                await asyncio.sleep(wait)
                limit = min(limit * 2, self._settings.max_s)
        raise AssertionError("unreachable: the last attempt returns or raises")


class SplitModel(Stage[Q, A]):
    """Cuts requests that are larger than the server takes; a usual micro-batch is one request."""

    def __init__(self, model: Model[Q, A], rows: int = ROWS) -> None:
        super().__init__(model)
        self._rows = rows

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        """See `Model.ask`."""
        while True:
            answers: list[A] = []
            versions = set()
            for start in range(0, len(requests), self._rows):
                answers += await self._model.ask(requests[start : start + self._rows])
                versions.add(self.version)
            if len(versions) <= 1:  # else other weights answered the later ones
                return answers


class CachedModel(Stage[K, A]):
    """Remembers answers of one model version, the least recently used ones forgotten first.

    Equal requests have equal answers (the contract of `stream.triton.Model`), so a repeated one is asked for once, also
    within one batch. Physicians repeat themselves: "arrêt cardio-respiratoire".

    Args:
        model: the model.
        size: answers remembered; 0 for none.
        order: the place of a request among those sent, so that rows of like length stand together.
    """

    def __init__(self, model: Model[K, A], size: int, order: Callable[[K], Any]) -> None:
        super().__init__(model)
        self._order = order
        self._known: Memory[K, A] = Memory(size)
        self._of = model.version

    async def ask(self, requests: Sequence[K]) -> list[A]:
        """See `Model.ask`."""
        asked = self.version
        if self._of != asked:  # what another version said is forgotten
            self._of = asked
            self._known.clear()
        found: dict[K, A] = {}
        for request in requests:
            known = self._known.get(request)
            if known is not None:
                found[request] = known
        missing = sorted({request for request in requests if request not in found}, key=self._order)
        metrics.ANSWERS.labels(self._name, "cache").inc(len(requests) - len(missing))
        if missing:
            answers = await self._model.ask(missing)
            unchanged = asked == self.version
            if found and not unchanged:
                # Another version answers now, or the first to answer said its name: one batch has answers of one version.
                return await self.ask(requests)
            for request, answer in zip(missing, answers, strict=True):
                found[request] = answer
                if unchanged:
                    self._known.put(request, answer)
        return [found[request] for request in requests]
