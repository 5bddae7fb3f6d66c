"""Conditions of a certificate, and the context string that the model gets."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from stream.certificate import read_certificate
from stream.coder.context import CONDITIONS, conditions, context_string

CASES: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"sex": "M"}, "male"),
    ({"sex": "F"}, "female"),
    ({"sex": "U"}, ""),
    ({"age": {"value": 0, "unit": "MINUTES"}}, "newborn"),
    ({"age": {"value": 27, "unit": "DAYS"}}, "newborn"),
    ({"age": {"value": 28, "unit": "DAYS"}}, "child"),
    ({"age": {"value": 671, "unit": "HOURS"}}, "newborn"),
    ({"age": {"value": 672, "unit": "HOURS"}}, "child"),
    ({"age": {"value": 14}}, "child"),
    ({"age": {"value": 15}}, ""),
    ({"age": {"value": 80}}, ""),
    ({"birth_date": "2026-01-01", "death_date": "2026-01-10"}, "newborn"),
    ({"birth_date": "2020-01-01", "death_date": "2026-01-10"}, "child"),
    ({"death_date": "2026-01-10"}, ""),
    ({"form": "NEONATAL"}, "newborn"),
    ({"form": "NEONATAL", "age": {"value": 40, "unit": "DAYS"}}, "newborn"),
    ({"pregnancy": "AT_DEATH", "sex": "F"}, "female pregnancy"),
    ({"pregnancy": "WITHIN_42_DAYS"}, "pregnancy"),
    ({"pregnancy": "WITHIN_1_YEAR"}, ""),
    ({"pregnancy": "2"}, "pregnancy"),
    ({"pregnancy": "NO"}, ""),
    ({"manner": "SUICIDE"}, "suicide"),
    ({"manner": "ACCIDENT"}, "accident"),
    ({"manner": "HOMICIDE"}, "homicide"),
    ({"manner": "UNDETERMINED"}, "undetermined"),
    ({"manner": "CARE_COMPLICATION"}, "care"),
    ({"manner": "NATURAL"}, ""),
    ({"manner": "INVESTIGATION"}, ""),
    ({"manner": "WAR"}, ""),
    ({"manner": "SUICIDE", "sex": "M", "age": {"value": 14}}, "child male suicide"),
]


@pytest.mark.parametrize(("fields", "expected"), CASES, ids=[str(fields) for fields, _ in CASES])
def test_conditions_and_their_string(fields: dict[str, Any], expected: str) -> None:
    certificate = read_certificate({"certificate_id": "A", "part1": ["x"], **fields})
    assert context_string(conditions(certificate)) == expected


def test_string_does_not_depend_on_the_order_of_a_set() -> None:
    for some in permutations(["suicide", "male", "newborn"]):
        assert context_string(frozenset(some)) == "newborn male suicide"
    assert context_string(frozenset(CONDITIONS)) == " ".join(CONDITIONS)
    assert context_string(frozenset({"unheard of"})) == ""
