"""Edits: causes that cannot be for a sex or an age."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Sex
from stream.errors import InvalidData
from stream.nomenclature import edits, icd10

YEAR = 365.25
EDITS = edits.load()
DATA = Path(os.environ.get("CAUSA_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data") / "edits"
NEEDS_DATA = pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not here")

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
    # bounds of four characters, and a category beside them
    ("N99.1", "M", None, []), ("N99.2", "M", None, ["SEX_FEMALE"]), ("N99.4", "M", None, []), ("D07.3", "M", None, ["SEX_FEMALE"]),
    ("D07.4", "M", None, []), ("D07.4", "F", None, ["SEX_MALE"]), ("B26.0", "F", None, ["SEX_MALE"]), ("B26.9", "F", None, []),
    ("N47", "F", None, ["SEX_MALE"]), ("Q96.1", "M", None, ["SEX_FEMALE"]), ("F84.2", "M", 9 * YEAR, ["SEX_UNUSUAL"]),
    ("Z38.0", "F", 1.0, []), ("Z38.0", "F", 40.0, ["NEWBORN_ONLY"]), ("G93.7", "F", 17.5 * YEAR, []),
    ("G93.7", "F", 18 * YEAR, ["CHILD_DISEASE"]), ("G93.1", "F", 18 * YEAR, []), ("O72.1", "F", 10 * YEAR, []),
    ("O72.1", "F", 9.9 * YEAR, ["CHILDBEARING_AGE"]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "sex", "days", "broken"), CASES, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CASES])
def test_edits_broken(code: str, sex: str, days: float | None, broken: list[str]) -> None:
    assert [edit.id for edit in EDITS.check(code, Sex(sex), days)] == broken


def test_every_edit_covers_codes_and_is_told_in_two_languages() -> None:
    codes = list(icd10.load())
    for edit in EDITS.edits:
        assert any(map(edit.covers, codes)), edit
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
        "X\tA00.12\tA09\tF\t\t\treject\tfr\ten",
        "X\tA000\tA09\tF\t\t\treject\tfr\ten",
        "x y\tA00\tA09\tF\t\t\treject\tfr\ten",
        "X\tA00\tA09\tF\t\t\treject\t\ten",
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


def test_an_id_has_one_severity(tmp_path: Path) -> None:
    path = tmp_path / "edits.tsv"
    rows = "".join(f"X\t{code}\t{code}\tF\t\t\t{word}\tfr\ten\n" for code, word in [("A00", "warn"), ("A01", "reject")])
    path.write_text(HEADER + rows, encoding="utf-8")
    with pytest.raises(InvalidData, match=r"edits\.tsv:3: X has another severity"):
        edits.load(path)


# WHO CoDEdit's own lists


def listed(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@NEEDS_DATA
def test_every_code_that_codedit_binds_to_a_sex_is_bound_to_it_here() -> None:
    own = {"1.0": (Sex.M, Sex.F), "2.0": (Sex.F, Sex.M)}
    rows = listed("icd10_cod_by_sex.csv")
    for row in rows:
        same, other = own[row["sex"]]
        assert any(edit.sex for edit in EDITS.check(row["code"], other, None)), row["code"]
        assert not any(edit.sex for edit in EDITS.check(row["code"], same, None)), row["code"]
    assert len(rows) == 880
    # Ours are more by codes of the same categories that the list forgets (N72, N73.1, O96.0, …).
    more = {c for c in icd10.load() if any(e.sex for e in EDITS.covering(c))} - {row["code"] for row in rows}
    assert len(more) == 38
    assert not {code[:3] for code in more} - {row["code"][:3] for row in rows} - {"N72"}


#: Extensions of the US clinical modification whose WHO code serves adults too, and codes that WHO's ICD-10 lacks.
OF_ALL_AGES = {
    "icd10_cod_child.csv": "A485 H260 L208 R048 R108 R625 R633 T740 T741 T742 T743 T744 T745 T746 T749 T74A T760 T761 T762"
    " T763 T765 T766 T769 T76A Z007 Z044 Z047 Z690 Z728 Z738",
    "icd10_cod_neonate.csv": "E841 H045 N470 Z001 Z050 Z051 Z052 Z053 Z054 Z055 Z057 Z058 Z056 Z059",
}


@NEEDS_DATA
@pytest.mark.parametrize(
    ("name", "days", "agreed", "total"),
    [("icd10_cod_child.csv", 30 * YEAR, 28, 122), ("icd10_cod_neonate.csv", 40.0, 19, 42)],
)
def test_codes_that_codedit_binds_to_an_age_are_bound_here_where_who_has_them(
    name: str, days: float, agreed: int, total: int
) -> None:
    """The lists are those of US patients: most rows are US extensions that narrow a code of all ages (OF_ALL_AGES)."""
    rows = listed(name)
    missed = []
    for row in rows:
        code = icd10.load().written(row["code"])
        late = code is not None and any(e.max_days is not None for e in EDITS.check(code, Sex.U, days))
        if not late:
            missed.append(row["code"].replace(".", "")[:4])
    assert (len(rows) - len(missed), len(rows)) == (agreed, total)
    assert set(missed) == set(OF_ALL_AGES[name].split())
