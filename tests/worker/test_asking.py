"""What lasts holds the batch, what one certificate causes is its own; for the coder and for the ranker alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stream import metrics
from stream.certificate import Certificate, Line, certificate_record
from stream.coder.model import CANARY, LineModel, LineRequest, MemoryModel, by_length
from stream.coding import Origin
from stream.errors import InfrastructureError, ModelFault, ModelMisconfigured, ModelUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import REPOSITORY, Breaker, Retry, Settings, Worker
from stream.triton import A, Model, Q
from stream.underlying import ranking
from stream.underlying.ranking import MemoryRanker, Ranked, RankModel
from stream.underlying.request import RankRequest
from stream.wire import Wire
from stream.worker.asking import FAILURES, STRIKES, Asker, Guarded
from stream.worker.batch import BatchProcessor
from stream.worker.stages import ROWS
from worker.askers import HOLD_S, coder, ranker
from worker.certificates import samples

WIRE = Wire(MemoryRegistry(load_schemas(REPOSITORY / "schemas")))
CORE = Core(WIRE, Settings())
WORDS = {"insuffisance cardiaque": "I50.9", "cancer": "C80.9", "xyzzy": "A27.9"}
PREFERRED = {"A279": "A279", "C809": "C809"}
SOUND, POISON = "insuffisance cardiaque sur cancer", "insuffisance cardiaque sur xyzzy"
FAULTS: list[InfrastructureError] = [ModelUnavailable(), ModelMisconfigured(), ModelFault()]
either = pytest.mark.parametrize("side", ["coder", "ranker"])
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.code)


def batch_of(*texts: str) -> list[Incoming]:
    certificates = (Certificate(f"c{i}", part1=(Line(text),)) for i, text in enumerate(texts))
    records = (WIRE.encode("certificates", certificate_record(c)) for c in certificates)
    return [Incoming(value, b"c%d" % i, Origin("certificates", 0, i)) for i, value in enumerate(records)]


def outcome(decisions: Sequence[Decision]) -> list[str]:
    """For each decision `coded` or the code of its error."""
    return [decision.letter.error if decision.letter else "coded" for decision in decisions]


def processor(lines: LineModel | None = None, cases: RankModel | None = None) -> BatchProcessor:
    return BatchProcessor(CORE, coder(lines or MemoryModel(WORDS)), ranker(cases or MemoryRanker(PREFERRED)))


class Flaky(Generic[Q, A]):
    """Fails as it is told, the canary behind it being answered or not for once; once told all, it answers."""

    def __init__(self, model: Model[Q, A], canary: Q, script: Sequence[tuple[Exception, bool]]) -> None:
        self.version = model.version
        self._model, self._canary, self._script = model, canary, list(script)
        self._alive = True
        self.rounds = 0

    async def ask(self, requests: Sequence[Q]) -> Sequence[A]:
        if list(requests) == [self._canary]:
            alive, self._alive = self._alive, True
            if not alive:
                raise ModelUnavailable
        elif self._script:
            error, self._alive = self._script.pop(0)
            self.rounds += 1
            raise error
        return await self._model.ask(requests)

    async def close(self) -> None:
        """Nothing to close."""


def flaky(side: str, *script: tuple[Exception, bool]) -> tuple[BatchProcessor, Flaky[Any, Any]]:
    """A processor one of whose models follows a script."""
    if side == "coder":
        lines = Flaky(MemoryModel(WORDS), CANARY, script)
        return processor(lines), lines
    cases = Flaky(MemoryRanker(PREFERRED), ranking.CANARY, script)
    return processor(cases=cases), cases


class Poisoned(MemoryRanker):
    """Fails on any request that holds a certificate with one code."""

    async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
        answers = await super().ask(requests)
        if any("A27.9" in request.codes for request in requests):
            raise ModelFault("poisoned")
        return answers


def poisoned(side: str) -> BatchProcessor:
    if side == "coder":
        return processor(MemoryModel(WORDS, poison="xyzzy"))
    return processor(cases=Poisoned(PREFERRED))


def timeless(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """Coded records without the moment of coding and without the version of the models."""
    records = [WIRE.decode("coded", decision.outgoing[0].value) for decision in decisions]
    return [{k: v for k, v in record.items() if k not in ("coded_at", "versions")} for record in records]


# Both models


@either
@given(st.sets(st.integers(0, 12), max_size=13))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_poisoned_certificates_are_found_wherever_they_stand(side: str, bad: set[int]) -> None:
    batch = batch_of(*(POISON if i in bad else "cancer" if i % 3 == 2 else SOUND for i in range(13)))
    decisions = asyncio.run(poisoned(side).process(batch))
    assert outcome(decisions) == ["MODEL_REJECTED" if i in bad else "coded" for i in range(13)]
    assert [decision.incoming for decision in decisions] == batch
    for decision in decisions:
        if decision.letter is not None:
            assert "xyzzy" not in decision.letter.detail
            assert (decision.letter.payload, decision.letter.key) == (decision.incoming.value, decision.incoming.key)
            assert [out.subject for out in decision.outgoing] == ["dead-letters"]


@either
@each_fault
@pytest.mark.parametrize("size", [1, 2, 7])
async def test_while_the_canary_fails_too_the_batch_is_held(side: str, fault: InfrastructureError, size: int) -> None:
    process, model = flaky(side, *[(fault, False)] * 20)
    decisions = await process.process(batch_of(*[SOUND] * size))
    assert outcome(decisions) == ["coded"] * size
    assert model.rounds == 20


@either
@each_fault
async def test_a_server_that_comes_back_before_the_canary_rejects_nobody(side: str, fault: InfrastructureError) -> None:
    """The last try of a lone certificate fails, then the server is back and answers the canary: no proof of anything."""
    process, model = flaky(side, (fault, False), (fault, True))
    assert outcome(await process.process(batch_of(SOUND))) == ["coded"]
    assert model.rounds == 2


@either
async def test_strikes_count_in_a_row_only(side: str) -> None:
    fault = ModelFault()
    almost = [(fault, True)] * (STRIKES - 1)
    forgiven, _ = flaky(side, *almost, (fault, False), *almost)
    assert outcome(await forgiven.process(batch_of(SOUND))) == ["coded"]
    rejected, _ = flaky(side, *almost, (fault, True))
    assert outcome(await rejected.process(batch_of(SOUND))) == ["MODEL_REJECTED"]


@either
@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("fault", FAULTS[:2], ids=lambda fault: fault.code)
async def test_no_certificate_is_given_up_for_a_fault_of_the_server_that_does_not_last(
    side: str, fault: InfrastructureError, alive: bool
) -> None:
    process, model = flaky(side, *[(fault, alive)] * 4 * FAILURES)
    assert outcome(await process.process(batch_of(SOUND))) == ["coded"]
    assert model.rounds == 4 * FAILURES


@given(st.sets(st.integers(0, 6), max_size=7), st.booleans())
@settings(deadline=None, max_examples=12)
def test_who_gets_no_answer_for_long_or_kills_the_server_each_time_holds_nobody_for_ever(
    bad: set[int], kills: bool
) -> None:
    """A deadline that one item alone misses, or a server that dies of it, and is back a little later."""

    class Killed(Echo):
        down = 0

        async def ask(self, requests: Sequence[str]) -> list[str]:
            await asyncio.sleep(0)
            if self.down:
                self.down -= 1
                raise ModelUnavailable
            if "bad" in requests:
                self.down = 3 if kills else 0
                raise ModelUnavailable
            return await super().ask(requests)

    killed = Killed()
    items = [["bad" if place in bad else f"r{place}"] for place in range(7)]
    found = asyncio.run(Asker(killed, killed, "canary", 0.0001, lasting_s=0.002).ask(items, lambda item: item))
    assert found.rejected == bad and len(found.answers) == 7 - len(bad)


@either
async def test_held_certificates_are_coded_as_if_nothing_had_been(side: str) -> None:
    batch = [Incoming(WIRE.encode("certificates", certificate_record(c)), b"k") for c in samples()[:40]]
    fault = ModelUnavailable()
    held, model = flaky(side, (fault, False), (fault, True), (fault, False), (fault, True))
    found = await held.process(batch)
    assert model.rounds == 4 and outcome(found) == ["coded"] * 40
    assert timeless(found) == timeless(await processor().process(batch))


# The ranker


async def test_a_certificate_that_only_the_ranker_fails_on_is_given_up_after_its_strikes() -> None:
    cases = Poisoned(PREFERRED)
    with capture_logs() as logs:
        decisions = await processor(cases=cases).process(batch_of(POISON))
    assert outcome(decisions) == ["MODEL_REJECTED"]
    assert cases.calls == [1] * 2 * STRIKES, "the certificate, the canary, and so on"
    assert [entry["code"] for entry in logs if "rejects" in entry["event"]] == ["MODEL_REJECTED"]


async def test_the_canary_of_each_model_is_its_own() -> None:
    asked: list[Any] = []

    class Listening(Poisoned):
        async def ask(self, requests: Sequence[RankRequest]) -> list[Ranked]:
            asked.append(list(requests))
            return await super().ask(requests)

    await processor(cases=Listening(PREFERRED)).process(batch_of(POISON))
    assert asked[1::2] == [[ranking.CANARY]] * STRIKES


# An asker alone


class Echo:
    """Answers with the request itself; a bad one spoils whatever it comes with."""

    version = "echo-1"

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.calls: list[list[str]] = []

    async def ask(self, requests: Sequence[str]) -> list[str]:
        await asyncio.sleep(0)
        self.calls.append(list(requests))
        if self.failures:
            raise self.failures.pop(0)
        if "bad" in requests:
            raise ModelFault("bad")
        return [request.upper() for request in requests]

    async def close(self) -> None:
        """Nothing to close."""


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "bad"]), max_size=4), max_size=9))
@settings(deadline=None)
def test_those_and_only_those_that_hold_what_is_bad_are_rejected(items: list[list[str]]) -> None:
    echo = Echo()
    found = asyncio.run(Asker(echo, echo, "canary", HOLD_S).ask(items, lambda item: item))
    assert found.rejected == {place for place, item in enumerate(items) if "bad" in item}
    wanted = {r for place, item in enumerate(items) if place not in found.rejected for r in item}
    assert {request: found.answers[request] for request in wanted} == {request: request.upper() for request in wanted}


async def test_one_request_where_all_is_well_and_none_where_nothing_is_asked() -> None:
    echo = Echo()
    asker = Asker(echo, echo, "canary", HOLD_S)
    await asker.ask(["ab", "", "c"], tuple)
    assert echo.calls == [["a", "b", "c"]] and asker.version == "echo-1"
    echo.failures = [ModelUnavailable()]
    assert (await asker.ask(["", ""], tuple)).answers == {} and len(echo.calls) == 1


async def test_a_batch_has_answers_of_one_version_and_says_which() -> None:
    class Replaced(Echo):
        async def ask(self, requests: Sequence[str]) -> list[str]:
            answers = await super().ask(requests)
            if requests == ["c", "d"]:
                self.version = "echo-2"
            return [f"{answer}{self.version[-1]}" for answer in answers]

    echo = Replaced()
    echo.failures = [ModelFault()]
    found = await Asker(echo, echo, "canary", HOLD_S).ask(["ab", "cd"], tuple)
    assert found.version == "echo-2" and found.answers == {letter: f"{letter.upper()}2" for letter in "abcd"}
    asked = [call for call in echo.calls if call != ["canary"]]
    assert asked == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["a", "b", "c", "d"]]


async def test_an_unexpected_error_is_nobodys_fault_but_ours() -> None:
    echo = Echo()
    echo.failures = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        await Asker(echo, echo, "canary", HOLD_S).ask(["a"], tuple)


# The stages of a worker


def options(**changes: Any) -> Worker:
    quick = {"retry": Retry(first_s=0.0001, max_s=0.0001, attempts=2), "breaker": Breaker(failures=2, probe_s=0.001)}
    return Worker(**quick | changes)


@either
async def test_a_poison_is_rejected_through_all_stages(side: str) -> None:
    lines = Guarded(MemoryModel(WORDS, poison="xyzzy" if side == "coder" else ""), options(), CANARY, by_length)
    model = MemoryRanker(PREFERRED) if side == "coder" else Poisoned(PREFERRED)
    cases = Guarded(model, options(), ranking.CANARY, ranking.by_size)
    decisions = await BatchProcessor(CORE, lines.asker(), cases.asker()).process(batch_of(SOUND, POISON, "toux"))
    assert outcome(decisions) == ["coded", "MODEL_REJECTED", "coded"]
    assert not lines.breaker.open and not cases.breaker.open


async def test_the_stages_retry_cut_and_remember() -> None:
    model = MemoryModel(WORDS)
    asker = Guarded(model, options(), CANARY, by_length).asker()
    requests = [LineRequest(f"cancer {i:04}") for i in range(ROWS + 1)]
    model.failures = [ModelUnavailable()]
    found = await asker.ask([requests], list)
    assert list(found.answers) == requests and not found.rejected
    assert model.calls == [ROWS, ROWS, 1], "failed once, tried again, then the rest"
    await asker.ask([requests[:3], requests[2:4]], list)
    assert len(model.calls) == 3


async def test_the_canary_waits_for_no_breaker_and_is_measured() -> None:
    model = MemoryModel(WORDS, version="breaking-1")
    guarded = Guarded(
        model, options(breaker=Breaker(failures=1, probe_s=1000), retry=Retry(attempts=1)), CANARY, by_length
    )
    counted = metrics.ANSWERS.labels("breaking", "server")
    before = counted._value.get()
    model.failures = [ModelUnavailable()]
    asking = asyncio.create_task(guarded.asker().ask([[LineRequest("cancer"), LineRequest("toux")]], list))
    for _ in range(50):
        await asyncio.sleep(0)
    assert guarded.breaker.open and not asking.done()
    assert model.calls == [2, 1], "the lines, and the canary in spite of the breaker"
    assert counted._value.get() == before + 1
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await guarded.breaker.close()
