"""ICD-10: which codes exist, and the one form in which Causa writes each of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.nomenclature.icd10 import CHAPTERS, Nomenclature, chapter, dotted, place_of_occurrence

CODES = icd10.load()

WRITTEN = [
    ("I21.9", "I21.9"), ("I219", "I21.9"), (" i21.9 ", "I21.9"), ("i219", "I21.9"), ("I21", "I21.9"), ("I21.95", "I21.9"),
    ("I2195", "I21.9"), ("I10", "I10"), ("I109", "I10"), ("I10.0", "I10"), ("G20", "G20"), ("G20.9", "G20"), ("F03", "F03"),
    ("I48", "I48.9"), ("I480", "I48.0"), ("C80", "C80.9"), ("C80.0", "C80.0"), ("C61", "C61"), ("C619", "C61"),
    ("W19", "W19"), ("W19.0", "W19"), ("W199", "W19"), ("X70", "X70"), ("X700", "X70"), ("Y34.9", "Y34"),
    ("X59", "X59.9"), ("X590", "X59.0"), ("X599", "X59.9"), ("Y06", "Y06.9"), ("Y07.1", "Y07.1"), ("Y83.1", "Y83.1"), ("V89.2", "V89.2"),
    ("R99", "R99"), ("R999", "R99"), ("U07.1", "U07.1"), ("A41.9", "A41.9"), ("K65", "K65.9"), ("J18", "J18.9"),
    ("I21.7", None), ("I99.99", "I99"), ("W99.9", "W99"), ("A", None), ("", None), ("I2", None), ("II21", None), ("2I1", None),
    ("C99", None), ("I21,9", None), ("I 21", None), ("U99.9", None), ("\u0049\u0662\u0661", None), ("œ21", None),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), WRITTEN)
def test_written(code: str, expected: str | None) -> None:
    assert CODES.written(code) == expected


@pytest.mark.parametrize(
    ("code", "valid"),
    [("I21.9", True), ("I21", False), ("I219", False), ("i21.9", False), ("I10", True), ("I10.0", False), ("W19", True),
     ("W19.0", False), ("X59", False), ("X59.9", True), ("Z99.9", True), ("", False), ("I21.9 ", False)],
)  # fmt: skip
def test_valid(code: str, valid: bool) -> None:
    assert CODES.valid(code) is valid


@pytest.mark.parametrize(
    ("code", "expected"),
    [("i219", "I21.9"), (" I21.9", "I21.9"), ("I21", "I21"), ("I2195", "I21.95"), ("I", "I"), ("", ""), ("i.2.1", "I21"), ("néant", "NÉA.NT")],
)  # fmt: skip
def test_dotted(code: str, expected: str) -> None:
    assert dotted(code) == expected


def test_every_code_is_written_as_it_is_and_found_again_in_every_form() -> None:
    found = list(CODES)
    assert len(found) > 9_000 and len(set(found)) == len(found)
    for code in found:
        assert CODES.valid(code) and CODES.label(code)
        for form in (code, code.replace(".", ""), code.lower(), f" {code} "):
            assert CODES.written(form) == code
        assert CODES.written(code + "7" if "." in code else code + ".9") == code


@given(st.text(alphabet="ABCIRWXYZabc0123456789. \u0663é", max_size=8))
def test_what_is_written_is_valid_and_stays(code: str) -> None:
    written = CODES.written(code)
    if written is not None:
        assert CODES.valid(written) and CODES.written(written) == written
        assert dotted(code).startswith(written[:3])


@pytest.mark.parametrize(
    ("category", "place"),
    [("V99", False), ("W00", True), ("W19", True), ("X58", True), ("X59", False), ("X60", True), ("X84", True), ("Y05", True),
     ("Y06", False), ("Y07", False), ("Y08", True), ("Y34", True), ("Y35", False), ("Y83", False), ("S72", False)],
)  # fmt: skip
def test_place_of_occurrence(category: str, place: bool) -> None:
    assert place_of_occurrence(category) is place


def test_no_code_that_causa_writes_says_a_place() -> None:
    assert not [code for code in CODES if place_of_occurrence(code[:3]) and len(code) > 3]


@pytest.mark.parametrize(
    ("code", "number"),
    [("A00.0", "I"), ("C50.9", "II"), ("D48.9", "II"), ("D50.9", "III"), ("I21.9", "IX"), ("S72.0", "XIX"), ("T98.3", "XIX"),
     ("V01.1", "XX"), ("Y98", "XX"), ("Z99.9", "XXI"), ("U07.1", "XXII"), ("H59.9", "VII"), ("H60.9", "VIII"), ("", ""), ("E99", "")],
)  # fmt: skip
def test_chapter(code: str, number: str) -> None:
    assert chapter(code) == number


def test_chapters_are_whole_and_disjoint() -> None:
    assert all(chapter(code) for code in CODES)
    ranges = sorted((first, last) for _, first, last, _ in CHAPTERS)
    assert all(first <= last for first, last in ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


def test_a_category_without_an_unspecified_code_is_written_as_none() -> None:
    small = Nomenclature({"A00": "x", "A00.0": "y", "B00": "z", "W00": "w"}, "v")
    assert small.written("A00") is None and small.written("A00.1") is None
    assert list(small) == ["A00.0", "B00", "W00"] and len(small) == 4
    assert small.label("none") == ""


@pytest.mark.parametrize("row", ["A00", "A00\t", "\tx", "A0\tx", "a00\tx", "A00.\tx", "A00.00\tx", "A000\tx", ""])
def test_row_at_fault_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "cim10.tsv"
    path.write_text(f"code\tlabel\nA00\tCholéra\n{row}\n", encoding="utf-8")
    with pytest.raises(InvalidData, match=r"cim10\.tsv:3: "):
        icd10.load(path)


def test_version_follows_the_content(tmp_path: Path) -> None:
    versions = []
    for number, label in enumerate(["a", "a", "b"]):
        path = tmp_path / f"{number}.tsv"
        path.write_text(f"code\tlabel\nA00\t{label}\n", encoding="utf-8")
        versions.append(icd10.load(path).version)
    assert versions[0] == versions[1] != versions[2]
