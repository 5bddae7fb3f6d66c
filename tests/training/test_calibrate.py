"""Calibration: weights that are known are found again, and a threshold keeps its promise."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.coder.confidence import Confidence
from training.calibrate import DELTA, at_most, calibration_error, fit, threshold

# Weights


def test_fit_finds_a_known_logistic_again() -> None:
    rng = np.random.default_rng(1)
    rows, right = [], []
    for _ in range(20_000):
        a, b = float(rng.normal()), float(rng.integers(0, 2))
        rows.append({"one": 1.0, "a": a} | ({"b": 1.0} if b else {}))
        right.append(bool(rng.random() < 1 / (1 + math.exp(-(0.5 + 1.5 * a - 1.0 * b)))))
    weights = fit(rows, right, 0.01)
    assert set(weights) == {"one", "a", "b"}
    for name, true in (("one", 0.5), ("a", 1.5), ("b", -1.0)):
        assert abs(weights[name] - true) < 0.12
    chances = [Confidence(weights).of(row) for row in rows]
    assert calibration_error(chances, right) < 0.02


def test_a_ridge_shrinks_all_but_the_intercept() -> None:
    rows = [{"one": 1.0, "a": float(k % 2)} for k in range(40)]
    right = [bool(k % 2) or k % 4 == 0 for k in range(40)]
    loose, tight = fit(rows, right, 0.1), fit(rows, right, 1_000.0)
    assert abs(tight["a"]) < 0.05 < abs(loose["a"])
    assert abs(tight["one"] - math.log(30 / 10)) < 0.1


@pytest.mark.parametrize("right", [[True] * 20, [False] * 20])
def test_cases_that_are_all_alike_give_finite_weights(right: list[bool]) -> None:
    weights = fit([{"one": 1.0, "a": 1.0}] * 20, right, 1.0)
    assert all(map(math.isfinite, weights.values())) and (sum(weights.values()) > 0) == right[0]


# Calibration error


def test_calibration_error_by_hand() -> None:
    assert calibration_error([1.0] * 10, [True] * 10) == 0.0
    assert math.isclose(calibration_error([1.0] * 10, [False] * 10), 1.0)
    assert math.isclose(calibration_error([0.5] * 10, [True] * 5 + [False] * 5, bins=1), 0.0)
    assert math.isclose(
        calibration_error([0.2, 0.2, 0.9, 0.9], [False, False, True, False], bins=2), 0.5 * 0.2 + 0.5 * 0.4
    )
    assert math.isclose(
        calibration_error([0.9, 0.2, 0.9, 0.2], [True, False, False, False], bins=2), 0.5 * 0.2 + 0.5 * 0.4
    )
    assert calibration_error([0.3], [True]) == 0.7


# The exact binomial


def exact(errors: int, n: int, bound: Fraction) -> float:
    return float(sum(math.comb(n, k) * bound**k * (1 - bound) ** (n - k) for k in range(errors + 1)))


@pytest.mark.parametrize(
    ("errors", "n", "bound", "expected"),
    [
        (0, 1, 0.1, 0.9),
        (1, 1, 0.1, 1.0),
        (0, 10, 0.5, 1 / 1024),
        (1, 10, 0.5, 11 / 1024),
        (5, 10, 0.5, 0.623046875),
        (0, 59, 0.05, 0.95**59),  # the least number that says 5 % with 95 % confidence
        (2, 100, 0.05, 0.118262982),  # binom.cdf(2, 100, 0.05)
        (10, 200, 0.05, 0.583067),
        (3, 5, 0.2, 0.99328),
    ],
)
def test_at_most_by_hand(errors: int, n: int, bound: float, expected: float) -> None:
    assert math.isclose(at_most(errors, n, bound), expected, rel_tol=1e-5)


@given(st.integers(1, 150), st.data())
def test_at_most_is_the_exact_sum(n: int, data: st.DataObject) -> None:
    errors, percent = data.draw(st.integers(0, n)), data.draw(st.integers(1, 99))
    assert math.isclose(at_most(errors, n, percent / 100), exact(errors, n, Fraction(percent, 100)), rel_tol=1e-9)


def test_at_most_of_many_certificates() -> None:
    assert math.isclose(at_most(1_000, 20_000, 0.05), 0.5, abs_tol=0.02)
    assert math.isclose(at_most(20_000, 20_000, 0.05), 1.0, rel_tol=1e-6)


# The threshold


def test_too_few_certificates_promise_nothing() -> None:
    assert threshold([0.99] * 58, [True] * 58, 0.05) == (1.0, 0, 0)
    assert threshold([0.99] * 59, [True] * 59, 0.05) == (0.99, 59, 0)
    assert threshold([], [], 0.05) == (1.0, 0, 0)


def test_threshold_goes_down_until_errors_are_too_many() -> None:
    chances = [1.0 - k / 1_000 for k in range(200)]
    limit, n, errors = threshold(chances, [k < 100 for k in range(200)], 0.05)
    assert (limit, n, errors) == (chances[n - 1], n, n - 100)
    assert at_most(errors, n, 0.05) <= DELTA < at_most(errors + 1, n + 1, 0.05)


def test_equal_chances_are_taken_or_left_together() -> None:
    chances = [0.9] * 100 + [0.8] * 100
    assert threshold(chances, [True] * 200, 0.05) == (0.8, 200, 0)
    assert threshold(chances, [True] * 100 + [False] * 100, 0.05) == (0.9, 100, 0)
    assert threshold([0.9] * 100, [True] * 60 + [False] * 40, 0.05) == (1.0, 0, 0)


def test_order_of_the_certificates_says_nothing() -> None:
    cases = [(round(0.5 + k / 1_000, 2), k % 17 != 0) for k in range(400)]
    found = threshold([c for c, _ in cases], [good for _, good in cases], 0.1)
    random.Random(1).shuffle(cases)
    assert threshold([c for c, _ in cases], [good for _, good in cases], 0.1) == found


@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "overconfident"])
def test_the_promise_is_broken_in_at_most_delta_of_draws(calibrated: bool) -> None:
    """The chances may be wrong; the promise is on the errors above the threshold, and it holds all the same."""
    rng = np.random.default_rng(7)
    bound, draws, broken, used = 0.1, 600, 0, 0

    def right_at(chance: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return chance if calibrated else chance**3

    # Most certificates are easy: chances crowd towards 1.
    grid = np.linspace(0, 1, 20_001) ** 0.25
    for _ in range(draws):
        chances = rng.random(400) ** 0.25
        right = rng.random(400) < right_at(chances)
        limit, n, _ = threshold([float(c) for c in chances], [bool(r) for r in right], bound)
        if n:
            used += 1
            accepted = grid[grid >= limit]
            broken += float(np.mean(1 - right_at(accepted))) > bound
    assert broken / draws <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / draws)
    if calibrated:
        assert used > draws / 2  # a promise that is never made is easily kept
