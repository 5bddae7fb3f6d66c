"""Closed-form figures: those that R's surveillance (1.26.0) tests itself by, for counts whose model is given."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stream.surveillance.detection import chance, limits
from stream.surveillance.detection.quasi import outbreaks
from stream.surveillance.detection.reference import nearest


@pytest.mark.parametrize(
    ("powertrans", "figures"),
    [
        ("none", (1.3073128, 8.6926872, 0.0907246, 0.8124165)),
        ("1/2", (1.9891097, 9.3744842, 0.1189986, 0.6857951)),
        ("2/3", (1.8084477, 9.1154825, 0.1094727, 0.7289546)),
    ],
)
def test_prediction_intervals_are_r_s(powertrans: str, figures: tuple[float, ...]) -> None:
    """testthat/test-farringtonFlexible.R: mean 5, error 0.2, dispersion 1, alpha 0.05, count 8."""
    found = limits.power(8, 5, 0.2, 1, 0.05, powertrans)
    assert (found.lower, found.upper, found.p_value, found.score) == pytest.approx(figures, abs=1e-7)


@pytest.mark.parametrize(
    ("method", "dispersion", "figures"),
    [
        ("muan", 1.5, (8, 24, 0.8597797, 0.4193982)),
        ("muan", 1, (9, 22, 0.9093099, 0.4605347)),
        ("nbPlugin", 1.5, (1, 10, 0.03763657, 1.11918153)),
        ("nbPlugin", 1, (2, 9, 0.01369527, 1.27061541)),
    ],
)
def test_quantiles_are_r_s(method: str, dispersion: float, figures: tuple[float, ...]) -> None:
    """As above: eta log 5, error log 2, alpha 0.05, count 11."""
    found = limits.counted(11, math.log(5), math.log(2), dispersion, 0.05, method)
    assert (found.lower, found.upper, found.p_value, found.score) == pytest.approx(figures, abs=1e-7)


def test_outbreaks_weigh_less() -> None:
    """As above: residuals 0 and 2, threshold 0."""
    found = outbreaks(np.array([0.0] * 5 + [2.0] * 5), 0)
    assert found.tolist() == pytest.approx([1.6] * 5 + [0.4] * 5)


def test_reference_days_are_the_same_weekday_nearest_the_same_date() -> None:
    """As above."""
    days = [nearest(date(2013, 6, 6), years) for years in (3, 2, 1)]
    assert days == [date(2010, 6, 3), date(2011, 6, 9), date(2012, 6, 7)]
    assert nearest(date(2024, 2, 29), 1) == date(2023, 3, 2)


@settings(deadline=None)
@given(st.integers(0, 400), st.floats(0.01, 300), st.floats(1, 20))
def test_chances_are_scipy_s(count: int, mean: float, dispersion: float) -> None:
    if dispersion == 1:
        model = stats.poisson(mean)
    elif dispersion < 1 + 1e-6:
        return
    else:
        model = stats.nbinom(mean / (dispersion - 1), 1 / dispersion)
    assert chance.at_most(count, mean, dispersion) == pytest.approx(model.cdf(count), rel=1e-6, abs=1e-12)
    assert chance.at_least(count, mean, dispersion) == pytest.approx(model.sf(count - 1), rel=1e-6, abs=1e-12)
    middle = model.sf(count) + model.pmf(count) / 2
    assert chance.mid(count, mean, dispersion) == pytest.approx(middle, rel=1e-6, abs=1e-9)


@settings(deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.01, 1e6), st.floats(1, 50))
def test_a_quantile_is_the_smallest_count_that_is_enough(share: float, mean: float, dispersion: float) -> None:
    found = chance.quantile(share, mean, dispersion)
    assert chance.at_most(found, mean, dispersion) >= share - 1e-12
    assert found == 0 or chance.at_most(found - 1, mean, dispersion) < share


def test_after_weeks_without_any_case_a_few_are_an_alarm_and_one_is_not_after_a_few_weeks() -> None:
    assert limits.quiet(1, 10, 1, 0.01).upper == 1
    assert limits.quiet(1, 300, 1, 0.01).upper == 0
    # Jeffreys: P(at least one) after n weeks is 1 - sqrt(n / (n + 1)).
    assert limits.quiet(1, 10, 1, 0.01).p_value == pytest.approx(1 - math.sqrt(10 / 11))


def test_means_beyond_what_floats_count_have_no_quantile() -> None:
    assert chance.quantile(0.99, 1e20, 1.5) == math.inf
    assert chance.quantile(0.99, 1e9, 1.0) == pytest.approx(1e9, rel=1e-3)
    assert limits.counted(3, 2.0, 1e6, 1.2, 0.01, "muan").upper == math.inf
