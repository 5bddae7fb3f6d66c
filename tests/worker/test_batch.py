from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.certificate import Certificate, Line, Status, certificate_record
from stream.coder.model import CANARY, LineAnswer, LineModel, LineRequest, MemoryModel, read_answer
from stream.coding import Method, Origin, read_coded, read_task
from stream.errors import ModelFault, ModelUnavailable
from stream.pipeline.core import Core, Prepared
from stream.pipeline.record import Decision, Incoming
from stream.registry import MemoryRegistry, load_schemas
from stream.settings import REPOSITORY, Settings
from stream.underlying.ranking import MemoryRanker, RankModel
from stream.wire import Wire
from stream.worker import batch as batching
from stream.worker.asking import Asker
from stream.worker.batch import BatchProcessor
from worker.askers import coder, ranker
from worker.certificates import samples, spoiled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGISTRY = MemoryRegistry(load_schemas(REPOSITORY / "schemas"))
WIRE = Wire(REGISTRY)
CORE = Core(WIRE, Settings())
WORDS = {"insuffisance cardiaque": "I50.9", "cancer": "C80.9"}


def incoming(certificate: Certificate, offset: int) -> Incoming:
    value = WIRE.encode("certificates", certificate_record(certificate))
    return Incoming(value, certificate.certificate_id.encode(), Origin("certificates", 0, offset))


def batch_of(*texts: str) -> list[Incoming]:
    return [incoming(Certificate(f"c{i}", part1=(Line(text),)), i) for i, text in enumerate(texts)]


def processor(model: LineModel, ranking: RankModel | None = None) -> BatchProcessor:
    return BatchProcessor(CORE, coder(model), ranker(ranking), clock=lambda: NOW, hold_s=0.001)


def outcome(decisions: Sequence[Decision]) -> list[str]:
    """For each decision `coded` or the code of its error."""
    return [decision.letter.error if decision.letter else "coded" for decision in decisions]


async def test_each_record_has_its_decision_in_its_place() -> None:
    good = [incoming(c, i) for i, c in enumerate(samples()[:40])]
    bad = [Incoming(s.value, s.key, Origin("certificates", 1, i)) for i, s in enumerate(spoiled(WIRE))]
    preferred = MemoryRanker({"I10": "I110", "I509": "I509"})
    alone = await processor(MemoryModel(WORDS), preferred).process(good)
    assert preferred.calls
    mixed = [record for pair in zip(good, [*bad, *bad], strict=False) for record in pair]
    mixed_in = list({record.origin: record for record in mixed}.values())
    decisions = await processor(MemoryModel(WORDS), preferred).process(mixed_in)
    assert [d.incoming for d in decisions] == mixed_in
    told = {s.origin: d for s, d in zip(mixed_in, decisions, strict=True)}
    for decision in alone:
        assert told[decision.incoming.origin] == decision, "neighbours are untouched by bad records"
    for record, one in zip(bad, spoiled(WIRE), strict=True):
        decision = told[record.origin]
        assert decision.letter is not None
        assert (decision.letter.error, decision.letter.payload, decision.letter.key) == (one.code, one.value, one.key)
        assert decision.letter.origin == record.origin
        assert [out.subject for out in decision.outgoing] == ["dead-letters"]


async def test_a_coded_certificate_has_two_records() -> None:
    ranking = MemoryRanker({"C809": "C809"}, version="memory-7")
    (decision,) = await processor(MemoryModel(WORDS), ranking).process(batch_of("insuffisance cardiaque sur cancer"))
    assert decision.coded is not None
    assert [out.subject for out in decision.outgoing] == ["coded", "manual"]
    coded, manual = decision.outgoing
    assert read_coded(WIRE.decode("coded", coded.value)) == decision.coded
    assert read_task(WIRE.decode("manual", manual.value)).certificate_id == "c0"
    assert decision.coded.coded_at == NOW
    assert decision.coded.versions.coder == "memory-1"
    assert decision.coded.versions.underlying == f"{CORE.versions.underlying}+memory-7"
    assert decision.coded.underlying.method is Method.BOTH, "rules and ranker were heard"


async def test_an_empty_batch_and_a_batch_of_bad_records_ask_nothing() -> None:
    model, ranking = MemoryModel(WORDS), MemoryRanker()
    model.failures, ranking.failures = [ModelUnavailable()] * 3, [ModelUnavailable()] * 3
    assert await processor(model, ranking).process([]) == []
    decisions = await processor(model, ranking).process([Incoming(None), Incoming(b"x")])
    assert outcome(decisions) == ["BAD_FRAME", "BAD_FRAME"]
    assert model.calls == ranking.calls == []


async def test_one_request_to_each_model_for_a_batch() -> None:
    model, ranking = MemoryModel(WORDS), MemoryRanker()
    several = "insuffisance cardiaque sur cancer"
    await processor(model, ranking).process(batch_of("cancer", several, "toux", several))
    assert model.calls == [4]
    assert ranking.calls == [2], "where there is but one code, there is nothing to ask"


async def test_what_asks_nothing_of_the_ranker_does_not_wait_for_it() -> None:
    ranking = MemoryRanker()
    ranking.failures = [ModelUnavailable()] * 3
    void = incoming(Certificate("v", status=Status.VOID), 1)
    decisions = await processor(MemoryModel(WORDS), ranking).process([*batch_of("cancer"), void])
    assert outcome(decisions) == ["coded", "coded"] and ranking.calls == []


@pytest.mark.parametrize("step", ["worded", "code"])
async def test_a_fault_of_our_own_is_told_of_its_certificate_alone(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    sound = getattr(CORE, step)

    def faulty(item: Any, *others: Any) -> Any:
        prepared = item if isinstance(item, Prepared) else item.prepared
        if prepared.received.certificate_id == "c1":
            raise ZeroDivisionError("cancer")
        return sound(item, *others)

    monkeypatch.setattr(CORE, step, faulty)
    decisions = await processor(MemoryModel(WORDS), MemoryRanker()).process(
        batch_of(*["insuffisance cardiaque sur cancer"] * 3)
    )
    assert outcome(decisions) == ["coded", "CORE_FAILED", "coded"]
    letter = decisions[1].letter
    assert letter is not None and "cancer" not in letter.detail and letter.origin.offset == 1


async def test_the_version_that_is_told_is_the_one_that_answered() -> None:
    """Other weights are met by another batch while this one is being coded."""

    lines = MemoryModel(WORDS, version="coder-1+a")
    several = "insuffisance cardiaque sur cancer"
    asking = coder(lines)

    class Later(Asker[LineRequest, LineAnswer]):
        async def ask(self, items: Sequence[Any], requests: Any) -> Any:
            found = await asking.ask(items, requests)
            lines.version = "coder-1+b"
            return found

    later = Later(lines, lines, CANARY)
    batch = BatchProcessor(CORE, later, ranker(MemoryRanker({"C809": "C809"})), clock=lambda: NOW)
    (decision,) = await batch.process(batch_of(several))
    assert decision.coded is not None and decision.coded.versions.coder == "coder-1+a"


async def test_an_outage_of_the_registry_holds() -> None:
    registry = MemoryRegistry(load_schemas(REPOSITORY / "schemas"))
    core = Core(Wire(registry), Settings())
    registry.down = True
    task = asyncio.create_task(
        BatchProcessor(core, coder(MemoryModel(WORDS)), ranker(), hold_s=0.001).process(batch_of("cancer"))
    )
    await asyncio.sleep(0.02)
    assert not task.done()
    registry.down = False
    assert outcome(await task) == ["coded"]


class Answering:
    """Gives whatever arrays it is told to, checked as Triton's are; answers the canary well."""

    version = "nonsense-1"

    def __init__(self, **arrays: Any) -> None:
        self._arrays = arrays

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        if list(requests) == [CANARY]:
            return [()]
        return read_answer(self._arrays, [len(request.text) for request in requests])

    async def close(self) -> None:
        """Nothing to close."""


def arrays(**changes: Any) -> dict[str, Any]:
    """A right answer for one line, with changes."""
    codes = np.full((1, 1, 5), b"", object)
    codes[0, 0, 0] = b"C80.9"
    right: dict[str, Any] = {"CODES": codes, "STARTS": np.array([[0]], np.int32), "ENDS": np.array([[6]], np.int32),
                             "PROBS": np.array([[[0.9, 0, 0, 0, 0]]], np.float32)}  # fmt: skip
    return right | changes


def test_the_right_answer_is_read() -> None:
    ((tagged,),) = read_answer(arrays(), [6])
    assert (tagged.start, tagged.end, tagged.codes) == (0, 6, ("C80.9",))


NONSENSE: dict[str, dict[str, Any]] = {
    "NaN": {"PROBS": np.full((1, 1, 5), math.nan, np.float32)},
    "over one": {"PROBS": np.full((1, 1, 5), 1.01, np.float32)},
    "negative": {"PROBS": np.full((1, 1, 5), -0.01, np.float32)},
    "infinite": {"PROBS": np.full((1, 1, 5), math.inf, np.float32)},
    "missing": {"PROBS": None},
    "missing ends": {"ENDS": None},
    "too many rows": {"CODES": np.full((2, 1, 5), b"", object)},
    "no rows": arrays() | {k: v[:0] for k, v in arrays().items()},
    "flat codes": {"CODES": np.full((1, 5), b"", object)},
    "flat probabilities": {"PROBS": np.zeros((1, 5), np.float32)},
    "fewer probabilities": {"PROBS": np.zeros((1, 1, 4), np.float32)},
    "more starts": {"STARTS": np.zeros((1, 2), np.int32)},
    "more ends": {"ENDS": np.zeros((1, 2), np.int32)},
    "end before start": {"STARTS": np.array([[6]]), "ENDS": np.array([[0]])},
    "empty span": {"STARTS": np.array([[3]]), "ENDS": np.array([[3]])},
    "beyond the line": {"ENDS": np.array([[7]])},
    "no end": {"ENDS": np.array([[-1]])},
}


@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_of_the_model_is_a_fault_and_ends_in_a_dead_letter(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFault):
        read_answer(arrays(**changes), [6])
    model = Answering(**arrays(**changes))
    assert outcome(await processor(model).process(batch_of("cancer"))) == ["MODEL_REJECTED"]


LINES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
FRENCH = st.lists(
    st.sampled_from(["infarctus", "99999999999 ans", "depuis 2012", "K", "→", "3 j", "sur", "méta", "½", "\u0301", "ﬁ", "İ",
                     "I.R.A.", "pas de", "?", "10^99", "1e9", "0000", "/", "-", "depuis le 31/02/2024", "AVC", "\u200d"]),
    min_size=1, max_size=8,
).map(" ".join)  # fmt: skip


@given(st.lists(st.builds(Line, LINES | FRENCH, st.none() | LINES | FRENCH), min_size=1, max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_makes_the_core_raise(lines: list[Line]) -> None:
    certificate = Certificate("c", part1=tuple(lines), death_date=NOW.date())
    (decision,) = asyncio.run(
        processor(MemoryModel({"a": "A41.9", "infarctus": "I21.9"}), MemoryRanker({"I219": "A419"})).process(
            [incoming(certificate, 0)]
        )
    )
    if decision.letter is not None:
        assert decision.letter.error == "EMPTY_CERTIFICATE"
        return
    assert decision.coded is not None
    for line, coded in zip(lines, decision.coded.part1, strict=True):
        assert isinstance(line.text, str)
        spans = [(e.start, e.end) for e in coded.entities] + [(u.start, u.end) for u in coded.uncoded]
        assert all(0 <= start < end <= len(line.text) for start, end in spans)


async def test_the_loop_turns_while_long_certificates_are_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind each certificate of each stage, when the breath is due: reading, wording, deciding."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    texts = ["insuffisance cardiaque"] * 20
    await processor(MemoryModel(WORDS)).process(batch_of(*texts))  # the registry is asked in a thread of its own, once
    seen = []
    for breath_s in (3600.0, 0.0):
        monkeypatch.setattr(batching, "BREATH_S", breath_s)
        turns, running = 0, asyncio.create_task(others())
        await processor(MemoryModel(WORDS)).process(batch_of(*texts))
        seen.append(turns)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    without, with_breath = seen
    assert with_breath >= without + 3 * len(texts)
