"""Confidence: between 0 and 1, and higher where both coders agree and the model is surer."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder import confidence
from stream.coder.confidence import Confidence, Evidence, logit, read_weights
from stream.coder.rules import Kind
from stream.errors import InvalidData

FITTED = confidence.load()
shares = st.floats(0, 1)
kinds = st.sampled_from(Kind)


@given(kinds, st.integers(1, 8), shares, shares, shares)
def test_surer_model_makes_an_agreement_surer(kind: Kind, size: int, coverage: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert FITTED(Evidence(kind, size, coverage, low)) <= FITTED(Evidence(kind, size, coverage, high))


@given(shares, shares)
def test_surer_model_alone_is_surer(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert FITTED(Evidence(None, model=low)) <= FITTED(Evidence(None, model=high))


@given(st.sampled_from([Kind.WHOLE, Kind.PHRASE]), st.integers(2, 8), st.floats(0.5, 0.99))
def test_agreement_is_surer_than_either_alone(kind: Kind, size: int, p: float) -> None:
    both = FITTED(Evidence(kind, size, 1.0, p))
    assert both >= FITTED(Evidence(kind, size, 1.0))
    assert both >= FITTED(Evidence(None, model=p))


evidence = st.builds(
    Evidence,
    st.one_of(st.none(), kinds),
    st.integers(0, 60),
    shares,
    st.one_of(st.none(), shares),
    shares,
)


@given(evidence, st.dictionaries(st.sampled_from(["one", "both", "both:logit", "rival"]), st.floats(-1e6, 1e6)))
def test_confidence_is_a_probability_whatever_the_weights(found: Evidence, weights: dict[str, float]) -> None:
    for fitted in (FITTED, Confidence(weights)):
        p = fitted(found)
        assert 0.0 <= p <= 1.0 and p == round(p, 4)


@given(shares)
def test_logit_is_bounded_and_odd(p: float) -> None:
    assert math.isfinite(logit(p)) and abs(logit(p)) < 7
    assert math.isclose(logit(p), -logit(1 - p), abs_tol=1e-9)


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (Evidence(Kind.WHOLE, 2, 1.0), {"one", "rules:whole", "coverage", "single_word"}),
        (Evidence(None, model=0.9), {"one", "model", "model:logit"}),
        (Evidence(Kind.BAG, 1, 0.5, 0.9), {"one", "rules:bag", "coverage", "single_word", "both", "both:logit"}),
        (
            Evidence(Kind.FUZZY, 2, 1.0, rival=0.7),
            {"one", "rules:fuzzy", "coverage", "single_word", "rival", "rival:logit"},
        ),
        (
            Evidence(None, model=0.9, rival=1.0),
            {"one", "model", "model:logit", "rival", "rival:strength"},
        ),
    ],
)
def test_features_are_named(found: Evidence, names: set[str]) -> None:
    assert set(found.features()) == names


def test_features_know_single_words() -> None:
    assert Evidence(Kind.WHOLE, 1, 1.0).features()["single_word"] == 1.0
    assert Evidence(Kind.WHOLE, 2, 1.0).features()["single_word"] == 0.0


def test_packaged_weights_name_features_that_exist() -> None:
    known = {f"rules:{kind.lower()}" for kind in Kind} | {
        "one", "coverage", "single_word", "both", "both:logit", "model", "model:logit", "model:care", "rival", "rival:logit", "rival:strength", "both:runner", "model:runner",
        *(f"{side}:{name}" for side in ("rules", "model") for name in ("outer", "short", "second")),
    }  # fmt: skip
    assert set(read_weights(confidence.WEIGHTS)) <= known


def test_absent_weight_counts_for_nothing() -> None:
    assert Confidence({})(Evidence(Kind.WHOLE, 2, 1.0)) == 0.5
    assert Confidence({"one": 1.0}).of({"one": 1.0, "unheard": 5.0}) == round(1 / (1 + math.exp(-1)), 4)


FAULTS = {
    "not JSON": b"{",
    "not UTF-8": b'{"weights": {"\xff": 1}}',
    "a list": b"[1]",
    "no weights": b'{"fitted_on": "x"}',
    "weights of no names": b'{"weights": [1, 2]}',
    "no number": b'{"weights": {"one": "high"}}',
    "null": b'{"weights": {"one": null}}',
    "not a number": b'{"weights": {"one": NaN}}',
    "infinite": b'{"weights": {"one": -Infinity}}',
    "beyond a float": b'{"weights": {"one": 1' + b"0" * 400 + b"}}",
}


@pytest.mark.parametrize("content", FAULTS.values(), ids=FAULTS.keys())
def test_weights_at_fault_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.json"
    path.write_bytes(content)
    with pytest.raises(InvalidData, match=r"weights\.json: "):
        confidence.load(path)


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"none\.json: FileNotFoundError"):
        confidence.load(tmp_path / "none.json")


def test_weights_are_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"fitted_on": "nothing", "weights": {"one": 2}}), encoding="utf-8")
    assert confidence.load(path)(Evidence(None)) == round(1 / (1 + math.exp(-2)), 4)
