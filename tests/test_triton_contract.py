"""The contracts of `model_repo/coder` and `model_repo/underlying`, on the real server. No test knows what the weights say."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from stream.coder.model import CANARY, LineRequest, TritonModel
from stream.embedded.triton import TritonServer
from stream.errors import ModelFault, ModelMisconfigured, ModelUnavailable
from stream.nomenclature import icd10
from stream.settings import REPOSITORY, Triton
from stream.underlying import Causes, consider, load, ranking
from stream.underlying.ranking import SILENT, TritonRanker
from stream.underlying.request import RankRequest

pytestmark = pytest.mark.servers

CODE = re.compile(r"[A-Z]\d\d(\.\d{1,2})?")
ODD = ["", " ", "\t", ".", "?" * 50, "œdème", "\u0000", "\U0001fac0 infarctus", "e\u0301te\u0301", "心不全", "\ufffd", "[MASK] [PAD]",
       "a" * 300, "%s %d {}", "\u202einfarctus", "1" * 40]  # fmt: skip
CONTEXTS = ["", "NEWBORN", "no such condition", "M F NEWBORN", "é" * 400]


def lines(count: int, seed: int = 0) -> list[str]:
    """Real lines, whole, cut and joined, so that every width of the model is met."""
    rows = (json.loads(row) for row in (REPOSITORY / "samples" / "certificates.jsonl").read_text().splitlines())
    texts = [t if isinstance(t, str) else t["text"] for row in rows for t in (*row["part1"], *row.get("part2", []))]
    rng = random.Random(seed)
    mixed = [" ".join(rng.sample(texts, rng.choice((1, 1, 1, 2, 3, 8)))).lower() for _ in range(count)]
    return [line[: rng.randint(1, 600)] for line in mixed]


@pytest.fixture
async def model(triton_server: TritonServer) -> AsyncIterator[TritonModel]:
    model = TritonModel(triton_server.url, Triton(deadline_s=60))
    yield model
    await model.close()


async def test_a_rows_answer_does_not_depend_on_its_neighbours(model: TritonModel) -> None:
    mixed = [CANARY, *(LineRequest(text) for text in [*ODD, *lines(200 - 1 - len(ODD))])]
    together = await model.ask(mixed)
    assert len(together) == 200
    shuffled = list(range(200))
    random.Random(1).shuffle(shuffled)
    assert await model.ask([mixed[i] for i in shuffled]) == [together[i] for i in shuffled]
    for start in range(0, 200, 7):
        assert await model.ask(mixed[start : start + 1]) == together[start : start + 1]
    twice = await model.ask([mixed[0]] * 40)
    assert twice == [together[0]] * 40


async def test_answers_are_well_formed(model: TritonModel) -> None:
    requests = [LineRequest(text, context) for text in [CANARY.text, *ODD, *lines(40, 2)] for context in CONTEXTS]
    answers = await model.ask(requests)
    assert any(answers)
    for request, answer in zip(requests, answers, strict=True):
        assert list(answer) == sorted(answer, key=lambda tagged: tagged.start)
        for tagged in answer:
            assert 0 <= tagged.start < tagged.end <= len(request.text)
            assert 1 <= len(tagged.codes) <= 5
            assert len(set(tagged.codes)) == len(tagged.codes) == len(tagged.probs)
            assert all(CODE.fullmatch(code) for code in tagged.codes)
            assert all(0 <= p <= 1 for p in tagged.probs)
            assert list(tagged.probs) == sorted(tagged.probs, reverse=True)


async def test_the_canary_is_coded(model: TritonModel) -> None:
    assert (await model.ask([CANARY]))[0]


async def test_no_line_no_answer(model: TritonModel) -> None:
    assert await model.ask([]) == []


async def test_a_line_beyond_the_window_is_answered_at_its_beginning(model: TritonModel) -> None:
    start = "insuffisance cardiaque puis "
    (long,) = await model.ask([LineRequest(start + "cancer du pancreas et " * 400)])
    assert long
    assert all(tagged.end <= 600 for tagged in long)


def test_the_server_itself_rounds_to_four_decimals(triton_server: TritonServer) -> None:
    texts = lines(30, 3)
    inputs = []
    for name, column in (("TEXT", texts), ("CONTEXT", [""] * len(texts))):
        tensor = triton_grpc.InferInput(name, [len(texts), 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text.encode()] for text in column], dtype=np.object_))
        inputs.append(tensor)
    with triton_grpc.InferenceServerClient(triton_server.url) as client:
        answer = client.infer("coder", inputs, model_version="1", client_timeout=60)
        arrays = {name: answer.as_numpy(name) for name in ("CODES", "STARTS", "ENDS", "PROBS")}
        config = client.get_model_config("coder", as_json=True)["config"]
        served = client.get_model_repository_index(as_json=True)["models"]
    probs = arrays["PROBS"].astype(np.float64)
    assert np.allclose(probs, np.round(probs, 4), atol=1e-7, rtol=0)
    assert arrays["CODES"].shape == probs.shape
    assert probs.shape[2] == 5
    assert arrays["STARTS"].shape == arrays["ENDS"].shape == probs.shape[:2]
    padded = arrays["STARTS"] < 0
    assert (arrays["ENDS"][padded] == -1).all()
    assert (probs[padded] == 0).all()
    assert config["version_policy"] == {"specific": {"versions": ["1"]}}
    assert [(m["version"], m["state"]) for m in served if m["name"] == "coder"] == [("1", "READY")]


@pytest.mark.parametrize("settings", [Triton(coder_version="2"), Triton(coder="no-such-model")], ids=str)
async def test_another_model_or_version_is_misconfigured(triton_server: TritonServer, settings: Triton) -> None:
    model = TritonModel(triton_server.url, settings)
    try:
        assert not await model.ready()
        with pytest.raises(ModelMisconfigured):
            await model.ask([CANARY])
    finally:
        await model.close()


async def test_ready_and_version(model: TritonModel) -> None:
    assert await model.ready()
    assert model.version.startswith("coder-1+")


async def test_a_deadline_that_passes(triton_server: TritonServer) -> None:
    model = TritonModel(triton_server.url, Triton(deadline_s=0.0001))
    try:
        with pytest.raises(ModelUnavailable):
            await model.ask([CANARY])
    finally:
        await model.close()


async def test_more_rows_than_the_model_takes_are_refused_as_a_fault(model: TritonModel) -> None:
    with pytest.raises(ModelFault):
        await model.ask([CANARY] * 513)


async def test_nobody_listens() -> None:
    model = TritonModel("127.0.0.1:1", Triton(deadline_s=2))
    try:
        assert not await model.ready()
        with pytest.raises(ModelUnavailable):
            await model.ask([CANARY])
    finally:
        await model.close()


# The ranker


NO_ROWS = ["", " ", "!", "~", "#", ranking.CANARY.row[:-1], ranking.CANARY.row + "!", "insuffisance cardiaque", "é" * 40,
           "\u0000" * 53, "心不全", "[MASK] [PAD]", "%" + ranking.CANARY.row[1:], "#" * 10_000]  # fmt: skip


def cases(count: int, seed: int = 0) -> list[RankRequest]:
    """Certificates of real codes, few and many, so that every width of the model is met."""
    rng = random.Random(seed)
    common = ["I50.9", "I10", "J18.9", "E11.9", "C34.9", "I64", "A41.9", "N18.5", "R99", "S72.0", "W19", "F03", "I46.9"]
    known = sorted(icd10.load())
    found: list[RankRequest] = []
    while len(found) < count:
        line = [
            tuple(rng.choice(common if rng.random() < 0.6 else known) for _ in range(rng.choice((1, 1, 2, 5))))
            for _ in range(rng.randint(1, 6))
        ]
        part2 = tuple(rng.sample(common, rng.choice((0, 0, 1, 2, 9))))
        age = rng.choice((None, 0.5, 20.0, 9_000.0, 30_000.0))
        request = consider(Causes(tuple(line), part2, rng.choice("MFU"), age), load()).request
        found += [request] if request else []
    return found


@pytest.fixture
async def ranker(triton_server: TritonServer) -> AsyncIterator[TritonRanker]:
    ranker = TritonRanker(triton_server.url, Triton(deadline_s=60))
    yield ranker
    await ranker.close()


async def test_a_certificates_answer_does_not_depend_on_its_neighbours(ranker: TritonRanker) -> None:
    nonsense = [RankRequest(row, ()) for row in NO_ROWS]
    mixed = [ranking.CANARY, *nonsense, *cases(200 - 1 - len(nonsense))]
    together = await ranker.ask(mixed)
    assert len(together) == 200 and len({len(request.codes) for request in mixed}) > 10
    shuffled = list(range(200))
    random.Random(1).shuffle(shuffled)
    assert await ranker.ask([mixed[i] for i in shuffled]) == [together[i] for i in shuffled]
    for start in range(0, 200, 7):
        assert await ranker.ask(mixed[start : start + 1]) == together[start : start + 1]
    assert await ranker.ask([mixed[0]] * 40) == [together[0]] * 40


async def test_rankings_are_well_formed(ranker: TritonRanker) -> None:
    for ranked in await ranker.ask([ranking.CANARY, *cases(150, 2)]):
        assert 1 <= len(ranked.codes) <= 5
        assert len(set(ranked.codes)) == len(ranked.codes) == len(ranked.probs)
        assert all(CODE.fullmatch(f"{code[:3]}.{code[3:]}".rstrip(".")) for code in ranked.codes)
        assert list(ranked.probs) == sorted(ranked.probs, reverse=True)
        assert ranked.probs[0] > 0 and sum(ranked.probs) <= 1.001


async def test_what_is_no_row_gets_an_empty_answer(ranker: TritonRanker) -> None:
    assert await ranker.ask([RankRequest(row, ()) for row in NO_ROWS]) == [SILENT] * len(NO_ROWS)
    assert await ranker.ask([]) == []


async def test_a_row_with_values_that_nobody_writes_does_not_touch_its_neighbours(ranker: TritonRanker) -> None:
    """Right in length, but every value is the highest that a character can tell."""
    row = ranking.CANARY.row
    far = RankRequest(row[0] + "~" * (len(row) - 1), ())
    alone = await ranker.ask([ranking.CANARY])
    assert (await ranker.ask([ranking.CANARY, far, ranking.CANARY]))[::2] == alone * 2


async def test_the_rankers_canary_is_answered(ranker: TritonRanker) -> None:
    assert (await ranker.ask([ranking.CANARY]))[0].codes


def test_the_server_pads_rankings_and_rounds_them(triton_server: TritonServer) -> None:
    rows = [request.row for request in cases(30, 3)] + NO_ROWS[3:5]
    tensor = triton_grpc.InferInput("CASE", [len(rows), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[row.encode()] for row in rows], dtype=np.object_))
    with triton_grpc.InferenceServerClient(triton_server.url) as client:
        answer = client.infer("underlying", [tensor], model_version="1", client_timeout=60)
        names, chances = answer.as_numpy("CODES"), answer.as_numpy("PROBS")
        config = client.get_model_config("underlying", as_json=True)["config"]
        served = client.get_model_repository_index(as_json=True)["models"]
    assert names is not None and chances is not None
    probs = chances.astype(np.float64)
    assert names.shape == probs.shape == (len(rows), 5)
    assert np.allclose(probs, np.round(probs, 4), atol=1e-7, rtol=0)
    assert (probs[names == b""] == 0).all() and (names[-2:] == b"").all()
    assert config["version_policy"] == {"specific": {"versions": ["1"]}}
    assert [(m["version"], m["state"]) for m in served if m["name"] == "underlying"] == [("1", "READY")]


@pytest.mark.parametrize("settings", [Triton(underlying_version="2"), Triton(underlying="no-such-model")], ids=str)
async def test_another_ranker_or_version_is_misconfigured(triton_server: TritonServer, settings: Triton) -> None:
    ranker = TritonRanker(triton_server.url, settings)
    try:
        assert not await ranker.ready()
        with pytest.raises(ModelMisconfigured):
            await ranker.ask([ranking.CANARY])
    finally:
        await ranker.close()


async def test_the_ranker_is_ready_and_names_its_version(ranker: TritonRanker) -> None:
    assert await ranker.ready()
    assert ranker.version.startswith("underlying-1+")


async def test_more_certificates_than_the_ranker_takes_are_refused_as_a_fault(ranker: TritonRanker) -> None:
    assert len(await ranker.ask([ranking.CANARY] * 512)) == 512
    with pytest.raises(ModelFault):
        await ranker.ask([ranking.CANARY] * 513)
