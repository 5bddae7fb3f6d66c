from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.quality import intervals
from stream.quality.intervals import Interval

WEIGHTS = st.lists(st.floats(1, 100), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (95, 100, 0.8872, 0.9836)],
)
def test_clopper_pearson_is_the_tables(right: int, n: int, low: float, high: float) -> None:
    """R's binom.test."""
    assert intervals.clopper_pearson(right, n) == pytest.approx((low, high), abs=1e-4)


def test_equal_weights_are_an_exact_interval() -> None:
    found, size = intervals.weighted_share([7.0] * 100, [True] * 95 + [False] * 5, ["a"] * 100)
    assert size == pytest.approx(100)
    assert (found.value, found.low, found.high) == pytest.approx((0.95, *intervals.clopper_pearson(95, 100)))


def test_nothing_seen_is_nothing_known() -> None:
    assert intervals.weighted_share([], [], []) == (Interval(0.0, 0.0, 1.0), 0.0)


@given(WEIGHTS, st.randoms())
def test_a_share_lies_between_its_bounds_and_is_worth_no_more_than_its_size(weights: list[float], rng: object) -> None:
    hits = [bool(getattr(rng, "random")() < 0.7) for _ in weights]  # noqa: B009
    found, size = intervals.weighted_share(weights, hits, [w > 50 for w in weights])
    assert 0 <= found.low <= found.value + 1e-9 and found.value - 1e-9 <= found.high <= 1
    assert size <= len(weights) + 1e-6


@pytest.mark.parametrize(("seen", "low", "high"), [(0, 0.0, 2.996), (1, 0.1079, 4.674), (10, 5.141, 17.739)])
def test_rare_events_of_one_weight_are_jeffreys(seen: int, low: float, high: float) -> None:
    """Half the quantiles of chi-squared with 2n + 1 degrees of freedom; a large weight, so that nearly all could be missed."""
    found = intervals.rare_total([1e6] * seen, 1e6)
    assert (found.low / 1e6, found.high / 1e6) == pytest.approx((low, high), abs=2e-3)


def test_what_was_looked_at_whole_is_certain() -> None:
    assert intervals.rare_total([1.0, 1.0], 1.0) == Interval(2.0, 2.0, 2.0)


def test_a_difference_of_certain_figures_is_certain() -> None:
    assert intervals.difference(Interval(5, 5, 5), Interval(2, 2, 2)) == Interval(3, 3, 3)
    found = intervals.difference(Interval(5, 2, 9), Interval(2, 1, 5))
    assert (found.low, found.high) == pytest.approx((3 - math.hypot(3, 3), 3 + math.hypot(4, 1)))


@pytest.mark.parametrize("right", [(0.97, 0.97, 0.97), (0.93, 1.0, 1.0), (0.99, 0.6, 0.8)])
def test_stratified_shares_are_covered(right: tuple[float, float, float]) -> None:
    """Over 400 draws of three strata with their own rates of audit and of error; the interval is to hold 95 % of them.

    It is built to err on the wide side. 400 draws at 95 % leave a standard error of 1.1 points: under 93 % is a fault.
    """
    rng = np.random.default_rng(11)
    sizes, rates = (12_000, 800, 300), (0.02, 0.05, 0.10)
    truth = sum(n * r for n, r in zip(sizes, right, strict=True)) / sum(sizes)
    held = 0
    for _ in range(400):
        weights: list[float] = []
        hits: list[bool] = []
        strata: list[int] = []
        for stratum, (n, rate, share) in enumerate(zip(sizes, rates, right, strict=True)):
            drawn = int(rng.binomial(n, rate))
            weights += [1 / rate] * drawn
            hits += (rng.random(drawn) < share).tolist()
            strata += [stratum] * drawn
        found, _ = intervals.weighted_share(weights, hits, strata)
        held += found.low <= truth <= found.high
    assert 0.93 <= held / 400 <= 1.0


@pytest.mark.parametrize("moved", [(0, 0), (4, 0), (160, 0), (100, 100), (1_000, 300)])
def test_what_moved_is_covered(moved: tuple[int, int]) -> None:
    """Certificates moved in and out, half of them seen with a chance of 2 %, half with 10 %: 400 draws, 95 % to be held.

    Under 92 % is a fault: three standard errors of 400 draws.
    """
    rng = np.random.default_rng(5)

    def seen(true: int) -> Interval:
        weights = [50.0] * int(rng.binomial(true // 2, 0.02)) + [10.0] * int(rng.binomial(true - true // 2, 0.10))
        return intervals.rare_total(weights, 50.0)

    held = 0
    for _ in range(400):
        found = intervals.difference(seen(moved[0]), seen(moved[1]))
        held += found.low <= moved[0] - moved[1] <= found.high
    assert held / 400 >= 0.92
