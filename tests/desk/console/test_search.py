"""The search of the ICD: what coders type, and what must stand first."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.certificate import Sex
from stream.desk.console.hits import Person
from stream.desk.console.search import SHOWN, Search, load
from stream.nomenclature import icd10

SOUGHT = [
    tuple(row.split("\t"))
    for row in Path(__file__).with_name("sought.tsv").read_text(encoding="utf-8").splitlines()[1:]
]


def person(holds: str, age_days: float | None = None) -> Person:
    sex = Sex.F if "female" in holds else Sex.M if "male" in holds.split() else Sex.U
    return Person(frozenset(holds.split()), sex, age_days)


@pytest.fixture(scope="module")
def search() -> Search:
    return load()


@pytest.mark.parametrize(("typed", "first", "holds"), SOUGHT, ids=[row[0] for row in SOUGHT])
def test_what_is_typed_and_what_stands_first(search: Search, typed: str, first: str, holds: str) -> None:
    hits = search.search(typed, person(holds) if holds else None)
    assert hits and hits[0].code == first, [(hit.code, hit.matched) for hit in hits[:4]]


def test_every_code_is_found_by_itself_and_by_its_label(search: Search) -> None:
    nomenclature = icd10.load()
    codes = list(nomenclature)
    assert len(codes) > 9_000
    assert all(search.coded(code)[0].code == code for code in codes)
    for code in codes[:: len(codes) // 150]:
        label = nomenclature.label(code)
        hits = search.search(label)
        # Some labels stand at two codes ("Autres complications…").
        assert hits and (code in {hit.code for hit in hits} or hits[0].label == label), (code, label)


def test_a_category_shows_its_codes_in_order_behind_the_one_that_is_written_for_it(search: Search) -> None:
    codes = [hit.code for hit in search.search("C25")]
    assert codes == ["C25.9", "C25.0", "C25.1", "C25.2", "C25.3", "C25.4", "C25.7", "C25.8"]


def test_a_word_is_found_from_its_first_letters_on(search: Search) -> None:
    for typed in ("pancr", "pancre", "pancreati", "pancréatite"):
        assert any(hit.code[0] in "KCDE" for hit in search.search(typed)), typed
    assert search.search("pancréatite aig")[0].code == "K85.9"


def test_the_certificate_settles_what_the_words_leave_open(search: Search) -> None:
    assert search.search("pendaison", person("suicide"))[0].code == "X70"
    assert search.search("pendaison", person("accident"))[0].code == "W76"
    assert search.search("embolie pulmonaire", person("female pregnancy"))[0].code == "O88.2"
    assert search.search("insuffisance respiratoire", person("newborn male", 3))[0].code == "P28.5"


def test_what_is_not_for_that_sex_or_age_stands_last_and_is_told(search: Search) -> None:
    hits = search.search("embolie pulmonaire", person("male", 25_000))
    unfit = [hit.unfit for hit in hits]
    assert not unfit[0] and sorted(unfit) == unfit
    assert all(hit.unfit for hit in hits if hit.code[0] == "O")
    assert search.search("cancer prostate", person("female", 25_000))[-1].unfit


def test_an_expression_of_several_codes_tells_them_all(search: Search) -> None:
    hit = search.search("cirrhose alcoolique et virale C")[0]
    assert hit.codes == ("K70.3", "B18.2") and hit.source.startswith("ch")


def test_where_nothing_is_like_it_nothing_is_shown(search: Search) -> None:
    for typed in ("", "   ", "la", "xqzw", "☠", "0000", "zzzzzzzzzz kkkkkkkk"):
        assert search.search(typed) == [], typed


@given(st.text(max_size=200))
def test_no_typing_breaks_it(typed: str) -> None:
    hits = load().search(typed)
    assert len(hits) <= SHOWN and len({hit.codes for hit in hits}) == len(hits)
    assert all(icd10.load().valid(code) for hit in hits for code in hit.codes)
