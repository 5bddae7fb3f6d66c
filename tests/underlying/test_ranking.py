"""The ranker's seam: what is asked (rows that the served front reads), what is answered, and the twins."""

from __future__ import annotations

import ast
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from stream.errors import ModelFault, ModelUnavailable
from stream.nomenclature import icd10
from stream.settings import REPOSITORY, Triton
from stream.underlying import Causes, consider, load, select
from stream.underlying.codes import bare
from stream.underlying.ranking import (
    CANARY,
    SILENT,
    MemoryRanker,
    Ranked,
    SilentRanker,
    TritonRanker,
    by_size,
    read_answer,
)
from stream.underlying.request import (
    CAUSED,
    CAUSES,
    HEAD,
    MADE,
    MAKES,
    MENTIONS,
    OBVIOUS,
    OBVIOUS_FOR,
    TOKEN,
    RankRequest,
)
from training import local

TABLES = load()
FOLDER = REPOSITORY / "model_repo" / "underlying"
FRONT = local.front(FOLDER / "1" / "model.py")
KNOWN = sorted({bare(code) for code in icd10.load()})
LABELS = FRONT.Labels({"codes": KNOWN, "categories": sorted({code[:3] for code in KNOWN}), "answers": ["R99"]})
FLAGS = ["made", "answer", "start", "passed", "kept", "ill-defined", "trivial", "external", "injury", "explains above",
         "explained below", "lowest"]  # fmt: skip
STEPS = ["SP1", "SP2", "SP3", "SP4", "SP5", "SP6", "SP7", "SP8", "M1", "M2", "M4", "derived"]


def requested(*part1: tuple[str, ...], **fields: Any) -> RankRequest:
    request = consider(Causes(part1, **fields), TABLES).request
    assert request is not None
    return request


def read(request: RankRequest) -> tuple[dict[str, Any], list[str]]:
    """The row as the served front reads it."""
    arrays, codes = FRONT.read_row(request.row.encode("ascii"), LABELS)
    return arrays, codes


def flags(request: RankRequest, code: str) -> set[str]:
    arrays, codes = read(request)
    return {name for name, flag in zip(FLAGS, arrays["flags"][codes.index(code)], strict=True) if flag}


def relation(request: RankRequest, one: str, other: str) -> int:
    """Bits of a pair, without where they stand to one another."""
    arrays, codes = read(request)
    return int(arrays["relation"][codes.index(one), codes.index(other)]) % 32


# What is asked


def test_where_there_is_but_one_code_nothing_is_asked() -> None:
    assert consider(Causes((("I10",), ("I10",))), TABLES).request is None
    assert consider(Causes(((), ("QQ7",))), TABLES).request is None
    assert consider(Causes((("S72.0",),), manner="ACCIDENT"), TABLES).request is not None, "a rule makes another"


def test_a_row_holds_codes_mentions_first() -> None:
    request = requested(("I50.9", "J18.9"), ("I10",), part2=("E11.9",))
    assert request.codes[:4] == ("I50.9", "J18.9", "I10", "E11.9")
    assert "I11.0" in request.codes[4:], "what M1 would make of I10"
    _, codes = read(request)
    assert codes == [bare(code) for code in request.codes]
    size = len(codes)
    assert ord(request.row[0]) - 33 == size
    assert len(request.row) == 1 + HEAD + size * TOKEN + size * size


def test_codes_and_categories_are_found_by_the_front() -> None:
    arrays, codes = read(requested(("I64",), ("I10",), part2=("E11.9", "W19")))
    for code, (letter, category, number) in zip(codes, arrays["ids"], strict=True):
        assert letter == ord(code[0]) - ord("A") + 1
        assert sorted({c[:3] for c in KNOWN})[category - 1] == code[:3]
        assert KNOWN[number - 1] == code if code in KNOWN else number == 0


def test_lines_are_counted_from_both_ends_and_places_along_them() -> None:
    arrays, codes = read(requested(("J96.0",), (), ("J18.9", "A41.9"), ("I63.9",), part2=("I10",)))
    places = {code: tuple(map(int, row[:4])) for code, row in zip(codes, arrays["values"], strict=True)}
    assert places["J960"] == (1, 3, 0, 1)
    assert places["J189"] == (2, 2, 0, 2)
    assert places["A419"] == (2, 2, 1, 2)
    assert places["I639"] == (3, 1, 0, 1)
    assert places["I10"] == (0, 0, 0, 0)
    arrays, codes = read(requested(("I50.9",), ("I10",)))
    assert arrays["values"][codes.index("I110")].tolist() == [21, 0, 0, 0, 0], "a code that a rule makes stands nowhere"


def test_the_same_code_twice_has_a_place_each() -> None:
    arrays, codes = read(requested(("I50.9", "I50.9"), ("I10",)))
    assert codes[:2] == ["I509", "I509"]
    assert [int(v) for v in arrays["values"][:2, 2]] == [0, 1]
    assert not arrays["relation"][0, 1] % 32 & MAKES, "what stays as it is makes nothing"


@pytest.mark.parametrize(
    ("days", "group"),
    [(None, 0), (0.0, 1), (1 / 24, 2), (1.0, 4), (7.0, 6), (365.0, 9), (3650.0, 11), (40_000.0, 13), (1e300, 13)],
)
def test_durations_are_grouped(days: float | None, group: int) -> None:
    arrays, _ = read(requested(("I50.9",), ("I10",), durations=(days,)))
    assert int(arrays["values"][0, 4]) == group
    assert int(arrays["values"][1, 4]) == 0


def test_flags_of_a_hand_made_certificate() -> None:
    request = requested(("I46.9",), ("I50.9",), ("I10",), part2=("L60.0",))
    assert flags(request, "I110") == {"made", "answer", "passed"}
    assert flags(request, "I10") == {"start", "passed", "explains above", "lowest"}
    assert "kept" in flags(request, "I509") or "explained below" in flags(request, "I509")
    assert "ill-defined" in flags(request, "I469") and "ill-defined" not in flags(request, "I509")
    assert "trivial" in flags(request, "L600") and "lowest" not in flags(request, "L600")
    injured = requested(("S06.9",), ("W19",))
    assert "injury" in flags(injured, "S069") and "external" not in flags(injured, "S069")
    assert "external" in flags(injured, "W19") and "injury" not in flags(injured, "W19")


def test_exactly_one_code_is_the_rules_answer() -> None:
    for part1 in ((("I50.9",), ("I10",)), (("J96.0",), ("C25.9",)), (("S06.9",),)):
        causes = Causes(part1, part2=("E11.9",), manner="ACCIDENT")
        request = requested(*part1, part2=("E11.9",), manner="ACCIDENT")
        arrays, codes = read(request)
        answers = {code for code, row in zip(codes, arrays["flags"], strict=True) if row[FLAGS.index("answer")]}
        assert answers == {bare(select(causes, TABLES).code or "")}


def test_relations_say_what_can_cause_what() -> None:
    request = requested(("I26.9",), ("C25.9",), part2=("I10", "I50.9"))
    assert relation(request, "C259", "I269") & CAUSES and relation(request, "I269", "C259") & CAUSED
    assert not relation(request, "I269", "C259") & CAUSES
    made = requested(("I50.9",), ("I10",))
    assert relation(made, "I10", "I110") & MAKES and not relation(made, "I110", "I10") & MAKES
    arrays, codes = read(request)
    assert (np.diag(arrays["relation"]) == FRONT.SELF).all()
    for i, one in enumerate(codes):
        for j, other in enumerate(codes):
            if i != j:
                assert bool(relation(request, one, other) & CAUSES) == TABLES.causal.can(one, other)


def test_an_obvious_consequence_is_told_both_ways() -> None:
    request = requested(("J81",), ("I50.9",), ("I21.9",))
    obvious = [
        (one, other)
        for one in ("J81", "I509", "I219")
        for other in ("J81", "I509", "I219")
        if one != other and any(other in codes for codes in TABLES.obvious.causes(one))
    ]
    assert obvious
    for one, other in obvious:
        assert relation(request, one, other) & OBVIOUS and relation(request, other, one) & OBVIOUS_FOR


def test_the_front_adds_where_two_stand_to_one_another() -> None:
    request = requested(("I50.9", "J18.9"), ("I10",), part2=("E11.9",))
    arrays, codes = read(request)
    where = arrays["relation"] // 32

    def of(one: str, other: str) -> int:
        return int(where[codes.index(one), codes.index(other)])

    assert (of("I509", "J189"), of("I10", "I509"), of("I509", "I10")) == (0, 1, 2)
    assert (of("E119", "I10"), of("I10", "E119"), of("I10", "I110")) == (3, 3, 4)


def test_the_head_tells_who_died_how_and_which_rules_fired() -> None:
    request = requested(("I50.9",), (), ("I10",), part2=("E11.9",), sex="F", age_days=40 * 365.25, manner="SUICIDE")
    arrays, _ = read(request)
    assert arrays["head"].tolist() == [2, 13, 0, 3, 2, 0, 3]
    steps = {name for name, step in zip(STEPS, arrays["steps"], strict=True) if step}
    told = {s.partition(":")[0] for s in select(Causes((("I50.9",), (), ("I10",)), ("E11.9",)), TABLES).steps}
    assert {"SP3", "M1"} <= steps and steps - {"derived"} == told
    arrays, _ = read(requested(("P22.0",), ("P07.1",), neonatal=True, from_text=True, sex="M"))
    assert arrays["head"].tolist() == [1, 0, 1, 0, 2, 1, 2]


@pytest.mark.parametrize(
    ("days", "group"),
    [
        (None, 0),
        (0.0, 1),
        (1.0, 2),
        (7.0, 3),
        (28.0, 4),
        (364.0, 4),
        (365.0, 5),
        (1826.25, 6),
        (36525.0, 24),
        (1e9, 24),
    ],
)
def test_ages_are_grouped(days: float | None, group: int) -> None:
    arrays, _ = read(requested(("I50.9",), ("I10",), age_days=days))
    assert int(arrays["head"][1]) == group


def test_more_mentions_than_are_looked_at() -> None:
    many = tuple(KNOWN[i * 97] for i in range(60))
    request = requested(many[:30], many[30:])
    assert request.codes[:MENTIONS] == many[:MENTIONS]
    assert MENTIONS <= len(request.codes) <= MENTIONS + MADE == max(FRONT.WIDTHS)
    assert int(read(request)[0]["head"][6]) == 30


def test_another_certificate_is_another_row_and_the_same_one_is_the_same() -> None:
    base = {"part2": ("E11.9",), "sex": "F", "age_days": 20_000.0}
    row = requested(("I50.9",), ("I10",), **base)
    assert row == requested(("I50.9",), ("I10",), **base)
    for change in ({"part2": ()}, {"sex": "M"}, {"age_days": 2_000.0}, {"from_text": True}, {"durations": (3.0,)}):
        assert requested(("I50.9",), ("I10",), **base | change) != row
    assert requested(("I10",), ("I50.9",), **base) != row


def test_rows_of_like_size_stand_together() -> None:
    one, two, three = requested(("I10",), ("I64",)), requested(("J18.9", "I64"), ("I10",)), CANARY
    assert [len(r.codes) for r in sorted([two, one, three], key=by_size)] == sorted(
        len(r.codes) for r in (one, two, three)
    )


codes = st.sampled_from(sorted(icd10.load()))
certificates = st.builds(
    Causes,
    part1=st.lists(st.lists(codes | st.text(max_size=6), max_size=9).map(tuple), max_size=20).map(tuple),
    part2=st.lists(codes | st.text(max_size=6), max_size=12).map(tuple),
    sex=st.sampled_from("MFU"),
    age_days=st.none() | st.floats(0, 1e6),
    manner=st.sampled_from([None, "NATURAL", "ACCIDENT", "SUICIDE", "HOMICIDE", "WAR", "UNDETERMINED"]),
    durations=st.lists(st.none() | st.floats(0, 1e300), max_size=20).map(tuple),
    neonatal=st.booleans(),
    from_text=st.booleans(),
)


def _sizes(name: str) -> tuple[int, ...]:
    """Sizes of the network's tables, read off its source: the network itself needs torch."""
    source = (REPOSITORY / "training" / "underlying" / "network.py").read_text(encoding="utf-8")
    found = re.search(rf"^{name} = (.+)$", source, re.MULTILINE)
    assert found is not None
    sizes = ast.literal_eval(found[1])
    return sizes if isinstance(sizes, tuple) else (sizes,)


VALUES, HEADS, RELATIONS = _sizes("_VALUES"), _sizes("_HEAD"), _sizes("RELATIONS")


@settings(max_examples=200, deadline=None)
@given(certificates)
def test_no_certificate_makes_it_fail_and_every_row_is_readable(causes: Causes) -> None:
    considered = consider(causes, TABLES)
    assert considered.cause == select(causes, TABLES)
    if considered.request is None:
        assert len({m.code for m in considered.case.everything}) <= 1
        return
    arrays, found = read(considered.request)
    assert 2 <= len(found) == len(considered.request.codes) <= max(FRONT.WIDTHS)
    for code, written in zip(found, considered.request.codes, strict=True):
        assert code == bare(written) or not written.isascii()
    assert (arrays["values"] >= 0).all() and (arrays["values"] < np.array(VALUES)).all()
    assert (arrays["head"] >= 0).all() and (arrays["head"] < np.array(HEADS)).all()
    assert (arrays["relation"] >= 0).all() and (arrays["relation"] < RELATIONS[0]).all()
    assert arrays["flags"].shape == (len(found), len(FLAGS)) and arrays["steps"].shape == (len(STEPS),)
    batch = FRONT.stack([arrays], max(FRONT.WIDTHS), FRONT.TILE)
    assert batch["mask"].sum() == len(found)


# The front


GOOD = requested(("I50.9",), ("I10",)).row.encode()


@pytest.mark.parametrize(
    "row",
    [b"", b"!", b"#", GOOD[:-1], GOOD + b"!", bytes([GOOD[0] + 1]) + GOOD[1:], GOOD[:5] + b" " + GOOD[6:],
     GOOD[:5] + b"\x7f" + GOOD[6:], "é".encode() + GOOD[2:], b"insuffisance cardiaque"],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_row_is_refused(row: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        FRONT.read_row(row, LABELS)


def test_the_canary_is_read_and_warms_the_server() -> None:
    arrays, found = read(CANARY)
    assert found == [bare(code) for code in CANARY.codes] == ["J189", "I64"]
    assert len(arrays["ids"]) == 2
    case = (FOLDER / "warmup" / "case").read_bytes()
    assert case == len(CANARY.row).to_bytes(4, "little") + CANARY.row.encode()


def test_the_canary_is_a_row_as_it_is_written_now() -> None:
    now = requested(("J18.9",), ("I64",), sex="F", age_days=16 * 5 * 365.25)
    assert now == CANARY


# What is answered


def answer(**changes: Any) -> dict[str, Any]:
    """A right answer for two certificates, with changes."""
    names = np.array([[b"I110", b"I10", b""], [b"C259", b"", b""]], object)
    probs = np.array([[0.71236, 0.2, 0.0], [1.0, 0.0, 0.0]], np.float32)
    return {"CODES": names, "PROBS": probs} | changes


def test_the_right_answer_is_read() -> None:
    assert read_answer(answer(), 2) == [Ranked(("I110", "I10"), (0.7124, 0.2)), Ranked(("C259",), (1.0,))]
    nothing = {"CODES": np.full((1, 5), b"", object), "PROBS": np.zeros((1, 5), np.float32)}
    assert read_answer(nothing, 1) == [SILENT]


NONSENSE: dict[str, dict[str, Any]] = {
    "no codes": {"CODES": None},
    "no probabilities": {"PROBS": None},
    "one row too few": {k: v[:1] for k, v in answer().items()},
    "one row too many": {k: np.concatenate([v, v[:1]]) for k, v in answer().items()},
    "flat codes": {"CODES": np.full(2, b"", object)},
    "deep codes": {k: v[..., None] for k, v in answer().items()},
    "flat probabilities": {"PROBS": np.zeros(2, np.float32)},
    "fewer probabilities": {"PROBS": np.zeros((2, 2), np.float32)},
    "whole numbers": {"PROBS": np.ones((2, 3), np.int32)},
    "NaN": {"PROBS": np.full((2, 3), math.nan, np.float32)},
    "infinite": {"PROBS": np.full((2, 3), math.inf, np.float32)},
    "over one": {"PROBS": np.full((2, 3), 1.01, np.float32)},
    "negative": {"PROBS": np.full((2, 3), -0.01, np.float32)},
    "no text": {"CODES": np.full((2, 3), b"\xff", object)},
    "not ASCII": {"CODES": np.full((2, 3), "I١١".encode(), object)},
    "numbers for codes": {"CODES": np.full((2, 3), 7, object)},
}


@pytest.mark.parametrize("changes", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_a_fault(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelFault):
        read_answer(answer(**changes), 2)


@settings(deadline=None)
@given(arrays_of.arrays(np.float32, (2, 3), elements=st.floats(-0.5, 1.5, width=32)))
def test_any_numbers_give_probabilities_or_a_fault(probs: Any) -> None:
    try:
        found = read_answer(answer(PROBS=probs), 2)
    except ModelFault:
        assert ((probs < 0) | (probs > 1)).any()
        return
    assert all(0 <= p <= 1 for ranked in found for p in ranked.probs)


def test_the_probability_of_a_code() -> None:
    ranked = Ranked(("I110", "I10"), (0.7, 0.2))
    assert (ranked.of("I10"), ranked.of("I110"), ranked.of("C259"), SILENT.of("I10")) == (0.2, 0.7, 0.0, 0.0)


# The twins


async def test_memory_ranker_prefers_what_it_was_given_first_one_first() -> None:
    ranker = MemoryRanker({"I10": "I110", "I64": "I64"}, version="memory-2")
    requests = [requested(("I64",), ("I10",)), CANARY, requested(("C25.9",), ("E11.9",))]
    assert await ranker.ask(requests) == [Ranked(("I110",), (0.9,)), Ranked(("I64",), (0.9,)), SILENT]
    assert ranker.calls == [3] and ranker.version == "memory-2"
    await ranker.close()


async def test_memory_ranker_fails_as_told_then_answers() -> None:
    ranker = MemoryRanker()
    ranker.failures = [ModelUnavailable("down"), ModelFault("nonsense")]
    for error in (ModelUnavailable, ModelFault):
        with pytest.raises(error):
            await ranker.ask([CANARY])
    assert await ranker.ask([CANARY]) == [SILENT]
    assert ranker.calls == [1, 1, 1]


async def test_silent_ranker_says_nothing() -> None:
    ranker = SilentRanker()
    assert await ranker.ask([CANARY, CANARY]) == [SILENT, SILENT] and await ranker.ask([]) == []
    assert ranker.version == "none"
    await ranker.close()


async def test_triton_that_is_not_there_is_unavailable() -> None:
    ranker = TritonRanker("127.0.0.1:1", Triton(deadline_s=2, underlying="underlying", underlying_version="3"))
    try:
        assert ranker.version == "underlying-3"
        assert not await ranker.ready()
        assert await ranker.ask([]) == []
        with pytest.raises(ModelUnavailable):
            await ranker.ask([CANARY])
    finally:
        await ranker.close()


def test_labels_if_served_name_codes_alone() -> None:
    path = FOLDER / "1" / "labels.json"
    labels = json.loads(path.read_text(encoding="utf-8"))
    assert set(labels) >= {"codes", "categories", "answers", "temperature"} and labels["temperature"] > 0
    for name in ("codes", "categories", "answers"):
        assert len(set(labels[name])) == len(labels[name]) > 0
        assert all(re.fullmatch(r"[A-Z]\d\d[0-9A-Z]?", code) for code in labels[name])
