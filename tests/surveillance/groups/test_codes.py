"""Sets of codes as a person writes them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.nomenclature import icd10
from stream.surveillance.groups.codes import faults, read

ORDERED = sorted(icd10.load())
CATEGORIES = sorted({code[:3] for code in ORDERED})


def ranges(bounds: list[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(bounds), st.sampled_from(bounds)).map(lambda pair: "-".join(sorted(pair)))


SOME = st.lists(ranges(CATEGORIES) | ranges([code for code in ORDERED if len(code) == 5]), min_size=1, max_size=3)


@settings(max_examples=20)
@given(SOME, SOME)
def test_members_are_the_codes_that_are_held(spans: list[str], less: list[str]) -> None:
    codes = read(" ".join(spans), " ".join(less))
    assert codes.members(ORDERED) == {code for code in ORDERED if codes.holds(code)}


def test_a_category_holds_its_codes_and_an_exception_leaves_them_out() -> None:
    codes = read("A05 X30", "A05.1")
    assert [codes.holds(code) for code in ("A05", "A05.0", "A05.1", "A05.9", "A06.0", "X30")] == [
        True, True, False, True, False, True,
    ]  # fmt: skip
    assert str(codes) == "A05 X30 − A05.1"
    assert str(read("A40-A41")) == "A40–A41"


@pytest.mark.parametrize("text", ["", "A4", "A41-A40", "A40-A41.9", "A40,A41", "a40", "A40-"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no range"):
        read(text)


@pytest.mark.parametrize(
    ("text", "less", "told"),
    [
        ("V00", "", "V00 is no code"),
        ("W79.0", "", "W79.0 is no code"),  # a place of occurrence: Causa writes W79
        ("I46.5", "", "I46.5 is no code"),
        ("I20-I25 I21", "", "I21 lies in the ranges before it"),
        ("I21", "J18", "J18 excepts nothing"),
        ("I21", "I20-I25", "leave no code"),
    ],
)
def test_the_validator_tells_what_does_nothing(text: str, less: str, told: str) -> None:
    assert any(told in fault for fault in faults(read(text, less), icd10.load(), ORDERED))


def test_a_range_between_codes_that_holds_none_is_told() -> None:
    assert "no code falls into A10–A14" in faults(read("A10-A14"), icd10.load(), ORDERED)
    assert faults(read("A00-A09 R57.2", "A05.1"), icd10.load(), ORDERED) == []
