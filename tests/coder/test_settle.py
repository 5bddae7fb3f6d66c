"""Old diseases, codes that another already says, and the manner that the words tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder import settle
from stream.coder.context import CONDITIONS
from stream.coder.settle import absorbed, old_code, told_manner
from stream.errors import InvalidData
from stream.nomenclature import icd10
from stream.text.normal import normalise

OLD = [
    ("I21.9", False, None, "I21.9"),
    ("I21.9", False, 27.0, "I21.9"),
    ("I21.9", False, 28.0, "I25.2"),
    ("I22.0", False, 400.0, "I25.2"),
    ("I21.9", True, None, "I25.2"),
    ("I21.9", True, 1.0, "I25.2"),
    ("I64", False, 364.0, "I64"),
    ("I64", False, 365.0, "I69.4"),
    ("I60.9", True, None, "I69.0"),
    ("I61.0", False, 4_000.0, "I69.1"),
    ("I62.9", True, None, "I69.2"),
    ("I63.9", False, 730.0, "I69.3"),
    ("I20.0", True, 4_000.0, "I20.0"),
    ("C50.9", True, 4_000.0, "C50.9"),
    ("I10", True, 10_000.0, "I10"),
    ("X70", True, None, "Z91.5"),
    ("F17.9", True, None, "Z86.4"),
    ("F19.2", True, None, "Z86.4"),
    ("F19.2", False, 4_000.0, "F19.2"),
    ("F10.2", True, None, "F10.2"),
    ("X70", False, 1e9, "X70"),
    ("U07.1", True, None, "U09.9"),
]


@pytest.mark.parametrize(("code", "history", "days", "left"), OLD)
def test_old_code(code: str, history: bool, days: float | None, left: str) -> None:
    assert old_code(code, history, days) == left


@given(st.sampled_from(list(icd10.load())), st.booleans(), st.one_of(st.none(), st.floats(0, 40_000)))
def test_old_code_is_a_code_or_nothing_and_stays(code: str, history: bool, days: float | None) -> None:
    left = old_code(code, history, days)
    assert left == "" or icd10.load().valid(left)
    assert not left or old_code(left, history, days) == left
    if not history and days is None:
        assert left == code


ABSORBED = [
    ([], set()),
    (["C79.9"], set()),
    (["C50.9", "C79.9"], set()),  # "métastatique" beside a primary is a mention of its own
    (["C79.9", "C50.9"], set()),
    (["C79.9", "C85.9"], {0}),
    (["C79.9", "C78.7"], set()),
    (["C79.9", "C79.9", "C61"], set()),
    (["I60.9", "I72.9"], set()),
    (["C50.9", "C79.5"], set()),
]


@pytest.mark.parametrize(("codes", "gone"), ABSORBED)
def test_absorbed(codes: list[str], gone: set[int]) -> None:
    assert absorbed(codes) == gone


def test_absorbed_over_a_line() -> None:
    assert absorbed(["I60.9", "I72.9"], "line") == {1}
    assert absorbed(["I61.9", "I72.9"], "line") == set()
    assert absorbed(["C79.9", "C50.9"], "line") == set()
    assert absorbed(["C50.9", "C79.9", "C78.7"], "line") == {1}
    assert absorbed(["C79.9", "C79.9"], "line") == set()
    assert absorbed(["P07.3", "P07.2"], "line") == {0}
    assert absorbed(["P07.1", "P07.0"], "line") == {0}
    assert absorbed(["P07.3", "P07.0"], "line") == set()
    assert absorbed(["A41.5", "A41.9", "K83.0"], "line") == {1}
    assert absorbed(["V89.2", "V47.5"], "line") == {0}
    assert absorbed(["V89.2", "V89.9"], "line") == set()


@given(st.lists(st.sampled_from(["C79.9", "C50.9", "C78.7", "I72.9", "I60.9", "I10", "C90.0"]), max_size=8))
def test_something_is_always_left(codes: list[str]) -> None:
    gone = absorbed(codes)
    assert not codes or len(gone) < len(codes)
    kept = [code for i, code in enumerate(codes) if i not in gone]
    assert absorbed(kept) == set()


MANNERS = [
    (["pendaison"], [], "suicide"),
    (["pendu à son domicile"], [], "suicide"),
    (["intoxication médicamenteuse volontaire"], [], "suicide"),
    (["TS médicamenteuse par autolyse"], [], "suicide"),
    (["agression par arme blanche"], [], "homicide"),
    (["chute de sa hauteur"], [], "accident"),
    (["fracture du col du fémur", "HTA"], [], "accident"),
    (["HTA", "accident de la voie publique"], [], "accident"),
    (["accident vasculaire cérébral"], [], ""),
    (["AVC ischémique"], [], ""),
    (["accident ischémique transitoire"], [], ""),
    (["accident vasculaire cérébral sur chute"], [], "accident"),
    (["OAP"], [], ""),
    ([], [], ""),
    (["chute", "suicide"], [], "suicide"),
    (["chute", "homicide"], [], "homicide"),
    (["homicide suivi d'un suicide"], [], "suicide"),
    (["pendaison"], ["accident"], "accident"),
    (["pendaison"], ["undetermined"], "undetermined"),
    (["chute"], ["homicide"], "homicide"),
    (["chute"], ["female"], "accident female"),
    (["pendaison"], ["care"], "care suicide"),
]


@pytest.mark.parametrize(("lines", "holds", "expected"), MANNERS)
def test_manner_that_the_text_tells(lines: list[str], holds: list[str], expected: str) -> None:
    told = told_manner([normalise(line).text for line in lines], frozenset(holds))
    assert told == frozenset(expected.split())


@given(st.lists(st.text(max_size=30), max_size=3), st.frozensets(st.sampled_from(CONDITIONS)))
def test_what_holds_goes_on_holding(lines: list[str], holds: frozenset[str]) -> None:
    told = told_manner([normalise(line).text for line in lines], holds)
    assert holds <= told <= frozenset(CONDITIONS) and len(told - holds) <= 1


# Tables at fault

FAULTS: list[tuple[str, Callable[[], Any], str, str]] = [
    ("old.tsv", settle.read_old, "first\tlast\tcode\tdays\tnote", "I21\tI22\tI25.2\t28"),
    ("old.tsv", settle.read_old, "first\tlast\tcode\tdays\tnote", "I21\tI22\tI25.7\t28\t"),
    ("old.tsv", settle.read_old, "first\tlast\tcode\tdays\tnote", "I22\tI21\tI25.2\t28\t"),
    ("old.tsv", settle.read_old, "first\tlast\tcode\tdays\tnote", "I21\tI22\tI25.2\tlong\t"),
    ("old.tsv", settle.read_old, "first\tlast\tcode\tdays\tnote", "I21\tI22\tI25.2\t-3\t"),
    ("absorbed.tsv", settle.read_absorbed, "code\tfirst\tlast\tnote", "C79.9\tC00"),
    ("absorbed.tsv", settle.read_absorbed, "code\tfirst\tlast\tnote", "C79\tC00\tC76\t"),
    ("absorbed.tsv", settle.read_absorbed, "code\tfirst\tlast\tnote", "C79.9\tC76\tC00\t"),
    ("triggers.tsv", settle.read_triggers, "expression\tcondition\tnote", "pendu\tsuicid\t"),
    ("triggers.tsv", settle.read_triggers, "expression\tcondition\tnote", "pendu"),
]


@pytest.mark.parametrize(("name", "reader", "header", "row"), FAULTS)
def test_row_at_fault_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reader: Any, header: str, row: str
) -> None:
    (tmp_path / name).write_text(f"{header}\n{row}\n", encoding="utf-8")
    monkeypatch.setattr(settle, "_HERE", tmp_path)
    with pytest.raises(InvalidData) as raised:
        reader.__wrapped__()
    assert raised.value.message.startswith(f"{name}:2: ")


def test_packaged_tables_read() -> None:
    assert len(settle.read_old()) >= 6 and len(settle.read_absorbed()) >= 3
    assert set(settle.read_triggers().values()) <= {*CONDITIONS, ""} and () not in settle.read_triggers()
