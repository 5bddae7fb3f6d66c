from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import metrics
from stream.coder.model import CANARY, LineAnswer, LineModel, LineRequest, MemoryModel, Tagged, by_length
from stream.errors import CausaError, ModelFault, ModelMisconfigured, ModelUnavailable
from stream.settings import REPOSITORY, Breaker, Retry
from stream.worker import stages
from stream.worker.stages import ROWS, BreakerModel, CachedModel, MeasuredModel, RetryingModel, SplitModel

WORDS = {"sepsis": "A41.9", "cancer": "C80.9"}


def lines(*texts: str) -> list[LineRequest]:
    return [LineRequest(text) for text in texts]


class Clock:
    """`asyncio` as the stages see it: sleeping takes no time and is written down."""

    Event, Task, create_task = asyncio.Event, asyncio.Task, staticmethod(asyncio.create_task)

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.real: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.real(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(stages, "asyncio", clock)
    return clock


class Upper(random.Random):
    """Draws the upper end of every range."""

    def uniform(self, a: float, b: float) -> float:
        assert a == 0
        return b


# Cache


async def test_a_known_line_is_not_asked_again() -> None:
    model = MemoryModel(WORDS)
    cached = CachedModel(model, 10, by_length)
    first = await cached.ask(lines("sepsis", "toux", "sepsis"))
    assert first == [(Tagged(0, 6, ("A41.9",), (0.9,)),), (), (Tagged(0, 6, ("A41.9",), (0.9,)),)]
    assert model.calls == [2]
    assert await cached.ask(lines("sepsis", "cancer")) == [first[0], (Tagged(0, 6, ("C80.9",), (0.9,)),)]
    assert model.calls == [2, 1]
    await cached.ask(lines("toux"))
    assert model.calls == [2, 1]


async def test_another_context_is_another_line() -> None:
    model = MemoryModel(WORDS)
    cached = CachedModel(model, 10, by_length)
    await cached.ask([LineRequest("sepsis"), LineRequest("sepsis", "NEWBORN")])
    assert model.calls == [2]


async def test_the_least_recently_used_line_is_forgotten() -> None:
    model = MemoryModel(WORDS)
    cached = CachedModel(model, 2, by_length)
    await cached.ask(lines("a"))
    await cached.ask(lines("b"))
    await cached.ask(lines("a"))
    await cached.ask(lines("c"))  # forgets b
    assert model.calls == [1, 1, 1]
    await cached.ask(lines("a", "c"))
    assert model.calls == [1, 1, 1]
    await cached.ask(lines("b"))
    assert model.calls == [1, 1, 1, 1]


async def test_a_cache_of_no_size_still_asks_once_in_a_request() -> None:
    model = MemoryModel(WORDS)
    cached = CachedModel(model, 0, by_length)
    assert len(await cached.ask(lines("sepsis", "sepsis"))) == 2
    await cached.ask(lines("sepsis"))
    assert model.calls == [1, 1]


async def test_a_request_larger_than_the_cache_is_answered_whole() -> None:
    cached = CachedModel(MemoryModel(WORDS), 2, by_length)
    many = lines(*(f"sepsis {i}" for i in range(20)))
    assert await cached.ask(many) == [(Tagged(0, 6, ("A41.9",), (0.9,)),)] * 20
    assert len(cached._known) == 2


async def test_failures_are_not_remembered() -> None:
    model = MemoryModel(WORDS)
    model.failures = [ModelUnavailable()]
    cached = CachedModel(model, 10, by_length)
    with pytest.raises(ModelUnavailable):
        await cached.ask(lines("sepsis"))
    assert await cached.ask(lines("sepsis")) == [(Tagged(0, 6, ("A41.9",), (0.9,)),)]


async def test_shorter_lines_are_sent_first() -> None:
    sent: list[str] = []

    class Listening(MemoryModel):
        async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
            sent.extend(request.text for request in requests)
            return await super().ask(requests)

    await CachedModel(Listening(WORDS), 10, by_length).ask(lines("ccc", "a", "bb", "a"))
    assert sent == ["a", "bb", "ccc"]


@given(st.lists(st.lists(st.sampled_from(["sepsis", "cancer", "x", "yy"]), max_size=6), max_size=8), st.integers(0, 5))
def test_a_cache_never_changes_an_answer(requests: list[list[str]], size: int) -> None:
    async def ask() -> None:
        bare, cached = MemoryModel(WORDS), CachedModel(MemoryModel(WORDS), size, by_length)
        for texts in requests:
            assert await cached.ask(lines(*texts)) == await bare.ask(lines(*texts))
            assert len(cached._known) <= size

    asyncio.run(ask())


class Replaced(MemoryModel):
    """Other weights are served from some call on; what was asked before is answered by those before."""

    def __init__(self, *turns: str) -> None:
        super().__init__(WORDS)
        self._turns = list(turns)

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        self.version = self._turns.pop(0) if self._turns else self.version
        await super().ask(requests)
        return [(Tagged(0, 1, (self.version,), (0.9,)),) for _ in requests]


def by(answers: Sequence[LineAnswer]) -> list[str]:
    """The version that gave each answer."""
    return [answer[0].codes[0] for answer in answers]


async def test_what_was_asked_under_another_version_is_not_remembered() -> None:
    gate = asyncio.Event()

    class Late(MemoryModel):
        async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
            before = self.version
            if requests[0].text == "late":
                await gate.wait()
            return [(Tagged(0, 1, (before,), (0.9,)),) for _ in requests]

    model = Late(WORDS, version="coder-1+a")
    cached = CachedModel(model, 10, by_length)
    asking = asyncio.create_task(cached.ask(lines("late")))
    await asyncio.sleep(0)
    model.version = "coder-1+b"
    assert by(await cached.ask(lines("x"))) == ["coder-1+b"]
    gate.set()
    await asking
    assert by(await cached.ask(lines("late", "x"))) == ["coder-1+b"] * 2


async def test_no_batch_mixes_what_is_remembered_of_one_version_with_answers_of_another() -> None:
    model = Replaced("coder-1+a", "coder-1+a", "coder-1+b")
    cached = CachedModel(model, 10, by_length)
    await cached.ask(lines("w"))
    assert by(await cached.ask(lines("x"))) == ["coder-1+a"]
    assert by(await cached.ask(lines("x", "y"))) == ["coder-1+b"] * 2
    model.version = "coder-1+c"
    assert by(await cached.ask(lines("x", "y"))) == ["coder-1+c"] * 2


# Split


async def test_the_parts_of_a_request_are_answered_by_one_version() -> None:
    split = SplitModel(Replaced("coder-1+a", "coder-1+a", "coder-1+b"), 1)
    assert by(await split.ask(lines("x", "y", "z"))) == ["coder-1+b"] * 3


@pytest.mark.parametrize("name", ["coder", "underlying"])
def test_rows_are_those_that_the_server_takes(name: str) -> None:
    config = (REPOSITORY / "model_repo" / name / "config.pbtxt").read_text()
    found = re.search(r"^max_batch_size: (\d+)$", config, re.MULTILINE)
    assert found is not None
    assert int(found[1]) == ROWS


@pytest.mark.parametrize(("count", "calls"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (9, [3, 3, 3])])
async def test_large_requests_are_cut(count: int, calls: list[int]) -> None:
    model = MemoryModel(WORDS)
    texts = ["sepsis" if i % 2 else f"x{i}" for i in range(count)]
    assert await SplitModel(model, 3).ask(lines(*texts)) == await MemoryModel(WORDS).ask(lines(*texts))
    assert model.calls == calls


# Retry


async def test_waits_grow_to_their_limit_and_the_last_error_goes_up(clock: Clock) -> None:
    model = MemoryModel(WORDS)
    model.failures = [ModelUnavailable(str(i)) for i in range(6)]
    retrying = RetryingModel(model, Retry(first_s=0.1, max_s=0.5, attempts=6), Upper())
    with pytest.raises(ModelUnavailable, match="5"):
        await retrying.ask(lines("sepsis"))
    assert clock.slept == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5])


async def test_it_stops_at_the_first_answer(clock: Clock) -> None:
    model = MemoryModel(WORDS)
    model.failures = [ModelUnavailable(), ModelFault()]
    answer = await RetryingModel(model, Retry(), Upper()).ask(lines("sepsis"))
    assert answer == [(Tagged(0, 6, ("A41.9",), (0.9,)),)]
    assert len(clock.slept) == 2


async def test_the_jitter_is_full(clock: Clock) -> None:
    model = MemoryModel(WORDS)
    model.failures = [ModelUnavailable()] * 49
    with pytest.raises(ModelUnavailable):
        model.failures += [ModelUnavailable()]
        await RetryingModel(model, Retry(first_s=1, max_s=1, attempts=50), random.Random(3)).ask(lines("x"))
    assert all(0 <= wait <= 1 for wait in clock.slept)
    assert min(clock.slept) < 0.2 < 0.8 < max(clock.slept)


async def test_what_is_no_fault_of_the_server_is_not_tried_again(clock: Clock) -> None:
    model = MemoryModel(WORDS)
    model.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await RetryingModel(model, Retry()).ask(lines("x"))
    assert clock.slept == []


# Breaker


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_it_opens_holds_and_closes_by_the_canary(clock: Clock) -> None:
    model = MemoryModel(WORDS)
    breaker = BreakerModel(model, Breaker(failures=3, probe_s=2), CANARY)
    gate = asyncio.Event()

    async def sleep(seconds: float) -> None:
        clock.slept.append(seconds)
        await gate.wait()

    clock.sleep = sleep  # type: ignore[method-assign]
    model.failures = [ModelUnavailable()] * 3
    for tries in range(3):
        assert breaker._closed.is_set(), tries
        with pytest.raises(ModelUnavailable):
            await breaker.ask(lines("x"))
    assert breaker.open
    assert metrics.BREAKER.labels("memory")._value.get() == 1

    held = [asyncio.create_task(breaker.ask(lines("sepsis"))) for _ in range(5)]
    await turns()
    assert not any(task.done() for task in held)
    assert model.calls == [1, 1, 1], "nobody passes"

    model.failures = [ModelUnavailable(), ModelMisconfigured(), ModelFault(), ZeroDivisionError()]
    gate.set()
    answers = await asyncio.gather(*held)
    assert answers == [[(Tagged(0, 6, ("A41.9",), (0.9,)),)]] * 5
    assert breaker._closed.is_set()
    assert metrics.BREAKER.labels("memory")._value.get() == 0
    assert clock.slept == [2] * 5
    await breaker.close()


async def test_the_probe_asks_for_the_canary(clock: Clock) -> None:
    asked: list[list[LineRequest]] = []

    class Listening(MemoryModel):
        async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
            asked.append(list(requests))
            return await super().ask(requests)

    model = Listening(WORDS)
    model.failures = [ModelUnavailable()]
    breaker = BreakerModel(model, Breaker(failures=1), CANARY)
    with pytest.raises(ModelUnavailable):
        await breaker.ask(lines("x"))
    await breaker.ask(lines("y"))
    assert asked == [lines("x"), [CANARY], lines("y")]
    await breaker.close()


async def test_an_answer_forgives_the_failures_before_it() -> None:
    model = MemoryModel(WORDS)
    breaker = BreakerModel(model, Breaker(failures=2), CANARY)
    for _ in range(4):
        model.failures = [ModelUnavailable()]
        with pytest.raises(ModelUnavailable):
            await breaker.ask(lines("x"))
        await breaker.ask(lines("x"))
    assert not breaker.open


async def test_a_fault_of_one_request_never_opens_it() -> None:
    model = MemoryModel(WORDS, poison="poison")
    breaker = BreakerModel(model, Breaker(failures=1), CANARY)
    for _ in range(5):
        with pytest.raises(ModelFault):
            await breaker.ask(lines("poison"))
    assert not breaker.open


async def test_closing_ends_the_probe() -> None:
    model = MemoryModel(WORDS)
    model.failures = [ModelUnavailable()]
    breaker = BreakerModel(model, Breaker(failures=1, probe_s=1000), CANARY)
    with pytest.raises(ModelUnavailable):
        await breaker.ask(lines("x"))
    await breaker.close()
    await turns()
    assert [task for task in asyncio.all_tasks() if task.get_name() == "breaker-probe"] == []


# All of them


async def test_errors_are_counted_by_code() -> None:
    model = MemoryModel(WORDS)
    for error in (ModelUnavailable(), ModelFault()):
        counter = metrics.MODEL_ERRORS.labels("memory", error.code)
        before = counter._value.get()
        model.failures = [error]
        with pytest.raises(type(error)):
            await MeasuredModel(model).ask(lines("x"))
        assert counter._value.get() == before + 1


@pytest.mark.parametrize("error", [ModelUnavailable, ModelMisconfigured, ModelFault])
async def test_version_and_close_go_through(error: type[CausaError]) -> None:
    closed: list[int] = []

    class Closing(MemoryModel):
        async def close(self) -> None:
            closed.append(1)

    inner: LineModel = Closing(WORDS, version="coder-7")
    breaker = BreakerModel(MeasuredModel(inner), Breaker(), CANARY)
    stack = CachedModel(SplitModel(RetryingModel(breaker, Retry())), 1, by_length)
    assert stack.version == "coder-7"
    await stack.close()
    assert closed == [1]
