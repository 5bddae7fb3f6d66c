"""Certainty of a certificate: between 0 and 1, and lower where less is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder.confidence import logit
from stream.coding import CodedLine, Entity, Method, Underlying
from stream.errors import InvalidData
from stream.targeting import certainty
from stream.targeting.certainty import Certainty, features

FITTED = certainty.load()
shares = st.floats(0, 1)


def line(*entities: tuple[str, float]) -> CodedLine:
    return CodedLine(tuple(Entity(code, 0, 1, p, Method.RULES, "x") for code, p in entities))


def test_without_a_cause_there_is_no_certainty() -> None:
    assert FITTED(Underlying(None, 0.99), (line(("I10", 0.99)),), (), 0.0) == 0.0


def test_features_look_at_the_cause_and_at_the_weakest() -> None:
    part1 = (line(("J96.0", 0.6), ("C25.9", 0.9)), line(), line(("C25.9", 0.7)))
    found = features(Underlying("C25.9", 0.8), part1, (line(("I10", 0.1)),), 0.25)
    assert found["own"] == logit(0.9) and found["weakest"] == logit(0.6) and found["selection"] == logit(0.8)
    assert found["unknown"] == 0.25 and found["one"] == 1.0 and found["several"] > 1.0


def test_a_cause_of_part_2_is_looked_up_there() -> None:
    found = features(Underlying("I10", 0.8), (line(("R54", 0.5)),), (line(("I10", 0.95)),), 0.0)
    assert found["own"] == logit(0.95)


def test_a_cause_made_by_a_rule_is_as_sure_as_the_weakest() -> None:
    found = features(Underlying("I11.0", 0.8), (line(("I50.9", 0.6)), line(("I10", 0.9))), (), 0.0)
    assert found["own"] == found["weakest"] == logit(0.6)


def test_nothing_in_part_1_is_half_known() -> None:
    found = features(Underlying("R99", 0.8), (), (), 0.0)
    assert found["weakest"] == logit(0.5) and found["several"] == 0.0


@given(shares, shares, shares, shares)
def test_certainty_is_a_probability(selection: float, one: float, other: float, unknown: float) -> None:
    p = FITTED(Underlying("C25.9", selection), (line(("C25.9", one)), line(("J81", other))), (), unknown)
    assert 0.0 <= p <= 1.0 and p == round(p, 4)


@given(shares, shares, shares)
def test_a_surer_selection_is_surer(one: float, other: float, own: float) -> None:
    low, high = sorted((one, other))
    part1 = (line(("C25.9", own)),)
    assert FITTED(Underlying("C25.9", low), part1, (), 0.0) <= FITTED(Underlying("C25.9", high), part1, (), 0.0)


@given(shares, shares, shares)
def test_a_surer_entity_is_surer(one: float, other: float, selection: float) -> None:
    low, high = sorted((one, other))
    cause = Underlying("C25.9", selection)
    assert FITTED(cause, (line(("C25.9", low)),), (), 0.0) <= FITTED(cause, (line(("C25.9", high)),), (), 0.0)


def test_absent_weights_count_for_nothing() -> None:
    assert Certainty({})(Underlying("I10", 0.9), (line(("I10", 0.9)),), (), 0.0) == 0.5


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weights": 3}', '{"weights": {"one": "x"}}', '{"weights": {"one": NaN}}']
)
def test_weights_at_fault_are_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "certainty.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidData, match=r"certainty\.json: "):
        certainty.load(path)
