"""The European shortlist: every underlying cause in one category, and in the right one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.nomenclature.shortlist import OTHER, labels, of, read

CODES = icd10.load()


def items(code: str) -> set[str]:
    """Every item with a range that holds the code; the longer bound decides, as an exception does."""
    found = [(len(first), item) for first, last, item in read() if first <= code[: len(first)] <= last]
    return {item for length, item in found if length == max(found)[0]}


def test_every_code_that_can_be_an_underlying_cause_has_exactly_one_item() -> None:
    causes = [code for code in CODES if "A" <= code[0] <= "R" or "V" <= code[0] <= "Y"]
    assert len(causes) > 8_000
    assert [code for code in causes if len(items(code)) != 1] == []
    assert [code for code in causes if {of(code)} != items(code)] == []


def test_what_cannot_be_an_underlying_cause_has_none() -> None:
    assert [code for code in CODES if code[0] in "STZ" and of(code) != OTHER] == []
    assert of("") == of("U80.1") == OTHER and OTHER not in labels()


@pytest.mark.parametrize(
    ("code", "item"),
    [
        ("A09.9", "1.4"), ("A15.0", "1.1"), ("A19.9", "1.1"), ("A20.0", "1.4"), ("B09", "1.4"), ("B15.9", "1.3"), ("B19.9", "1.3"),
        ("B20.0", "1.2"), ("B24", "1.2"), ("B25.9", "1.4"), ("B90.9", "1.1"), ("B94.1", "1.4"), ("B94.2", "1.3"), ("B94.8", "1.4"),
        ("C00.0", "2.1.1"), ("C14.8", "2.1.1"), ("C15.9", "2.1.2"), ("C17.9", "2.1.22"), ("C18.0", "2.1.4"), ("C21.8", "2.1.4"),
        ("C22.0", "2.1.5"), ("C23", "2.1.22"), ("C25.9", "2.1.6"), ("C34.9", "2.1.8"), ("C45.0", "2.1.22"), ("C50.9", "2.1.10"),
        ("C53.9", "2.1.11"), ("C55", "2.1.12"), ("C56", "2.1.13"), ("C61", "2.1.14"), ("C64", "2.1.15"), ("C65", "2.1.22"),
        ("C67.9", "2.1.16"), ("C69.9", "2.1.22"), ("C70.9", "2.1.17"), ("C73", "2.1.18"), ("C80.9", "2.1.22"), ("C81.9", "2.1.19"),
        ("C85.9", "2.1.19"), ("C90.0", "2.1.21"), ("C91.0", "2.1.20"), ("C95.9", "2.1.20"), ("C97", "2.1.22"), ("D00.0", "2.2"),
        ("D46.9", "2.2"), ("D48.9", "2.2"), ("D50.9", "3"), ("D89.9", "3"), ("E07.9", "4.2"), ("E10.9", "4.1"), ("E14.9", "4.1"),
        ("E15", "4.2"), ("E86", "4.2"), ("F01.9", "5.1"), ("F03", "5.1"), ("F05.9", "5.4"), ("F10.2", "5.2"), ("F11.2", "5.3"),
        ("F17.2", "5.4"), ("F19.2", "5.3"), ("F32.9", "5.4"), ("G20", "6.1"), ("G21.9", "6.3"), ("G30.9", "6.2"), ("G31.9", "6.3"),
        ("H95.9", "6.3"), ("I10", "7.4"), ("I15.9", "7.4"), ("I20.9", "7.1.2"), ("I21.9", "7.1.1"), ("I22.9", "7.1.1"),
        ("I23.8", "7.1.2"), ("I25.9", "7.1.2"), ("I26.9", "7.4"), ("I30.9", "7.2"), ("I50.9", "7.2"), ("I51.9", "7.2"),
        ("I60.9", "7.3"), ("I69.4", "7.3"), ("I70.9", "7.4"), ("I99", "7.4"), ("J06.9", "8.4"), ("J09", "8.1"), ("J11.8", "8.1"),
        ("J12.9", "8.2"), ("J18.9", "8.2"), ("J20.9", "8.4"), ("J44.9", "8.3.2"), ("J45.9", "8.3.1"), ("J46", "8.3.1"),
        ("J47", "8.3.2"), ("J60", "8.4"), ("J81", "8.4"), ("K25.4", "9.1"), ("K28.9", "9.1"), ("K29.7", "9.3"), ("K70.3", "9.2"),
        ("K71.9", "9.3"), ("K74.6", "9.2"), ("K92.2", "9.3"), ("L89.9", "10"), ("M06.9", "11.1"), ("M10.9", "11.2"), ("M15.9", "11.1"),
        ("M19.9", "11.1"), ("M20.6", "11.2"), ("N18.9", "12.1"), ("N29.8", "12.1"), ("N39.0", "12.2"), ("O99.8", "13"), ("P96.9", "14"),
        ("Q00.0", "15"), ("Q99.9", "15"), ("R54", "16.3"), ("R94.8", "16.3"), ("R95.9", "16.1"), ("R96.0", "16.2"), ("R99", "16.2"),
        ("V01.1", "17.1.1"), ("V99", "17.1.1"), ("W00", "17.1.2"), ("W19", "17.1.2"), ("W20", "17.1.5"), ("W65", "17.1.3"),
        ("W74", "17.1.3"), ("W75", "17.1.5"), ("X39", "17.1.5"), ("X40", "17.1.4"), ("X49", "17.1.4"), ("X59.9", "17.1.5"),
        ("X60", "17.2"), ("X84", "17.2"), ("X85", "17.3"), ("Y09", "17.3"), ("Y10", "17.4"), ("Y34", "17.4"), ("Y35.0", "17.5"),
        ("Y83.1", "17.5"), ("Y85.0", "17.1.1"), ("Y86", "17.1.5"), ("Y87.0", "17.2"), ("Y87.1", "17.3"), ("Y87.2", "17.4"),
        ("Y88.0", "17.5"), ("Y98", "17.5"), ("U04.9", "8.4"), ("U07.0", "8.4"), ("U07.1", "18"), ("U07.2", "18"), ("U09.9", "18"), ("U10.9", "18"),
    ],
)  # fmt: skip
def test_items_at_their_borders(code: str, item: str) -> None:
    assert CODES.valid(code) and of(code) == item


def test_vaping_is_not_covid() -> None:
    """U07.0 is *Affection liée au vapotage*."""
    assert of("U07.0") == of("J68.9") != of("U07.1")


def test_every_item_has_one_label_and_some_code() -> None:
    held = {of(code) for code in CODES} - {OTHER}
    assert held == set(labels()) == {item for _, _, item in read()}
    assert all(label and label == label.strip() for label in labels().values())
    assert len(set(labels().values())) == len(labels())


def test_ranges_run_forwards_over_codes() -> None:
    assert all(first <= last and len(first) == len(last) for first, last, _ in read())
    bounds = {bound for first, last, _ in read() for bound in (first, last)}
    assert not [bound for bound in bounds if len(bound) not in (3, 5) or not bound[0].isupper()]


# Tables at fault


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "shortlist.tsv"
    path.write_text("".join(f"{row}\n" for row in ("item\tlabel\tcodes", *rows)), encoding="utf-8")
    return path


def test_a_table_is_read_in_the_order_of_codes(tmp_path: Path) -> None:
    path = table(tmp_path, "2\tb\tC00-D48", "1\ta\tA00-A09 B99 E10.1", "3\tc\tE10-E14")
    assert read(path) == (
        ("A00", "A09", "1"), ("B99", "B99", "1"), ("C00", "D48", "2"), ("E10", "E14", "3"), ("E10.1", "E10.1", "1"),
    )  # fmt: skip
    assert labels(path) == {"2": "b", "1": "a", "3": "c"}


@pytest.mark.parametrize("row", ["1", "1\ta", "1\ta\tA00\tx", "", "1 a A00", "1\ta\t", "\ta\tA00", "1\t\tA00"])
def test_a_row_without_three_columns_is_told_by_its_line(tmp_path: Path, row: str) -> None:
    with pytest.raises(InvalidData, match=r"^shortlist\.tsv:3: not item, label and codes$"):
        read(table(tmp_path, "0\tz\tZ99", row))


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("A00-A09", "A09-A20", "A09"), ("A00-A50", "A10", "A10"), ("A00", "A00", "A00"), ("B10-B20", "A00-B10", "B10")],
)
def test_items_that_overlap_are_told(tmp_path: Path, first: str, second: str, told: str) -> None:
    with pytest.raises(InvalidData, match=rf"^shortlist\.tsv: two items hold {told}$"):
        read(table(tmp_path, f"1\ta\t{first}", f"2\tb\t{second}"))


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("B94.2", "B94.2", "B94.2"), ("Y87.0-Y87.2", "Y87.1", "Y87.1"), ("U07.1-U07.2", "U07.2-U07.9", "U07.2")],
)
def test_exceptions_that_overlap_are_told(tmp_path: Path, first: str, second: str, told: str) -> None:
    with pytest.raises(InvalidData, match=rf"^shortlist\.tsv: two items hold {re.escape(told)}$"):
        read(table(tmp_path, f"1\ta\tA00-Y98 {first}", f"2\tb\t{second}"))


def test_an_exception_may_lie_inside_any_range(tmp_path: Path) -> None:
    assert len(read(table(tmp_path, "1\ta\tB90-B99", "2\tb\tB94.2 B94.8-B94.9"))) == 3


SPANS = ["cholera", "A09-A00", "A00-", "-A00", "A00-A099", "A00-A09.9", "A00.1-A09", "a00", "A0", "A00.12", "A00,A01"]


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("before", ["", "Z99 "], ids=["alone", "second"])
def test_what_is_no_range_of_codes_is_told(tmp_path: Path, span: str, before: str) -> None:
    with pytest.raises(InvalidData, match=rf"^shortlist\.tsv:3: '{re.escape(span)}' is no range of codes$"):
        read(table(tmp_path, "0\tz\tY98", f"1\ta\t{before}{span}"))


@pytest.mark.parametrize("codes", [" A00", "A00 ", "A00  A01"])
def test_blanks_stand_between_ranges_alone(tmp_path: Path, codes: str) -> None:
    with pytest.raises(InvalidData, match=r"^shortlist\.tsv:2: '' is no range of codes$"):
        read(table(tmp_path, f"1\ta\t{codes}"))


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"^none\.tsv: FileNotFoundError$"):
        read(tmp_path / "none.tsv")
