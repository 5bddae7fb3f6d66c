"""The contract of `model_repo/coder`, on the real server. No test knows what the weights say."""

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
from stream.settings import REPOSITORY, Triton

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
    mixed = [LineRequest(text) for text in [CANARY, *ODD, *lines(200 - 1 - len(ODD))]]
    together = await model.tag(mixed)
    assert len(together) == 200
    shuffled = list(range(200))
    random.Random(1).shuffle(shuffled)
    assert await model.tag([mixed[i] for i in shuffled]) == [together[i] for i in shuffled]
    for start in range(0, 200, 7):
        assert await model.tag(mixed[start : start + 1]) == together[start : start + 1]
    twice = await model.tag([mixed[0]] * 40)
    assert twice == [together[0]] * 40


async def test_answers_are_well_formed(model: TritonModel) -> None:
    requests = [LineRequest(text, context) for text in [CANARY, *ODD, *lines(40, 2)] for context in CONTEXTS]
    answers = await model.tag(requests)
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
    assert (await model.tag([LineRequest(CANARY)]))[0]


async def test_no_line_no_answer(model: TritonModel) -> None:
    assert await model.tag([]) == []


async def test_a_line_beyond_the_window_is_answered_at_its_beginning(model: TritonModel) -> None:
    start = "insuffisance cardiaque puis "
    (long,) = await model.tag([LineRequest(start + "cancer du pancreas et " * 400)])
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
            await model.tag([LineRequest(CANARY)])
    finally:
        await model.close()


async def test_ready_and_version(model: TritonModel) -> None:
    assert await model.ready()
    assert model.version == "coder-1"


async def test_a_deadline_that_passes(triton_server: TritonServer) -> None:
    model = TritonModel(triton_server.url, Triton(deadline_s=0.0001))
    try:
        with pytest.raises(ModelUnavailable):
            await model.tag([LineRequest(CANARY)])
    finally:
        await model.close()


async def test_more_rows_than_the_model_takes_are_refused_as_a_fault(model: TritonModel) -> None:
    with pytest.raises(ModelFault):
        await model.tag([LineRequest(CANARY)] * 513)


async def test_nobody_listens() -> None:
    model = TritonModel("127.0.0.1:1", Triton(deadline_s=2))
    try:
        assert not await model.ready()
        with pytest.raises(ModelUnavailable):
            await model.tag([LineRequest(CANARY)])
    finally:
        await model.close()
