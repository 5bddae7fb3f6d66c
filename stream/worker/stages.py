"""Policies around the model, as small stages: each is a `LineModel` over another.

    CachedModel(SplitModel(RetryingModel(BreakerModel(MeasuredModel(TritonModel(…))))))

The deadline is the innermost, in `TritonModel`. None of them knows Kafka.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog

from stream import metrics
from stream.coder.model import CANARY, LineAnswer, LineModel, LineRequest
from stream.errors import InfrastructureError, ModelFault
from stream.settings import Breaker, Retry

log = structlog.get_logger("causa.model")
ROWS = 512
"""Most lines in one request: `max_batch_size` of model_repo/coder/config.pbtxt."""


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


class MeasuredModel:
    """Times requests and counts their errors."""

    def __init__(self, model: LineModel) -> None:
        self._model = model

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return self._model.version

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        began = time.perf_counter()
        try:
            answers = await self._model.tag(lines)
        except InfrastructureError as error:
            metrics.MODEL_ERRORS.labels(error.code).inc()
            raise
        metrics.LATENCY.labels("model").observe(time.perf_counter() - began)
        metrics.LINES.labels("model").inc(len(lines))
        return answers

    async def close(self) -> None:
        """See `LineModel.close`."""
        await self._model.close()


class BreakerModel:
    """Circuit breaker that holds callers rather than refusing them.

    After `failures` failures in a row of the server (not of an input) it opens: callers wait, so that batches in
    flight stay few and Kafka's partitions stand still. A canary line is tried every `probe_s`; when it is answered
    the breaker closes and everybody goes on.
    """

    def __init__(self, model: LineModel, settings: Breaker) -> None:
        self._model = model
        self._settings = settings
        self._failures = 0
        self._closed = asyncio.Event()
        self._closed.set()
        self._probe: asyncio.Task[None] | None = None
        self._rarely = Rarely()

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return self._model.version

    @property
    def open(self) -> bool:
        """Whether callers are held."""
        return not self._closed.is_set()

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`; waits while the breaker is open."""
        await self._closed.wait()
        try:
            answers = await self._model.tag(lines)
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
        metrics.BREAKER.set(1)
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
                await self._model.tag([LineRequest(CANARY)])
                answered = True
            except InfrastructureError as error:
                if self._rarely.due(error.code):
                    log.warning("held: the model still does not answer", code=error.code, reason=error.message)
            except Exception as error:
                # Whatever goes wrong, the canary is not answered; a probe that died would hold the stream for ever.
                if self._rarely.due("INTERNAL"):
                    log.warning("held: the model cannot be asked", exc_info=error)
        self._failures = 0
        metrics.BREAKER.set(0)
        log.warning("the model answers again", seconds=round(time.monotonic() - began, 1))
        self._closed.set()

    async def close(self) -> None:
        """See `LineModel.close`."""
        if self._probe is not None:
            self._probe.cancel()
        await self._model.close()


class RetryingModel:
    """Tries again with exponential backoff and full jitter, up to `attempts`; then the last error goes up."""

    def __init__(self, model: LineModel, settings: Retry, rng: random.Random | None = None) -> None:
        self._model = model
        self._settings = settings
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not secrets

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return self._model.version

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        limit = self._settings.first_s
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await self._model.tag(lines)
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

    async def close(self) -> None:
        """See `LineModel.close`."""
        await self._model.close()


class SplitModel:
    """Cuts requests that are larger than the server takes; a usual micro-batch is one request."""

    def __init__(self, model: LineModel, rows: int = ROWS) -> None:
        self._model = model
        self._rows = rows

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return self._model.version

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`."""
        answers: list[LineAnswer] = []
        for start in range(0, len(lines), self._rows):
            answers += await self._model.tag(lines[start : start + self._rows])
        return answers

    async def close(self) -> None:
        """See `LineModel.close`."""
        await self._model.close()


class CachedModel:
    """Remembers answers of one model version, the least recently used ones forgotten first.

    Equal lines in equal contexts have equal answers (the contract of `stream.coder.model`), so a repeated line is
    asked for once, also within one request. Physicians repeat themselves: "arrêt cardio-respiratoire".
    """

    def __init__(self, model: LineModel, size: int) -> None:
        self._model = model
        self._size = size
        self._known: OrderedDict[LineRequest, LineAnswer] = OrderedDict()

    @property
    def version(self) -> str:
        """See `LineModel.version`."""
        return self._model.version

    async def tag(self, lines: Sequence[LineRequest]) -> list[LineAnswer]:
        """See `LineModel.tag`; shorter lines are sent first, so that rows of like length stand together."""
        found: dict[LineRequest, LineAnswer] = {}
        for line in lines:
            if line in self._known:
                self._known.move_to_end(line)
                found[line] = self._known[line]
        missing = sorted({line for line in lines if line not in found}, key=lambda r: (len(r.text), r.text, r.context))
        metrics.LINES.labels("cache").inc(len(lines) - len(missing))
        if missing:
            for line, answer in zip(missing, await self._model.tag(missing), strict=True):
                found[line] = answer
                if self._size:
                    self._known[line] = answer
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return [found[line] for line in lines]

    async def close(self) -> None:
        """See `LineModel.close`."""
        await self._model.close()
