from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from stream.quality.sequential import evidence, log_e

DELTA, AUDITS, RUNS = 0.05, 2_000, 600


def alarms(share: float, bound: float, seed: int) -> list[int | None]:
    """Audits until the alarm in seeded runs of an office that looks after every audit."""
    rng = np.random.default_rng(seed)
    return [evidence((rng.random(AUDITS) < share).tolist(), bound, DELTA).alarm for _ in range(RUNS)]


@pytest.mark.parametrize("bound", [0.02, 0.05])
def test_a_promise_kept_raises_an_alarm_in_no_more_than_delta_of_the_runs(bound: float) -> None:
    raised = sum(alarm is not None for alarm in alarms(bound, bound, seed=1))
    assert raised / RUNS <= DELTA


@pytest.mark.parametrize(("bound", "median"), [(0.02, 450), (0.05, 170)])
def test_twice_the_bound_is_found_soon(bound: float, median: int) -> None:
    found = [alarm for alarm in alarms(2 * bound, bound, seed=2) if alarm is not None]
    assert len(found) / RUNS > 0.95
    assert np.median(found) < median


def test_it_holds_where_errors_come_in_bursts() -> None:
    # The share wrong swings with what was found before, and is never above the bound given that.
    rng, bound, raised = np.random.default_rng(3), 0.05, 0
    for _ in range(RUNS):
        wrong: list[bool] = []
        for _ in range(500):
            wrong.append(bool(rng.random() < (bound if any(wrong[-5:]) else bound / 5)))
        raised += evidence(wrong, bound, DELTA).alarm is not None
    assert raised / RUNS <= DELTA


@given(st.integers(0, 300), st.integers(0, 60), st.sampled_from([0.01, 0.05, 0.3, 0.6]))
def test_it_is_the_mixture_of_likelihood_ratios(right: int, wrong: int, bound: float) -> None:
    if not right + wrong:
        return
    b = 1 / min(2 * bound, (1 + bound) / 2) - 1
    prior = stats.beta(1, b)

    def ratio(p: float) -> float:
        log = wrong * math.log(p / bound) + right * math.log1p(-p) - right * math.log1p(-bound)
        return float(prior.pdf(p)) * math.exp(log)

    whole, _ = integrate.quad(ratio, bound, 1, limit=500, points=[bound + (1 - bound) * x for x in (0.01, 0.05, 0.2)])
    expected = whole / prior.sf(bound)
    found = math.exp(log_e([True] * wrong + [False] * right, bound)[-1])
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_the_alarm_names_the_audit_that_raised_it_and_stays_raised() -> None:
    wrong = [False] * 20 + [True] * 6 + [False] * 400
    found = evidence(wrong, 0.05, DELTA)
    assert found.alarm is not None and 21 <= found.alarm <= 26
    assert found.value < 1 / DELTA  # what came later speaks for the machine again
    assert (found.audits, found.wrong) == (426, 6)
    assert evidence(wrong[: found.alarm - 1], 0.05, DELTA).alarm is None


def test_extremes_are_told_and_do_not_overflow() -> None:
    assert evidence([], 0.05, DELTA).value == 1.0
    assert evidence([True] * 5_000, 0.01, DELTA).alarm == 3
    assert evidence([False] * 100_000, 0.05, DELTA).value == 0.0
