"""Which certificates belong to which groups."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.certificate import Age, AgeUnit, Form, Sex
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Entity,
    Method,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.nomenclature import icd10
from stream.surveillance.groups import Group, load
from stream.surveillance.groups.group import Takes
from stream.surveillance.groups.matcher import NEONATAL_DAYS

GROUPS = load()
CODES = sorted(icd10.load())
# Codes that many groups ask for, so that conditions are met now and then.
TELLING = [
    "A41.9",
    "N39.0",
    "R57.2",
    "X42",
    "T40.1",
    "T40.5",
    "X64",
    "A39.2",
    "R95",
    "J18.9",
    "J21.9",
    "O72.1",
    "C50.9",
]


def coded(underlying: str | None, *mentions: str, **fields: object) -> CodedCertificate:
    line = CodedLine(tuple(Entity(code, 0, 1, 0.9, Method.RULES, "") for code in mentions))
    one = CodedCertificate(
        "C1", 1, "", CodedStatus.FINAL, Modality.RULES, Underlying(underlying, 0.9), Targeting(Route.AUTO), Versions(),
        datetime(2026, 1, 1, tzinfo=UTC), part1=(line,), part2=(line,) if len(mentions) > 3 else (),
    )  # fmt: skip
    return replace(one, **fields)  # type: ignore[arg-type]


def syndromic(found: frozenset[str]) -> set[str]:
    return {group for group in found if not group.startswith(("esl_", "all_causes"))}


def test_underlying_cause_and_mention_stand_apart() -> None:
    found = GROUPS.apart(coded("C25.9", "A41.9", "C25.9"))
    assert syndromic(found.due) == {"cancer", "cancer_pancreas"}
    assert syndromic(found.mentioned) == {"cancer", "cancer_pancreas", "sepsis"}
    assert GROUPS.of(coded("C25.9", "A41.9")) == found.due | found.mentioned


def test_an_underlying_cause_that_no_line_has_counts_as_mentioned() -> None:
    assert "cirrhosis" in GROUPS.apart(coded("K70.3", "K74.6")).mentioned


def test_conditions_must_all_be_met() -> None:
    assert "urinary_sepsis" in GROUPS.of(coded("N39.0", "A41.9", "N39.0"))
    assert "urinary_sepsis" not in GROUPS.of(coded("N39.0", "N39.0"))
    assert "urinary_sepsis" not in GROUPS.of(coded("A41.9", "A41.9", "J18.9"))
    found = GROUPS.apart(coded("X42", "T40.1", "X42"))
    assert {"overdose", "overdose_opioid", "overdose_heroin"} <= found.due
    assert "overdose_cocaine" not in found.due
    # The substance alone, without an overdose as underlying cause, is none.
    assert "overdose_heroin" not in GROUPS.of(coded("I21.9", "T40.1"))


@pytest.mark.parametrize(
    ("age", "form", "inside"),
    [
        (Age(0), Form.GENERAL, {"infant", "neonatal"}),
        (Age(27, AgeUnit.DAYS), Form.GENERAL, {"infant", "neonatal"}),
        (Age(28, AgeUnit.DAYS), Form.GENERAL, {"infant"}),
        (Age(11, AgeUnit.MONTHS), Form.GENERAL, {"infant"}),
        (Age(12, AgeUnit.MONTHS), Form.GENERAL, {"all_causes_child"}),
        (Age(365, AgeUnit.DAYS), Form.GENERAL, {"all_causes_child"}),
        (Age(1), Form.GENERAL, {"all_causes_child"}),
        (Age(14), Form.GENERAL, {"all_causes_child"}),
        (Age(15), Form.GENERAL, set()),
        (Age(64), Form.GENERAL, set()),
        (Age(65), Form.GENERAL, {"all_causes_65"}),
        (Age(85), Form.GENERAL, {"all_causes_65", "all_causes_85"}),
        (None, Form.GENERAL, set()),
        (None, Form.NEONATAL, {"infant", "neonatal"}),
    ],
)
def test_limits_of_age(age: Age | None, form: Form, inside: set[str]) -> None:
    found = GROUPS.of(coded(None, age=age, form=form))
    limited = {group.id for group in GROUPS if group.takes is Takes.EVERY} - {"all_causes"}
    assert found & limited == inside
    assert {"all_causes", "esl_none"} <= found


def test_limits_of_sex_take_only_who_is_known() -> None:
    found = {sex: "cancer_breast" in GROUPS.of(coded("C50.9", sex=sex)) for sex in Sex}
    assert found == {Sex.F: True, Sex.M: False, Sex.U: False}


def test_a_withdrawn_certificate_is_in_no_group() -> None:
    assert GROUPS.of(coded("A39.2", "A39.2", status=CodedStatus.WITHDRAWN)) == frozenset()
    provisional = GROUPS.of(coded("A39.2", status=CodedStatus.PROVISIONAL))
    assert "meningococcal" in provisional


def test_a_flag_speaks_where_no_code_can() -> None:
    assert "unread_text" in GROUPS.of(coded(None, flags=("UNKNOWN_WORDS",)))
    assert "unread_text" not in GROUPS.of(coded(None, flags=("UNCALIBRATED",)))


def test_codes_of_other_offices_are_read_and_strangers_say_nothing() -> None:
    assert "atrial_fibrillation" in GROUPS.of(coded("I48"))
    assert "fall" in GROUPS.of(coded("W19.0"))
    assert GROUPS.of(coded("?", "zzz", "")) == GROUPS.of(coded(None))


def naive(group: Group, underlying: str | None, mentions: set[str], sex: Sex, days: float | None) -> tuple[bool, bool]:
    """The group's own definition, word by word."""
    every = mentions | ({underlying} if underlying else set())
    met = all(any(codes.holds(code) for code in every) for codes in group.having)
    due = bool(underlying and group.underlying and group.underlying.holds(underlying) and met)
    mentioned = bool(group.any and any(group.any.holds(code) for code in every) and met)
    within = group.limits.holds(sex, days)
    return (due or group.takes is Takes.EVERY) and within, mentioned and within


@settings(max_examples=40)
@given(
    st.none() | st.sampled_from(TELLING + CODES),
    st.lists(st.sampled_from(TELLING) | st.sampled_from(CODES), max_size=6),
    st.sampled_from(Sex),
    st.none() | st.integers(0, 110).map(Age) | st.integers(0, 800).map(lambda days: Age(days, AgeUnit.DAYS)),
)
def test_every_group_takes_what_its_definition_says(
    underlying: str | None, mentions: list[str], sex: Sex, age: Age | None
) -> None:
    found = GROUPS.apart(coded(underlying, *mentions, sex=sex, age=age))
    for group in GROUPS:
        if group.takes is not Takes.REST:
            due, mentioned = naive(group, underlying, set(mentions), sex, age.days if age else None)
            assert ((group.id in found.due), (group.id in found.mentioned)) == (due, mentioned), group.id
    assert len([group for group in found.due if group.startswith("esl_")]) == 1


def test_the_neonatal_form_stands_for_its_oldest() -> None:
    assert NEONATAL_DAYS < 28
