"""The box on pregnancy: what its values mean, whose it is, and what it makes of whichever cause was selected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import read_certificate
from stream.errors import InvalidCertificate, InvalidData
from stream.nomenclature import icd10
from stream.pipeline.lines import causes_of
from stream.underlying import Causes, consider, load, read_causes, select
from stream.underlying.pregnancy import UNTOLD, Ended, Pregnancy, read_boxes
from stream.underlying.ranking import Ranked
from stream.underlying.together import Together

BOXES = load().boxes
WOMAN = {"sex": "F", "age": 30}
CODES = st.sampled_from(sorted(icd10.load()))


@pytest.mark.parametrize(
    ("value", "ended"),
    [
        ("AT_DEATH", Ended.AT_DEATH),
        ("within 42 days", Ended.WITHIN_42_DAYS),
        ("Within_1_Year", Ended.LATE),
        ("43 days to 1 year", Ended.LATE),
        ("OVER_1_YEAR", Ended.OVER_A_YEAR),
        ("no", Ended.NONE),
        ("1", Ended.NONE),
        ("2", Ended.AT_DEATH),
        ("3", Ended.WITHIN_42_DAYS),
        ("4", Ended.LATE),
        ("8", Ended.UNKNOWN),
    ],
)
def test_values_of_the_forms(value: str, ended: Ended) -> None:
    assert BOXES.of(value) == Pregnancy(ended)


@given(st.none() | st.text(max_size=70))
def test_any_other_value_tells_nothing(value: str | None) -> None:
    found = BOXES.of(value)
    assert found == UNTOLD or found.ended is not Ended.UNKNOWN or found.contributed is not None


def test_whether_it_contributed() -> None:
    assert BOXES.of("AT_DEATH_CONTRIBUTED") == Pregnancy(Ended.AT_DEATH, True)
    assert BOXES.of("not contributed") == Pregnancy(Ended.UNKNOWN, False)


@pytest.mark.parametrize(
    "row",
    [
        ["AT DEATH", "AT_DEATH", "?", "form"],
        ["NEVER", "SOME_DAY", "?", "form"],
        ["NEVER", "NONE", "perhaps", "form"],
        ["NEVER", "NONE", "?", ""],
    ],
)
def test_a_bad_row_is_told_by_its_line(row: list[str]) -> None:
    with pytest.raises(InvalidData, match=r"pregnancy\.tsv:3"):
        read_boxes([["NO", "NONE", "?", "form"], row], "pregnancy.tsv")
    with pytest.raises(InvalidData):
        read_boxes([["NO", "NONE", "?", "form"]] * 2, "pregnancy.tsv")


def test_rows_of_codes_carry_the_box_as_word_or_number() -> None:
    assert read_causes({"part1": [["R99"]], "pregnancy": "at_death"}).pregnancy == "AT_DEATH"
    assert read_causes({"part1": [["R99"]], "pregnancy": 2}).pregnancy == "2"
    assert read_causes({"part1": [["R99"]]}).pregnancy is None
    with pytest.raises(InvalidCertificate, match="pregnancy is no word"):
        read_causes({"part1": [["R99"]], "pregnancy": ["SECRET"]})


def test_the_certificate_s_box_reaches_the_rules() -> None:
    certificate = read_certificate({"certificate_id": "1", "part1": ["x"], "pregnancy": "WITHIN_42_DAYS"})
    assert causes_of(certificate, (), ()).pregnancy == "WITHIN_42_DAYS"


@given(CODES, CODES, st.sampled_from(["AT_DEATH", "WITHIN_42_DAYS", "WITHIN_1_YEAR", "3", "4"]))
def test_the_box_alone_makes_no_disease_obstetric(first: str, second: str, box: str) -> None:
    row = {**WOMAN, "part1": [[first]], "part2": [second]}
    plain, boxed = select(read_causes(row), load()), select(read_causes({**row, "pregnancy": box}), load())
    assert plain.code and boxed.code
    assert boxed.code == plain.code or plain.code[0] == "O" or boxed.code == "O95"
    if boxed.code == "O95" != plain.code:
        assert {first[0], second[0], plain.code[0]} <= set("RZFIJP")


def test_the_neonatal_form_s_box_is_the_mother_s() -> None:
    causes = Causes((("P95",),), sex="F", neonatal=True, pregnancy="AT_DEATH")
    assert select(causes, load()).code == "P95"


def test_what_the_box_states_holds_whoever_speaks() -> None:
    row = {**WOMAN, "part1": [["R57.1"], ["O72.1"]], "part2": ["O99.0"], "pregnancy": "WITHIN_1_YEAR"}
    considered = consider(read_causes(row), load())
    assert considered.cause.code == "O96.0"
    by_ranker = Together({"ranker": 1.0})
    agreed = by_ranker(considered, Ranked(("O721", "O990"), (0.8, 0.1)), load())
    assert (agreed.code, agreed.method.value) == ("O96.0", "BOTH")
    other = by_ranker(considered, Ranked(("O990", "O721"), (0.8, 0.1)), load())
    assert (other.code, other.method.value) == ("O96.1", "MODEL")
    assert any(step.startswith("maternal: O99.0") for step in other.steps)
