"""The promise: what the search finds, and that it breaks no more often than it says."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shared import shared

from stream.targeting.risk import Chosen, choose, first_size, least, p_value, upper_bound

#: n, error, wrong: p of the exact binomial test, Clopper-Pearson upper bound at 95 %.
KNOWN = [
    (200, 0.01, 0, 0.1339796749, 0.01486703923),
    (200, 0.01, 1, 0.4046456847, 0.02349847043),
    (1000, 0.02, 12, 0.0376048104, 0.0193701993),
]


@pytest.mark.parametrize(("n", "error", "wrong", "p", "upper"), KNOWN)
def test_the_exact_binomial_test_and_its_bound(n: int, error: float, wrong: int, p: float, upper: float) -> None:
    assert p_value(n, wrong, error) == pytest.approx(p, abs=1e-9)
    assert upper_bound(n, wrong, 0.05) == pytest.approx(upper, abs=1e-9)


def test_the_shared_table_of_tests_and_bounds() -> None:
    with shared("surveillance/riskcontrol_pvalues.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 50
    for row in rows:
        n, wrong = int(row["n"]), int(row["errors"])
        assert p_value(n, wrong, float(row["alpha"])) == pytest.approx(float(row["p_exact_binomial_tail"]), abs=1e-9)
        assert upper_bound(n, wrong, 0.05) == pytest.approx(float(row["clopper_pearson_upper_95"]), abs=1e-9)


def simulated() -> tuple[list[float], list[bool]]:
    with shared("surveillance/selective_calibration_sim.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [float(row["confidence"]) for row in rows], [row["correct"] == "1" for row in rows]


@pytest.mark.parametrize(("error", "mapie"), [(0.10, 0.82), (0.07, 0.89)])
def test_the_search_finds_what_mapie_finds(error: float, mapie: float) -> None:
    # MAPIE 1.6.0 by fixed sequence on steps of 0.01; ours takes finer steps and stops within one of its own.
    chances, right = simulated()
    found = choose(chances, right, error, 0.05)
    assert found.threshold is not None and abs(found.threshold - mapie) <= 0.012
    assert found.upper <= error


def test_nothing_is_promised_from_too_few() -> None:
    assert least(0.05, 0.05) == 59 and least(0.02, 0.05) == 149 and least(0.01, 0.05) == 299
    assert choose([0.99] * 58, [True] * 58, 0.05, 0.05).threshold is None
    assert choose([0.99] * 59, [True] * 59, 0.05, 0.05) == Chosen(0.99, 59, 59, 0, upper_bound(59, 0, 0.05))
    assert choose([], [], 0.05, 0.05) == Chosen(None, 0)


def test_the_first_set_bears_an_early_mistake() -> None:
    # 59 certificates without a mistake pass; the surest of 1,000 is wrong all the same.
    chances = [1 - k / 10_000 for k in range(1_000)]
    right = [False] + [True] * 999
    found = choose(chances, right, 0.05, 0.05)
    assert found.threshold is not None and found.accepted > 900
    assert first_size(chances, 0.05, 0.05) > 59


def test_certificates_of_one_score_are_taken_together() -> None:
    chances = [0.9] * 300 + [0.5] * 300
    right = [True] * 300 + [False] * 300
    found = choose(chances, right, 0.05, 0.05)
    assert (found.threshold, found.accepted, found.wrong) == (0.9, 300, 0)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=400),
    st.sampled_from([0.02, 0.05, 0.2]),
)
def test_what_is_found_is_what_its_threshold_accepts(pairs: list[tuple[float, bool]], error: float) -> None:
    found = choose([p for p, _ in pairs], [r for _, r in pairs], error, 0.05)
    if found.threshold is None:
        assert (found.accepted, found.wrong) == (0, 0)
        return
    taken = [right for chance, right in pairs if chance >= found.threshold - 1e-9]
    assert (len(taken), len(taken) - sum(taken)) == (found.accepted, found.wrong)
    assert found.upper <= error and p_value(found.accepted, found.wrong, error) <= 0.05


DRAWS, DELTA, WRONG = 600, 0.10, 0.4


@pytest.mark.parametrize(("n", "error"), [(400, 0.05), (1_500, 0.05), (4_000, 0.02)])
def test_the_promise_is_broken_in_no_more_than_delta_of_draws(n: int, error: float) -> None:
    """Chance to be wrong: WRONG (1 - confidence), confidences uniform; above a threshold half of it is, on average."""
    rng = np.random.default_rng(20261126)
    broken = found = 0
    for _ in range(DRAWS):
        chances = rng.uniform(0.5, 1, n)
        right = rng.random(n) >= WRONG * (1 - chances)
        threshold = choose(list(chances), list(right), error, DELTA).threshold
        if threshold is not None:
            found += 1
            broken += WRONG * (1 - threshold) / 2 > error
    # Three standard deviations of a binomial share above delta: 0.137.
    assert broken / DRAWS <= DELTA + 3 * math.sqrt(DELTA * (1 - DELTA) / DRAWS)
    assert found > DRAWS / 3, "the test says nothing where nothing is ever found"
