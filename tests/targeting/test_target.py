"""Who codes what: each reason, alone and together, and an audit that knows nothing of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import read_certificate
from stream.coding import CodedLine, Reason, Route, Uncoded, Underlying, Why
from stream.nomenclature import edits
from stream.targeting.policy import CodeRange, Policy, Rules
from stream.targeting.target import Decision, drawn, target, unknown_share

KEY = b"a key of the tests"
POLICY = Policy(
    Rules(
        version="1",
        min_confidence=0.8,
        audit_rate=0.02,
        mandatory_interest=(CodeRange(codes=("X60", "X84"), why="suicide"), CodeRange(codes=("O00", "O99"), why="maternal death")),
        infant_days=365,
        ill_defined=(CodeRange(codes=("R00", "R94")),),
        max_unknown_words=0.5,
    ),
    "1+test",
)  # fmt: skip


def decided(
    code: str | None = "C50.9", p: float = 0.9, unknown: float = 0.0, key: bytes = KEY, **fields: Any
) -> Decision:
    fields = {"certificate_id": "A", "part1": ["x"], "sex": "F", "age": {"value": 70}, **fields}
    return target(read_certificate(fields), Underlying(code, p), unknown, POLICY, edits.load(), key)


CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("nothing", {}, [], []),
    ("just sure enough", {"p": 0.8}, [], []),
    ("unsure", {"p": 0.79}, ["LOW_CONFIDENCE"], []),
    ("no cause", {"code": None, "p": 0.0}, ["LOW_CONFIDENCE"], []),
    ("no cause, but sure", {"code": None, "p": 1.0}, ["LOW_CONFIDENCE"], []),
    ("just readable", {"unknown": 0.5}, [], []),
    ("unreadable", {"unknown": 0.51}, ["LOW_CONFIDENCE"], ["UNKNOWN_WORDS"]),
    ("listed", {"code": "X70"}, ["MANDATORY_INTEREST"], ["INTEREST:suicide"]),
    ("infant", {"age": {"value": 364, "unit": "DAYS"}}, ["MANDATORY_INTEREST"], ["INTEREST:infant death"]),
    ("no infant", {"age": {"value": 365, "unit": "DAYS"}}, [], []),
    ("no age", {"age": None}, [], []),
    ("ill-defined", {"code": "R54", "age": {"value": 90}}, ["REJECT"], ["ILL_DEFINED"]),
    ("wrong sex", {"sex": "M", "code": "C56"}, ["REJECT"], ["EDIT:SEX_FEMALE"]),
    ("unknown sex", {"sex": "U", "code": "C56"}, [], []),
    ("wrong age", {"code": "F03", "age": {"value": 20}}, ["REJECT"], ["EDIT:ADULT_DISEASE"]),
    ("an injury", {"code": "S72.0"}, ["REJECT"], ["EDIT:INJURY_UNDERLYING"]),
    (
        "two listed causes",
        {"code": "X70", "age": {"value": 100, "unit": "DAYS"}},
        ["MANDATORY_INTEREST", "REJECT"],
        ["INTEREST:suicide", "INTEREST:infant death", "EDIT:SUICIDE_CHILD"],
    ),
    (
        "everything",
        {"code": "O72.1", "p": 0.1, "unknown": 0.9, "sex": "M", "age": {"value": 70}},
        ["LOW_CONFIDENCE", "MANDATORY_INTEREST", "REJECT"],
        ["UNKNOWN_WORDS", "INTEREST:maternal death", "EDIT:SEX_FEMALE", "EDIT:CHILDBEARING_AGE"],
    ),
]


@pytest.mark.parametrize(("fields", "reasons", "flags"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_reasons_and_what_explains_them(fields: dict[str, Any], reasons: list[str], flags: list[str]) -> None:
    found = decided(**fields)
    assert [reason.value for reason in found.targeting.reasons] == reasons
    assert list(found.flags) == flags
    assert found.targeting.route is (Route.MANUAL if reasons else Route.AUTO)
    assert found.targeting.policy == "1+test" and found.targeting.inclusion_probability == 0.02


def test_queue_puts_interest_first_then_what_is_least_certain() -> None:
    ordered = [
        decided("X70", 0.5), decided("X70", 0.99), decided(p=0.5), decided(p=0.7), decided(p=0.1), decided(p=0.99)
    ]  # fmt: skip
    priorities = [found.priority for found in ordered]
    assert priorities == sorted(priorities, reverse=True) and len(set(priorities)) == len(priorities)


# The audit


def test_draw_is_keyed_and_reproducible() -> None:
    ids = [f"c{n}" for n in range(5_000)]
    first = {i for i in ids if drawn(i, 0.05, KEY)}
    assert first == {i for i in ids if drawn(i, 0.05, KEY)}
    other = {i for i in ids if drawn(i, 0.05, b"another key")}
    assert first != other and len(first & other) < len(first) / 2
    assert first < {i for i in ids if drawn(i, 0.10, KEY)}  # a higher rate adds, and takes none away


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.02, 0.3, 1.0])
def test_draw_has_its_rate(rate: float) -> None:
    n = 20_000
    share = sum(drawn(f"2026-{k}", rate, KEY) for k in range(n)) / n
    assert abs(share - rate) <= 4 * (rate * (1 - rate) / n) ** 0.5


def test_draw_does_not_know_the_route() -> None:
    audited = next(f"c{n}" for n in range(2_000) if drawn(f"c{n}", 0.02, KEY))
    passed = next(f"c{n}" for n in range(2_000) if not drawn(f"c{n}", 0.02, KEY))
    for fields in (case[1] for case in CASES):
        assert decided(**{**fields, "certificate_id": audited}).targeting.audit
        assert not decided(**{**fields, "certificate_id": passed}).targeting.audit


def test_an_audit_alone_changes_no_route() -> None:
    audited = next(f"c{n}" for n in range(2_000) if drawn(f"c{n}", 0.02, KEY))
    found = decided(certificate_id=audited)
    assert found.targeting.audit and found.targeting.route is Route.AUTO and found.targeting.reasons == ()


def test_versions_of_a_certificate_are_drawn_alike() -> None:
    assert {decided(certificate_id="B", version=v).targeting.audit for v in range(1, 9)} in ({True}, {False})


# The share of text that nobody could read


def unread(*spans: tuple[int, int, Why]) -> CodedLine:
    return CodedLine((), tuple(Uncoded(*span) for span in spans))


@pytest.mark.parametrize(
    ("texts", "lines", "share"),
    [
        ([], [], 0.0),
        (["", "   "], [unread(), unread()], 0.0),
        (["xyzzy"], [unread((0, 5, Why.UNKNOWN_WORDS))], 1.0),
        (["xyzzy sepsis"], [unread((0, 6, Why.UNKNOWN_WORDS))], 0.5),
        (["  xyzzy sepsis  "], [unread((2, 8, Why.UNKNOWN_WORDS))], 0.5),
        (["xyzzy"], [unread((0, 5, Why.NEGATED))], 0.0),
        (["xyzzy"], [unread((0, 5, Why.NOT_A_CAUSE))], 0.0),
        (["abcd", "efgh"], [unread((0, 4, Why.UNKNOWN_WORDS)), unread()], 0.5),
        (["ab"], [unread((0, 9, Why.UNKNOWN_WORDS))], 1.0),
    ],
)
def test_unknown_share(texts: list[str], lines: list[CodedLine], share: float) -> None:
    assert unknown_share(texts, lines) == share


@given(
    st.sampled_from([None, "C50.9", "X70", "R54", "S72.0", "O72.1", "A00.9"]), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from(["M", "F", "U"]), st.one_of(st.none(), st.fixed_dictionaries({"value": st.integers(0, 120)})),
)  # fmt: skip
def test_a_person_sees_whatever_has_a_reason(
    code: str | None, p: float, unknown: float, sex: str, age: dict[str, int] | None
) -> None:
    found = decided(code, p, unknown, sex=sex, age=age)
    targeting = found.targeting
    assert (targeting.route is Route.MANUAL) == bool(targeting.reasons)
    assert len(set(targeting.reasons)) == len(targeting.reasons)
    assert 0.0 <= found.priority <= 3.0
    if targeting.route is Route.AUTO:
        assert code is not None and p >= 0.8 and unknown <= 0.5
    if Reason.REJECT in targeting.reasons or Reason.MANDATORY_INTEREST in targeting.reasons:
        assert found.flags
