"""Rules and ranker together: who speaks, what is kept of the other, and that the steps tell the way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.coding import Alternative, Method, Underlying
from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.underlying import Causes, consider, load, select
from stream.underlying import together as module
from stream.underlying.codes import bare
from stream.underlying.ranking import SILENT, Ranked
from stream.underlying.request import Considered
from stream.underlying.together import Together, features, written_code

TABLES = load()
SEVERAL = consider(Causes((("I26.9",), ("C25.9",)), ("I10",)), TABLES)
FAIR = Together({"rules": 1.0, "ranker": 1.0, "both": 1.0})
"""The ranker as it says, the rules with a bonus of one."""


def spoken(considered: Considered, *pairs: tuple[str, float], by: Together = FAIR) -> Underlying:
    return by(considered, Ranked(tuple(code for code, _ in pairs), tuple(p for _, p in pairs)), TABLES)


def test_the_rules_alone_are_what_select_gives() -> None:
    causes = Causes((("I50.9",), ("I10",)), ("E11.9",), durations=(2.0, 3000.0))
    assert consider(causes, TABLES).cause == select(causes, TABLES)
    assert (SEVERAL.cause.code, SEVERAL.cause.method) == ("C25.9", Method.RULES)


def test_a_silent_ranker_leaves_the_rules_answer_as_it_is() -> None:
    assert FAIR(SEVERAL, SILENT, TABLES) == SEVERAL.cause
    nothing = consider(Causes(((),), from_text=True), TABLES)
    assert spoken(nothing, ("C259", 0.9)) == nothing.cause and nothing.cause.code is None


def test_agreement_speaks_for_both() -> None:
    found = spoken(SEVERAL, ("C259", 0.9), ("I10", 0.08), ("I269", 0.0))
    assert (found.code, found.method, found.steps) == ("C25.9", Method.BOTH, SEVERAL.cause.steps)
    assert found.alternatives == (Alternative("I10", 0.08),), "what the ranker gives no chance is no alternative"
    assert found.confidence == FAIR.of({"both": 1.0, "ranker": 2.1972246}) > 0.9


def test_a_stronger_ranker_speaks_and_the_rules_code_is_kept() -> None:
    found = spoken(SEVERAL, ("I10", 0.9), ("C259", 0.05), ("I269", 0.04))
    assert (found.code, found.method) == ("I10", Method.MODEL)
    assert [other.code for other in found.alternatives] == ["C25.9", "I26.9"]
    assert found.confidence == 0.9 > found.alternatives[0].confidence > 0
    assert found.steps[:-1] == ("start: I10 taken as the originating cause",)
    assert found.steps[-1] == "ranker: I10 at 0.90, not C25.9 as by SP3"


def test_steps_tell_which_rule_makes_the_rankers_code() -> None:
    made = consider(Causes((("I50.9",), ("I10",)), ("C25.9",)), TABLES)
    assert made.cause.code == "I11.0"
    found = spoken(made, ("C259", 0.9))
    assert found.code == "C25.9" and found.steps[-1].endswith("not I11.0 as by SP3 M1")
    other = consider(Causes((("C25.9",), ("I50.9",), ("I10",))), TABLES)
    found = spoken(other, ("I110", 0.9))
    assert found.code == "I11.0" and found.method is Method.MODEL
    assert found.steps[:-1] == (
        "start: I10 taken as the originating cause",
        "M1: I10 with mention of I50.9 → I11.0",
    )


def test_a_code_that_no_rule_makes_is_told_as_such() -> None:
    found = spoken(SEVERAL, ("A419", 0.95))
    assert (found.code, found.steps[0]) == ("A41.9", "start: a code that no rule makes here")


def test_a_weak_ranker_is_not_followed_and_that_is_said() -> None:
    found = spoken(SEVERAL, ("I10", 0.5), ("C259", 0.45))
    assert (found.code, found.method) == ("C25.9", Method.RULES)
    assert found.steps == (*SEVERAL.cause.steps, "ranker: I10 is not followed, 0.50")
    assert found.alternatives == (Alternative("I10", 0.5),)
    assert found.confidence == FAIR.of(features(SEVERAL, Ranked(("I10", "C259"), (0.5, 0.45)), "C259")) > 0.5


def test_at_most_three_alternatives_and_never_the_code_itself() -> None:
    for first in ("C259", "I10"):
        others = [("A419", 0.02), ("J189", 0.02), ("I269", 0.02), ("K746", 0.02)]
        found = spoken(SEVERAL, (first, 0.9), *others)
        assert len(found.alternatives) == 3 and found.code not in [other.code for other in found.alternatives]


def test_features_say_who_puts_a_code_up() -> None:
    ranked = Ranked(("I10", "C259"), (0.75, 0.2))
    own, best = features(SEVERAL, ranked, "C259"), features(SEVERAL, ranked, "I10")
    assert (own["rules"], own["both"], best["rules"], best["both"]) == (1.0, 0.0, 0.0, 0.0)
    assert best["ranker"] == pytest.approx(1.0986, abs=1e-4) and own["ranker"] == pytest.approx(-1.3863, abs=1e-4)
    assert own["rules' own"] != 0.0 == best["rules' own"]
    both = features(SEVERAL, Ranked(("C259",), (0.75,)), "C259")
    assert (both["rules"], both["both"], both["ranker when both"]) == (0.0, 1.0, both["ranker"])


@pytest.mark.parametrize(("code", "written"), [("C259", "C25.9"), ("I10", "I10"), ("J459", "J45.9"), ("W19", "W19")])
def test_a_code_is_written_as_causa_writes_it(code: str, written: str) -> None:
    assert written_code(SEVERAL, code) == written
    assert written_code(consider(Causes((("I10",),)), TABLES), code) == written


CODES = sorted(icd10.load())
codes = st.sampled_from(CODES)
rankings = st.lists(st.tuples(codes.map(bare), st.floats(0, 1)), max_size=5, unique_by=lambda pair: pair[0]).map(
    lambda pairs: Ranked(tuple(c for c, _ in pairs), tuple(p for _, p in pairs))
)
numbers = st.floats(-5, 5)
weights = st.dictionaries(
    st.sampled_from(["one", "both", "rules", "ranker", "ranker when both", "rules' own"]), numbers
).map(Together)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(codes, max_size=3).map(tuple), max_size=4).map(tuple),
    st.lists(codes, max_size=3).map(tuple),
    rankings,
    weights | st.just(module.load()),
)
def test_confidence_is_a_probability_whoever_speaks(
    part1: tuple[tuple[str, ...], ...], part2: tuple[str, ...], ranked: Ranked, by: Together
) -> None:
    considered = consider(Causes(part1, part2), TABLES)
    found = by(considered, ranked, TABLES)
    assert 0 <= found.confidence <= 1 and all(0 <= other.confidence <= 1 for other in found.alternatives)
    assert (found.code is None) == (considered.cause.code is None)
    own = bare(considered.cause.code or "")
    assert found.code is None or bare(found.code) in (own, *ranked.codes[:1])
    assert found.method is Method.RULES or ranked.codes
    assert (found.method is Method.BOTH) == (found.code is not None and ranked.codes[:1] == (own,))
    assert found.steps and found.code not in [other.code for other in found.alternatives]
    assert len(found.alternatives) <= 3


def test_the_packaged_weights_are_read_or_refused() -> None:
    assert 0 <= module.load().of({"one": 1.0, "both": 1.0}) <= 1
    bad = module.WEIGHTS.parent / "together-that-is-not-there.json"
    with pytest.raises(InvalidData):
        module.load(bad)


def test_a_marked_coronavirus_is_one_cause_for_rules_and_ranker() -> None:
    considered = consider(Causes((("J96.0",), ("B34.2", "U07.1")), ("I10",)), TABLES)
    agreed = spoken(considered, ("U071", 0.8), ("I10", 0.1))
    assert (agreed.code, agreed.method) == ("B34.2", Method.BOTH)
    assert spoken(considered, ("I10", 0.99)).alternatives[0].code == "B34.2"
