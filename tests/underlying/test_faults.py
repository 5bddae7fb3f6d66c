"""What is told of the codes of a certificate: signs and extensions, codes that are none, and the edits on sex and age."""

import csv
import os
from pathlib import Path

import pytest

from stream.underlying.faults import Fault, Why, asterisks, faults, usable

DATA = Path(os.environ.get("CAUSA_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
EDITS = DATA / "edits"
NEEDS_EDITS = pytest.mark.skipif(not EDITS.exists(), reason="the shared data folder is not here")
YEAR = 365.25
DAYS = {"Y": YEAR, "M": YEAR / 12, "D": 1.0}
SEXES = {"1.0": "M", "2.0": "F"}


def whys(code: str, sex: str = "U", age_days: float | None = None) -> list[Why]:
    return [fault.why for fault in faults(code, sex, age_days)]


@pytest.mark.parametrize("code", ["I10", "i10", " I10 ", "I21.9", "I219", "C61", "V99.9", "U07.1", "A34"])
def test_a_good_code_has_no_fault(code: str) -> None:
    assert faults(code, "U", None) == ()


@pytest.mark.parametrize("code", ["", "   "])
def test_an_empty_entry_is_missing(code: str) -> None:
    assert whys(code) == [Why.MISSING]


@pytest.mark.parametrize("code", ["ZZZ", "I1", "A1B", "stroke", "*", "Ö10"])
def test_what_is_no_code_is_unknown_and_nothing_else(code: str) -> None:
    assert faults(code, "F", 1.0) == (Fault(code, Why.UNKNOWN),)


@pytest.mark.parametrize("code", ["S72.001", "I48.21", "S72001", "I69.4x"])
def test_more_than_four_characters_are_an_extension(code: str) -> None:
    assert whys(code) == [Why.EXTENSION]
    assert len(usable(code).replace(".", "")) == 4


@pytest.mark.parametrize("code", ["G63.2*", "G63.2", "F00.1*", "E11.4*", "J17.0"])
def test_a_manifestation_is_told_by_its_sign_or_its_category(code: str) -> None:
    """Volume 2 (2016), 3.1.3: an asterisk code never stands without its dagger code."""
    assert whys(code) == [Why.ASTERISK]


def test_asterisk_categories() -> None:
    assert all(code in asterisks() for code in ("F00", "G632", "I410", "N083", "P75"))
    assert not any(code in asterisks() for code in ("F01", "G309", "I420", "E114"))


@pytest.mark.parametrize("sign", ["+", "†"])
def test_a_dagger_is_no_fault(sign: str) -> None:
    assert faults(f"E11.4{sign}", "U", None) == ()


@pytest.mark.parametrize(
    ("given", "code"),
    [("E11.4†", "E11.4"), ("E11.4+", "E11.4"), ("G63.2*", "G63.2"), ("e114", "E11.4"), ("C80", "C80.9"),
     ("W19.0", "W19"), ("I48.21", "I48.2"), ("ZZZ", "ZZZ"), ("", "")],
)  # fmt: skip
def test_the_selection_takes_a_code_without_its_sign_and_its_extension(given: str, code: str) -> None:
    assert usable(given) == code


@pytest.mark.parametrize(
    ("code", "sex", "edit"),
    [("C61", "F", "SEX_MALE"), ("N40", "F", "SEX_MALE"), ("C53.9", "M", "SEX_FEMALE"), ("O72.1", "M", "SEX_FEMALE"),
     ("A34", "M", "SEX_FEMALE")],
)  # fmt: skip
def test_a_code_of_the_other_sex(code: str, sex: str, edit: str) -> None:
    assert faults(code, sex, None) == (Fault(code, Why.SEX, edit),)
    assert faults(code, "U", None) == ()
    assert faults(code, "M" if sex == "F" else "F", None) == ()


@pytest.mark.parametrize(
    ("code", "bad", "good", "edit"),
    [
        ("A33", 400, 6, "NEWBORN_ONLY"),
        ("R95.9", 3 * YEAR, 120, "INFANT_ONLY"),
        ("P07.0", 30 * YEAR, 2, "PERINATAL_LATE"),
        ("O72.1", 5, 30 * YEAR, "CHILDBEARING_AGE"),
        ("F03", 4 * YEAR, 80 * YEAR, "ADULT_DISEASE"),
        ("R54", 30 * YEAR, 90 * YEAR, "ADULT_DISEASE"),
        ("X70", 3 * YEAR, 40 * YEAR, "SUICIDE_CHILD"),
    ],
)
def test_a_code_of_another_age(code: str, bad: float, good: float, edit: str) -> None:
    assert faults(code, "F", bad) == (Fault(code, Why.AGE, edit),)
    assert faults(code, "F", good) == ()
    assert faults(code, "F", None) == ()


def test_an_injury_is_no_fault_on_a_certificate() -> None:
    """The edit on injuries is for underlying causes; any certificate may name one."""
    assert faults("S06.9", "M", 30 * YEAR) == ()


def test_one_code_may_have_several_faults() -> None:
    assert whys("O72.12", "M", 2.0) == [Why.EXTENSION, Why.SEX, Why.AGE]


def test_the_record_names_the_edit_where_there_is_one() -> None:
    assert faults("C61", "F", None)[0].record() == {"code": "C61", "why": "SEX", "edit": "SEX_MALE"}
    assert faults("ZZZ", "F", None)[0].record() == {"code": "ZZZ", "why": "UNKNOWN"}


def rows(name: str) -> list[dict[str, str]]:
    with (EDITS / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@NEEDS_EDITS
def test_rows_of_the_who_example_that_break_a_check_are_told() -> None:
    """WHO CoDEdit's worked example: every row against its lists of sexes and newborns, and the ages of childbirth."""
    bound = {row["code"].replace(".", ""): SEXES[row["sex"]] for row in rows("icd10_cod_by_sex.csv")}
    newborn = {row["code"].replace(".", "") for row in rows("icd10_cod_neonate.csv")}
    broken = told = false = 0
    for row in rows("icd10_example.csv"):
        code, sex = row["Code"], SEXES.get(row["Sex"], "U")
        known = row["Age Value"] and row["Age Type"] in DAYS
        days = float(row["Age Value"]) * DAYS[row["Age Type"]] if known else None
        wrong = sex != "U" and bound.get(code, sex) != sex
        if days is not None:
            wrong = wrong or (code in newborn and days > 28)
            wrong = wrong or (code.startswith("O") and not 9 * YEAR <= days <= 60 * YEAR)
        found = {Why.SEX, Why.AGE} & set(whys(code, sex, days))
        broken += wrong
        told += bool(wrong and found)
        false += bool(found and not wrong)
    assert (broken, told, false) == (1, 1, 0)


@NEEDS_EDITS
def test_most_codes_that_who_binds_to_a_sex_are_told_for_the_other() -> None:
    """CoDEdit binds 880 codes to a sex; tests/nomenclature/test_edits.py holds each of them against the edits."""
    other = {"M": "F", "F": "M"}
    listed = rows("icd10_cod_by_sex.csv")
    told = sum(Why.SEX in whys(row["code"], other[SEXES[row["sex"]]]) for row in listed)
    assert told / len(listed) > 0.75
