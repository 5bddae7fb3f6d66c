"""Who codes what: each reason, alone and together, and an audit that knows nothing of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Form, Source, read_certificate
from stream.coding import Assertion, Automation, CodedLine, Entity, Method, Reason, Route, Uncoded, Underlying, Why
from stream.targeting import edits
from stream.targeting.policy import Interest, Policy, Rules, Stratum
from stream.targeting.subject import of_certificate
from stream.targeting.target import NORMAL, Decision, drawn, never_automatic, priority, target, unknown_share
from stream.targeting.thresholds import VERSIONED, Found, Threshold, Thresholds

KEY = b"a key of the tests"
EXTERNAL = Stratum(name="external", codes=(("V01", "Y98"),), error=0.05, audit_rate=0.5)
REST = Stratum(name="rest", error=0.05, audit_rate=0.02)


def threshold(normal: float | None, strict: float | None) -> Threshold:
    return Threshold(
        error=0.05,
        confidence=0.95,
        level="exact",
        n=1000,
        normal=Found(threshold=normal),
        strict=Found(threshold=strict),
    )


FITTED = Thresholds(
    certified=True, source="tests", made_at=datetime(2026, 1, 1, tzinfo=UTC), versions=dict.fromkeys(VERSIONED, ""),
    strata={"external": threshold(0.9, None), "rest": threshold(0.8, 0.95)},
)  # fmt: skip
POLICY = Policy(
    Rules(
        version="1", strata=(EXTERNAL, REST), infant_days=365, max_unknown_words=0.5, rare_below=4,
        interest=(
            Interest(codes=("X60", "X84"), why="suicide"), Interest(codes=("O00", "O99"), why="maternal death", alert=6),
        ),
        edits={"SUICIDE_CHILD": "warn", "ONLY_UNKNOWN": "off"},
    ),
    FITTED, "1+test", frozenset(["C50", "X70", "R54", "F03", "S72", "C56", "O72", "W19"]),
)  # fmt: skip


def decided(
    code: str | None = "C50.9", p: float = 0.9, unknown: float = 0.0, key: bytes = KEY, policy: Policy = POLICY,
    broken: tuple[str, ...] = (), calibrated: bool = True, automation: Mapping[str, Automation] = NORMAL, **fields: Any,
) -> Decision:  # fmt: skip
    fields = {"certificate_id": "A", "part1": ["x"], "sex": "F", "age": {"value": 70}, **fields}
    subject = of_certificate(read_certificate(fields), (), Underlying(code, p), unknown, broken)
    return target(subject, policy, edits.load(), key, calibrated=calibrated, automation=automation)


def test_a_cause_that_presses_counts_wherever_it_stands_but_as_history() -> None:
    measles = Interest(codes=("B05", "B05"), why="measles", alert=8, mention=True)
    rules = POLICY.rules.model_copy(update={"interest": (measles, Interest(codes=("I21", "I21"), why="heart"))})
    policy = replace(POLICY, rules=rules)

    def of(assertion: Assertion, code: str) -> Decision:
        line = CodedLine((Entity(code, 0, 1, 0.9, Method.RULES, "x", assertion=assertion),))
        certificate = read_certificate({"certificate_id": "A", "part1": ["x"], "age": {"value": 70}})
        subject = of_certificate(certificate, (line,), Underlying("C50.9", 0.9), 0.0, ())
        return target(subject, policy, edits.load(), KEY, calibrated=True, automation=NORMAL)

    told = of(Assertion.PROBABLE, "B05.2")
    assert told.targeting.reasons == (Reason.MANDATORY_INTEREST,)
    assert told.priority >= 8
    assert of(Assertion.HISTORY, "B05.2").targeting.route is Route.AUTO
    assert of(Assertion.AFFIRMED, "I21.9").targeting.route is Route.AUTO, "as the underlying cause alone"


STRICT = {"rest": Automation.STRICT, "external": Automation.STRICT}
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("nothing", {}, [], []),
    ("just sure enough", {"p": 0.8}, [], []),
    ("unsure", {"p": 0.79}, ["LOW_CONFIDENCE"], []),
    ("not sure enough for its stratum", {"code": "W19", "p": 0.85}, ["LOW_CONFIDENCE"], []),
    ("after an alarm", {"p": 0.94, "automation": STRICT}, ["LOW_CONFIDENCE"], []),
    ("sure enough after an alarm", {"p": 0.95, "automation": STRICT}, [], []),
    (
        "a stratum that nothing passes after an alarm",
        {"code": "W19", "p": 1.0, "automation": STRICT},
        ["LOW_CONFIDENCE"],
        [],
    ),
    ("an alarm elsewhere", {"p": 0.8, "automation": {"external": Automation.STRICT}}, [], []),
    ("halted", {"p": 1.0, "automation": {"rest": Automation.HALTED}}, ["LOW_CONFIDENCE"], []),
    ("coded by other versions", {"p": 1.0, "calibrated": False}, ["LOW_CONFIDENCE"], ["UNCALIBRATED"]),
    ("no cause", {"code": None, "p": 0.0}, ["LOW_CONFIDENCE"], []),
    ("no cause, but sure", {"code": None, "p": 1.0}, ["LOW_CONFIDENCE"], []),
    ("just readable", {"unknown": 0.5}, [], []),
    ("unreadable", {"unknown": 0.51}, ["LOW_CONFIDENCE"], ["UNKNOWN_WORDS"]),
    ("listed", {"code": "X70"}, ["MANDATORY_INTEREST"], ["INTEREST:suicide"]),
    ("rare", {"code": "D56.1"}, ["MANDATORY_INTEREST"], ["INTEREST:rare cause"]),
    ("infant", {"age": {"value": 364, "unit": "DAYS"}}, ["MANDATORY_INTEREST"], ["INTEREST:infant death"]),
    ("no infant", {"age": {"value": 365, "unit": "DAYS"}}, [], []),
    ("no age", {"age": None}, [], []),
    ("an edit that rejects", {"broken": ("SEX_FEMALE",)}, ["REJECT"], ["EDIT:SEX_FEMALE"]),
    ("an edit that warns", {"broken": ("NONSPECIFIC_CAUSE",)}, [], ["EDIT:NONSPECIFIC_CAUSE"]),
    ("an edit that the office made warn", {"broken": ("SUICIDE_CHILD",)}, [], ["EDIT:SUICIDE_CHILD"]),
    ("an edit that the office put off", {"broken": ("ONLY_UNKNOWN",)}, [], ["EDIT:ONLY_UNKNOWN"]),
    ("an edit of old", {"broken": ("NOT_THERE_ANY_MORE",)}, [], ["EDIT:NOT_THERE_ANY_MORE"]),
    (
        "two listed causes",
        {"code": "X70", "age": {"value": 100, "unit": "DAYS"}},
        ["MANDATORY_INTEREST"],
        ["INTEREST:suicide", "INTEREST:infant death"],
    ),
    (
        "everything",
        {"code": "O72.1", "p": 0.1, "unknown": 0.9, "broken": ("SEX_FEMALE", "CHILDBEARING_AGE"), "calibrated": False},
        ["LOW_CONFIDENCE", "MANDATORY_INTEREST", "REJECT"],
        ["UNCALIBRATED", "UNKNOWN_WORDS", "INTEREST:maternal death", "EDIT:SEX_FEMALE", "EDIT:CHILDBEARING_AGE"],
    ),
]


@pytest.mark.parametrize(("fields", "reasons", "flags"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_reasons_and_what_explains_them(fields: dict[str, Any], reasons: list[str], flags: list[str]) -> None:
    found = decided(**fields)
    assert [reason.value for reason in found.targeting.reasons] == reasons
    assert list(found.flags) == flags
    assert found.targeting.route is (Route.MANUAL if reasons else Route.AUTO)
    stratum = POLICY.rules.stratum(Form.GENERAL, Source.ELECTRONIC, 1e4, fields.get("code", "C50.9"))
    assert found.targeting.policy == "1+test" and found.targeting.stratum == stratum.name
    assert found.targeting.inclusion_probability == stratum.audit_rate


def test_a_result_tells_what_it_was_held_against() -> None:
    plain, halted = decided().targeting, decided(automation={"rest": Automation.HALTED}).targeting
    assert (plain.threshold, plain.certified, plain.automation) == (0.8, True, Automation.NORMAL)
    assert (halted.threshold, halted.automation) == (None, Automation.HALTED)
    foreign = decided(calibrated=False).targeting
    assert (foreign.threshold, foreign.certified) == (None, False)


def test_thresholds_without_an_office_s_audits_mark_every_result() -> None:
    home = replace(POLICY, thresholds=FITTED.model_copy(update={"certified": False}))
    for fields in (case[1] for case in CASES):
        found = decided(policy=home, **fields)
        assert not found.targeting.certified
        assert ("UNCERTIFIED" in found.flags) is ("UNCALIBRATED" not in found.flags)


def test_queue_puts_what_presses_first_then_what_is_least_certain() -> None:
    ordered = [
        decided("O72.1", 0.5), decided("O72.1", 0.99), decided(p=0.5), decided("X70", p=0.7), decided(p=0.1), decided(p=0.99)
    ]  # fmt: skip
    priorities = [found.priority for found in ordered]
    assert priorities == sorted(priorities, reverse=True) and len(set(priorities)) == len(priorities)


@given(st.integers(0, 8), st.floats(0, 1), st.floats(0, 1))
def test_no_uncertainty_outweighs_what_presses(alert: int, low: float, high: float) -> None:
    assert priority(alert + 1, low) >= alert + 1 > priority(alert, high) >= alert


@given(
    st.sampled_from([None, "C50.9", "X70", "O72.1", "D56.1"]), st.floats(0, 1), st.floats(0, 1),
    st.sampled_from([(), ("SEX_FEMALE",), ("ONLY_UNKNOWN",), ("NONSPECIFIC_CAUSE",)]), st.integers(0, 90),
)  # fmt: skip
def test_what_no_threshold_makes_automatic(
    code: str | None, p: float, unknown: float, broken: tuple[str, ...], age: int
) -> None:
    free = {name: one.model_copy(update={"normal": Found(threshold=0.0)}) for name, one in FITTED.strata.items()}
    policy = replace(POLICY, thresholds=FITTED.model_copy(update={"strata": free}))
    fields = {"certificate_id": "A", "part1": ["x"], "sex": "F", "age": {"value": age}}
    subject = of_certificate(read_certificate(fields), (), Underlying(code, p), unknown, broken)
    found = target(subject, policy, edits.load(), KEY)
    assert never_automatic(subject, policy, edits.load()) == (found.targeting.route is Route.MANUAL)


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
    passed = next(f"c{n}" for n in range(2_000) if not drawn(f"c{n}", 0.5, KEY))
    for fields in (case[1] for case in CASES):
        assert decided(**{**fields, "certificate_id": audited}).targeting.audit
        assert not decided(**{**fields, "certificate_id": passed}).targeting.audit


def test_an_audit_alone_changes_no_route() -> None:
    audited = next(f"c{n}" for n in range(2_000) if drawn(f"c{n}", 0.02, KEY))
    found = decided(certificate_id=audited)
    assert found.targeting.audit and found.targeting.route is Route.AUTO and found.targeting.reasons == ()


def test_the_place_of_an_audit_does_not_tell_the_confidence() -> None:
    audited = next(f"c{n}" for n in range(2_000) if drawn(f"c{n}", 0.02, KEY))
    assert len({decided(p=p, certificate_id=audited).priority for p in (0.01, 0.5, 0.9, 0.99)}) == 1
    assert decided("O72.1", certificate_id=audited).priority > 6


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
    assert 0.0 <= found.priority < 10.0
    if targeting.route is Route.AUTO:
        assert code is not None and p >= 0.8 and unknown <= 0.5
    if Reason.REJECT in targeting.reasons or Reason.MANDATORY_INTEREST in targeting.reasons:
        assert found.flags
