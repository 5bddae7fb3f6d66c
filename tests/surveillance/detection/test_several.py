from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InvalidSettings
from stream.surveillance.detection import chance
from stream.surveillance.detection.several import adjust, control
from stream.surveillance.detection.verdict import Reason, Verdict

DAY = date(2026, 1, 5)


def verdict(p: float | None, reason: Reason | None = None, mid: float | None = None) -> Verdict:
    return Verdict(DAY, "test", 5.0, p_value=p, mid_p=p if mid is None else mid, reason=reason)


def test_adjusted_p_values_are_r_s() -> None:
    """R 4.2.2: p.adjust(c(.01, .04, .03, .005, .5), "BH") and "BY"."""
    p = [0.01, 0.04, 0.03, 0.005, 0.5]
    assert adjust(p) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.5])
    assert adjust(p, "BY") == pytest.approx([0.05708333, 0.11416667, 0.11416667, 0.05708333, 1.0])
    assert adjust([]) == ()


def test_benjamini_and_hochberg_s_own_example() -> None:
    """Their 15 p values (1995, section 3.2): four rejected at 0.05, where Bonferroni rejects three."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    found = control([verdict(value) for value in p])
    assert [decision.alarm for decision in found] == [True] * 4 + [False] * 11


def test_too_few_stay_among_the_tests_and_no_baseline_does_not() -> None:
    two = [verdict(0.02), verdict(0.03)]
    assert [one.alarm for one in control(two)] == [True, True]
    few = control([*two, verdict(0.001, Reason.TOO_FEW)])
    assert [(one.p_value, one.alarm) for one in few] == [(0.02, True), (0.03, True), (1.0, False)]
    assert [one.adjusted for one in few] == pytest.approx([0.045, 0.045, 1.0])
    assert control([*two, verdict(None, Reason.TOO_SHORT)])[2].adjusted is None
    assert [one.adjusted for one in control([*two, verdict(None, Reason.TOO_SHORT)])[:2]] == pytest.approx([0.03, 0.03])


def test_mid_p_values_on_request() -> None:
    found = control([verdict(0.06, mid=0.04)], mid=True)
    assert (found[0].p_value, found[0].alarm) == (0.04, True)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.01, 0.5), st.randoms())
def test_alarms_grow_with_q_and_do_not_depend_on_the_order(p: list[float], q: float, rng: object) -> None:
    found = {one.adjusted for one in control([verdict(value) for value in p], q) if one.alarm}
    more = {one.adjusted for one in control([verdict(value) for value in p], min(0.99, q * 1.5)) if one.alarm}
    assert found <= more
    mixed = list(p)
    getattr(rng, "shuffle")(mixed)  # noqa: B009
    assert sorted(adjust(mixed)) == pytest.approx(sorted(adjust(p)))
    assert all(before <= after + 1e-12 for before, after in zip(p, adjust(p), strict=True))


def test_false_alarms_stay_under_q_with_small_counts() -> None:
    """400 times of 60 series with a mean of 4 cases, ten of them with a mean of 20: share of false among the alarms."""
    rng = np.random.default_rng(9)
    tails = [chance.at_least(k, 4, 1.5) for k in range(200)]
    mids = [chance.mid(k, 4, 1.5) for k in range(200)]
    shares: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(400):
        means = np.array([20.0] * 10 + [4.0] * 50)
        counts = rng.negative_binomial(means / 0.5, 1 / 1.5)
        for mid, found in shares.items():
            decided = control([verdict(tails[k], mid=mids[k]) for k in counts], 0.1, mid=mid)
            false, all_of_them = sum(one.alarm for one in decided[10:]), sum(one.alarm for one in decided)
            found.append(false / max(1, all_of_them))
    assert np.mean(shares[False]) < 0.1
    assert np.mean(shares[False]) < np.mean(shares[True]) < 0.12


def test_wrong_settings() -> None:
    for q, method in ((0.0, "BH"), (0.05, "holm")):
        with pytest.raises(InvalidSettings):
            control([], q, method=method)
