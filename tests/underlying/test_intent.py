"""The intent that was ticked, the like event by that intent, and the main injury."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.underlying import Causes, consider, load, select
from stream.underlying.external import INJURY
from stream.underlying.injury import read_ranking
from stream.underlying.intent import read_intents
from stream.underlying.ranking import Ranked
from stream.underlying.sequence import Mention
from stream.underlying.together import Together

INTENTS = load().intents
EXTERNAL = [code for code in icd10.load() if re.match("[VWXY]", code)]
SOURCE = "by hand"


@pytest.mark.parametrize(
    ("manner", "codes"), [("SUICIDE", "X6[0-9]|X7|X8[0-4]|Y87.0"), ("HOMICIDE", "X8[5-9]|X9|Y0|Y87.1")]
)
def test_what_an_intent_makes_is_a_code_of_that_intent_and_stands(manner: str, codes: str) -> None:
    for code in EXTERNAL:
        told = INTENTS.told(code, manner)
        if told is not None and told[0] != code:
            assert icd10.load().valid(told[0]) and re.match(codes, told[0])
            assert INTENTS.told(told[0], manner) is None


def test_an_undetermined_intent_turns_only_what_is_unspecified() -> None:
    turned = {code[:3] for code in EXTERNAL if INTENTS.told(code, "UNDETERMINED") is not None}
    assert {"X44", "X59", "W84"} <= turned and not turned & {"X42", "W13", "W76", "V89", "X00"}


def test_an_investigation_contradicts_no_intent() -> None:
    assert INTENTS.told("X70", "INVESTIGATION") is None and INTENTS.told("X70", "NATURAL") is not None


def test_legal_intervention_war_and_care_have_no_like_event() -> None:
    assert all(INTENTS.told(code, "SUICIDE") is None for code in ("Y35.0", "Y36.9", "Y83.1", "Y57.9"))


@pytest.mark.parametrize(
    "row",
    [
        ["X40", "X85", "X85", "Y10", "no", SOURCE],
        ["X40", "X60", "X85", "Y10", "perhaps", SOURCE],
        ["X40", "-", "-", "-", "no", SOURCE],
        ["X40", "X60", "X85", "-", "yes", SOURCE],
        ["X40", "X60", "X85", "Y10", "no", ""],
    ],
)
def test_a_bad_event_is_told_by_its_line(row: list[str]) -> None:
    with pytest.raises(InvalidData, match=r"intents\.tsv:2"):
        read_intents([row], "intents.tsv")


def test_the_ticked_intent_holds_whoever_speaks() -> None:
    considered = consider(Causes((("T71",), ("W76",)), ("F32.9",), manner="SUICIDE"), load())
    agreed = Together({"ranker": 1.0})(considered, Ranked(("W76", "F329"), (0.7, 0.2)), load())
    assert (agreed.code, agreed.method.value) == ("X70", "BOTH")


@given(st.sampled_from([code for code in icd10.load() if code.replace(".", "")[:4] in INJURY]))
def test_every_injury_has_a_rank_and_nothing_else(code: str) -> None:
    assert load().injuries.rank(code.replace(".", "")) in range(1, 7)
    assert load().injuries.rank("I219") is None


def test_the_first_of_the_gravest_is_the_main_injury() -> None:
    mentions = [Mention(code.replace(".", ""), code, 0) for code in ("S00.9", "S72.0", "S06.5", "S27.3", "V89.2")]
    told = "main injury: S06.5 (rank 1) of S00.9, S72.0, S06.5, S27.3"
    assert load().injuries.main(mentions) == told
    assert load().injuries.main(mentions[:1]) == "main injury: S00.9 (rank 6)"
    assert load().injuries.main(mentions[-1:]) is None


@pytest.mark.parametrize(
    "row", [["S06", "0", SOURCE], ["S06", "first", SOURCE], ["V01", "1", SOURCE], ["S06", "1", ""]]
)
def test_a_bad_rank_is_told_by_its_line(row: list[str]) -> None:
    with pytest.raises(InvalidData, match=r"injuries\.tsv:2"):
        read_ranking([row], "injuries.tsv")


def test_a_disease_has_no_main_injury() -> None:
    answer = select(Causes((("I21.9",),), ("S06.9",)), load())
    assert answer.code == "I21.9" and not any(step.startswith("main") for step in answer.steps)
