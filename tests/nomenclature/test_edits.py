"""Edits: causes that cannot be for a sex or an age."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Sex
from stream.errors import InvalidData
from stream.nomenclature import edits, icd10

YEAR = 365.25
EDITS = edits.load()

CASES: list[tuple[str, str, float | None, list[str]]] = [
    ("C50.9", "F", 70 * YEAR, []), ("C50.9", "M", 70 * YEAR, []),  # men have breasts
    ("C56", "M", None, ["SEX_FEMALE"]), ("C56", "F", None, []), ("C56", "U", None, []), ("N80.9", "M", None, ["SEX_FEMALE"]),
    ("C61", "F", 70 * YEAR, ["SEX_MALE"]), ("C61", "M", 70 * YEAR, []), ("C61", "U", 10 * YEAR, ["ADULT_DISEASE"]),
    ("N40", "F", None, ["SEX_MALE"]), ("O72.1", "M", 30 * YEAR, ["SEX_FEMALE"]), ("O72.1", "F", 30 * YEAR, []),
    ("O72.1", "F", 5 * YEAR, ["CHILDBEARING_AGE"]), ("O72.1", "M", 70 * YEAR, ["SEX_FEMALE", "CHILDBEARING_AGE"]),
    ("A33", "U", 10.0, []), ("A33", "U", 28.0, []), ("A33", "U", 29.0, ["NEWBORN_ONLY"]), ("A33", "U", None, []),
    ("P22.0", "F", 2.0, []), ("P22.0", "F", 3653.0, []), ("P22.0", "F", 3654.0, ["PERINATAL_LATE"]),
    ("R95.9", "M", 366.0, []), ("R95.9", "M", 367.0, ["INFANT_ONLY"]),
    ("F03", "F", 20 * YEAR, ["ADULT_DISEASE"]), ("F03", "F", 90 * YEAR, []), ("G30.9", "M", 29 * YEAR, ["ADULT_DISEASE"]),
    ("G20", "M", 19 * YEAR, ["ADULT_DISEASE"]), ("R54", "F", 59 * YEAR, ["ADULT_DISEASE"]), ("R54", "F", 95 * YEAR, []),
    ("X70", "M", 7 * YEAR, ["SUICIDE_CHILD"]), ("X70", "M", 9 * YEAR, []), ("X85", "M", 7 * YEAR, []),
    ("S72.0", "F", 90 * YEAR, ["INJURY_UNDERLYING"]), ("T71", "U", None, ["INJURY_UNDERLYING"]), ("W19", "F", 90 * YEAR, []),
    ("I21.9", "M", 0.0, []), ("C25.9", "U", None, []),
]  # fmt: skip


@pytest.mark.parametrize(("code", "sex", "days", "broken"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
def test_edits_broken(code: str, sex: str, days: float | None, broken: list[str]) -> None:
    assert [edit.id for edit in EDITS.check(code, Sex(sex), days)] == broken


def test_every_edit_covers_codes_and_is_told_in_two_languages() -> None:
    codes = list(icd10.load())
    for edit in EDITS.edits:
        assert any(edit.first <= code[:3] <= edit.last for code in codes), edit
        assert edit.fr and edit.en and edit.fr != edit.en
        assert edit.min_days is None or edit.max_days is None or edit.min_days < edit.max_days


@given(st.sampled_from(list(icd10.load())), st.one_of(st.none(), st.floats(0, 45_000)))
def test_an_unknown_sex_breaks_no_edit_of_sex(code: str, days: float | None) -> None:
    for edit in EDITS.check(code, Sex.U, days):
        assert not edit.sex
    if days is None:
        assert {edit.id for edit in EDITS.check(code, Sex.U, None)} <= {"INJURY_UNDERLYING"}


HEADER = "id\tfirst\tlast\tsex\tmin_days\tmax_days\tseverity\tfr\ten\n"


@pytest.mark.parametrize(
    "row",
    [
        "X\tA00\tA09\tF\t\t\treject\tfr",
        "X\tA00\tA09\tF\t\t\treject\tfr\ten\tmore",
        "X\tA00\tA09\tX\t\t\treject\tfr\ten",
        "X\tA00\tA09\tF\tlong\t\treject\tfr\ten",
        "X\tA00\tA09\tF\t\tlong\treject\tfr\ten",
        "X\tA00\tA09\tF\t\t\tfatal\tfr\ten",
        "X\tA09\tA00\tF\t\t\treject\tfr\ten",
        "",
    ],
)
def test_row_at_fault_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "edits.tsv"
    path.write_text(HEADER + row + "\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"edits\.tsv:2: "):
        edits.load(path)


def test_severity_is_kept_and_version_follows_the_content(tmp_path: Path) -> None:
    found = []
    for number, severity in enumerate(["warn", "warn", "reject"]):
        path = tmp_path / f"{number}.tsv"
        path.write_text(f"{HEADER}X\tA00\tA09\tF\t\t\t{severity}\tfr\ten\n", encoding="utf-8")
        found.append(edits.load(path))
    assert [e.check("A00.9", Sex.M, None)[0].severity for e in found] == ["warn", "warn", "reject"]
    assert found[0].version == found[1].version != found[2].version
