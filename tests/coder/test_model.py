"""The model's seam: answers are checked whole, and its twin in memory behaves as a server does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stream.coder.model import LineRequest, MemoryModel, Tagged, TritonModel, read_answer
from stream.errors import ModelFault, ModelUnavailable
from stream.settings import REPOSITORY, Triton
from training import local

Arrays = dict[str, Any]
FRONT = local.front(REPOSITORY / "model_repo" / "coder" / "1" / "model.py")


def good() -> Arrays:
    """Two lines of 10 and 4 characters: two entities, none."""
    codes = np.full((2, 3, 5), b"", object)
    codes[0, 0, :2], codes[0, 1, 0] = [b"I10", b"I15.9"], b"J81"
    probs = np.zeros((2, 3, 5), np.float32)
    probs[0, 0, :2], probs[0, 1, 0] = [0.75, 0.125], 1.0
    starts = np.array([[0, 4, -1], [-1, -1, -1]], np.int32)
    ends = np.array([[3, 10, -1], [-1, -1, -1]], np.int32)
    return {"CODES": codes, "STARTS": starts, "ENDS": ends, "PROBS": probs}


LENGTHS = [10, 4]


def test_good_arrays_are_read() -> None:
    assert read_answer(good(), LENGTHS) == [
        (Tagged(0, 3, ("I10", "I15.9"), (0.75, 0.125)), Tagged(4, 10, ("J81",), (1.0,))),
        (),
    ]


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 4), st.sampled_from([5, 6, 127, 128, 129, 640, 641, 10_693]),
    st.sampled_from([1.0, 0.05]),
)  # fmt: skip
@settings(deadline=None)
def test_the_front_finds_the_largest_wherever_they_stand(seed: int, rows: int, width: int, steps: float) -> None:
    """With coarse steps many are alike: which of these are chosen is open, their values are not."""
    values = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    values = np.round(values / steps) * np.float32(steps) if steps != 1.0 else values
    best = FRONT.best_of(values, FRONT.TOP)
    assert best.shape == (rows, 5) and (np.diff(best, axis=1) > 0).all()
    found = np.sort(np.take_along_axis(values, best, axis=1), axis=1)
    assert (found == np.sort(values, axis=1)[:, -5:]).all()


def test_no_lines_no_answers() -> None:
    assert read_answer({name: array[:0] for name, array in good().items()}, []) == []


def test_no_entities_at_all() -> None:
    assert read_answer({name: array[:, :0] for name, array in good().items()}, LENGTHS) == [(), ()]


def test_an_entity_without_a_code_says_nothing() -> None:
    arrays = good()
    arrays["CODES"][0, 1] = b""
    assert len(read_answer(arrays, LENGTHS)[0]) == 1


def put(name: str, *place: int, value: Any) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name][place] = value

    return change


def replaced(name: str, make: Callable[[Any], Any]) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = make(arrays[name])

    return change


MALFORMED: dict[str, Callable[[Arrays], None]] = {
    **{f"no {name}": replaced(name, lambda _: None) for name in good()},
    **{f"{name} of one line": replaced(name, lambda a: a[:1]) for name in good()},
    **{f"{name} of three lines": replaced(name, lambda a: np.concatenate([a, a[:1]])) for name in good()},
    **{f"{name} of fewer entities": replaced(name, lambda a: a[:, :2]) for name in good()},
    **{f"{name} flat": replaced(name, lambda a: a.reshape(-1)) for name in good()},
    **{f"{name} deeper": replaced(name, lambda a: a[..., None]) for name in good()},
    "fewer probabilities than codes": replaced("PROBS", lambda a: a[..., :4]),
    "probability above 1": put("PROBS", 0, 0, 0, value=1.01),
    "probability below 0": put("PROBS", 1, 2, 4, value=-0.01),
    "probability not a number": put("PROBS", 0, 0, 1, value=np.nan),
    "probability infinite": put("PROBS", 0, 0, 1, value=np.inf),
    "probabilities of text": replaced("PROBS", lambda a: a.astype(str).astype(object)),
    "probabilities of integers": replaced("PROBS", lambda a: a.astype(np.int32)),
    "starts of floats": replaced("STARTS", lambda a: a.astype(np.float32)),
    "ends of floats": replaced("ENDS", lambda a: a.astype(np.float32)),
    "ends of text": replaced("ENDS", lambda a: a.astype(str).astype(object)),
    "end before start": put("ENDS", 0, 1, value=3),
    "empty span": put("ENDS", 0, 0, value=0),
    "end beyond the line": put("ENDS", 0, 1, value=11),
    "end missing": put("ENDS", 0, 0, value=-1),
    "start beyond the line": put("STARTS", 0, 0, value=12),
    "span in an empty line": put("STARTS", 1, 0, value=0),
    "code not UTF-8": put("CODES", 0, 0, 0, value=b"\xff"),
    "codes of numbers": replaced("CODES", lambda a: np.ones(a.shape, np.int64)),
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_arrays_are_a_fault_of_the_model(change: Callable[[Arrays], None]) -> None:
    arrays = good()
    change(arrays)
    with pytest.raises(ModelFault):
        read_answer(arrays, LENGTHS)


@given(
    arrays_of.arrays(np.int32, (2, 3), elements=st.integers(-3, 12)),
    arrays_of.arrays(np.int32, (2, 3), elements=st.integers(-3, 12)),
    arrays_of.arrays(np.float32, (2, 3, 5), elements=st.floats(-0.5, 1.5, width=32)),
)
def test_any_numbers_give_spans_inside_the_line_or_a_fault(starts: Any, ends: Any, probs: Any) -> None:
    try:
        answers = read_answer({"CODES": good()["CODES"], "STARTS": starts, "ENDS": ends, "PROBS": probs}, LENGTHS)
    except ModelFault:
        return
    for answer, length in zip(answers, LENGTHS, strict=True):
        for tagged in answer:
            assert 0 <= tagged.start < tagged.end <= length
            assert len(tagged.codes) == len(tagged.probs) and all(0 <= p <= 1 for p in tagged.probs)


# The twin in memory


async def test_memory_model_tags_the_words_it_was_given_in_text_order() -> None:
    model = MemoryModel({"sepsis": "A41.9", "choc": "R57.9", "rage": "A82.9"})
    answers = await model.ask([LineRequest("choc sur sepsis"), LineRequest("rien"), LineRequest("")])
    assert answers == [(Tagged(0, 4, ("R57.9",), (0.9,)), Tagged(9, 15, ("A41.9",), (0.9,))), (), ()]
    assert model.calls == [3]


async def test_memory_model_fails_as_told_then_answers() -> None:
    model = MemoryModel({"choc": "R57.9"})
    model.failures = [ModelUnavailable("down"), ModelFault("nonsense")]
    for error in (ModelUnavailable, ModelFault):
        with pytest.raises(error):
            await model.ask([LineRequest("choc")])
    assert len(await model.ask([LineRequest("choc")])) == 1
    assert model.calls == [1, 1, 1]


async def test_a_poisoned_line_takes_its_request_with_it() -> None:
    model = MemoryModel({"choc": "R57.9"}, poison="xyzzy", version="memory-2")
    with pytest.raises(ModelFault):
        await model.ask([LineRequest("choc"), LineRequest("un xyzzy")])
    assert len(await model.ask([LineRequest("choc")])) == 1
    assert model.version == "memory-2"
    await model.close()


async def test_triton_that_is_not_there_is_unavailable() -> None:
    model = TritonModel("127.0.0.1:1", Triton(deadline_s=2, coder="coder", coder_version="3"))
    try:
        assert model.version == "coder-3"
        assert not await model.ready()
        assert await model.ask([]) == []
        with pytest.raises(ModelUnavailable):
            await model.ask([LineRequest("choc")])
    finally:
        await model.close()
