"""All methods: their options as text, and what holds of each whatever the series."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InvalidSettings
from stream.surveillance.detection import flexible, methods
from stream.surveillance.detection.reference import Reference, reference
from stream.surveillance.detection.series import Period, Series, Step
from stream.surveillance.detection.verdict import Reason

from . import made

LAST = made.WEEKS - 1
SHORT = {"b": "2", "noPeriods": "3", "pastWeeksNotIncluded": "5"}
"""Options under which three years are enough."""


def quick(name: str) -> dict[str, str]:
    names = methods.described()[name]
    return {key: value for key, value in SHORT.items() if key in names}


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_sees_a_large_outbreak_and_sleeps_else(name: str) -> None:
    calm = made.series(outbreaks=False)
    outbreak = replace(calm, counts=(*calm.counts[:-1], 400.0))
    if name == "C3":  # R's speaks one step later, and of less
        outbreak = replace(calm, counts=(*calm.counts[:-2], 400.0, 400.0))
    assert methods.judge(name, outbreak, points=range(LAST - 5, LAST + 1))[-1].alarm
    assert name == "C3" or not methods.judge(name, calm, {"h": "5"} if name == "cusum" else {}, [LAST])[0].alarm


def test_options_are_read_from_text() -> None:
    made_of = {
        "b": "4", "limit54": "3,2", "trend": "FALSE", "alpha": "0.01", "pastWeeksNotIncluded": "NULL",
        "exclude": "2020:2022, 2017-05-01:2017-06-30", "thresholdMethod": "muan",
    }  # fmt: skip
    options = flexible.Options(
        b=4, limit54=(3, 2), trend=False, alpha=0.01, thresholdMethod="muan",
        exclude=(Period.years(2020, 2022), Period(date(2017, 5, 1), date(2017, 6, 30))),
    )  # fmt: skip
    series = made.series()
    assert methods.judge("farringtonFlexible", series, made_of, [LAST]) == flexible.judge(series, options, [LAST])
    assert methods.judge("noufaily", series, {}, [LAST]) == flexible.judge(series, flexible.NOUFAILY, [LAST])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("magic", {}),
        ("C1", {"b": "5"}),
        ("farrington", {"b": "five"}),
        ("farrington", {"reweight": "perhaps"}),
        ("farrington", {"limit54": "5"}),
        ("farrington", {"exclude": "2020-13-01"}),
        ("farrington", {"b": "0"}),
        ("euromomo", {"k": "1"}),
    ],
)
def test_what_is_no_option_is_refused(name: str, options: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings):
        methods.judge(name, made.series(), options, [LAST])


def test_a_method_of_weeks_makes_them_of_days() -> None:
    rng = np.random.default_rng(3)
    days = Series(date(2020, 1, 1), tuple(rng.poisson(20, 1500).astype(float).tolist()), Step.DAY)
    found = methods.judge("farrington", days, {"b": "3"}, [208])[0]
    assert found == methods.judge("farrington", days.weeks(), {"b": "3"}, [208])[0]
    assert (found.reason, found.day.weekday()) == (None, 0)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(methods.METHODS)),
    st.lists(st.one_of(st.none(), st.just(0), st.integers(0, 3), st.integers(0, 10**6)), max_size=30),
    st.integers(0, 8),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_no_series_is_too_strange(name: str, counts: list[int | None], times: int, share: float | None) -> None:
    """Nothing, zeros, constants, gaps, jumps of six digits, short and long: a figure or a reason, never an error."""
    repeated = tuple(None if count is None else float(count) for count in counts * times)
    completeness = None if share is None else (1.0,) * max(0, len(repeated) - 1) + (share,) * min(1, len(repeated))
    series = Series(made.START, repeated, completeness=completeness)
    found = methods.judge(name, series, quick(name), range(max(0, len(series) - 2), len(series)))
    for verdict in found:
        figures = (verdict.expected, verdict.score, verdict.p_value, verdict.mid_p, verdict.z)
        assert all(value is None or math.isfinite(value) for value in figures)
        if verdict.reason is None:
            assert verdict.threshold is not None and not math.isnan(verdict.threshold)
            assert verdict.score is not None
        else:
            assert not verdict.alarm
            assert verdict.reason is Reason.TOO_FEW or verdict.threshold is None


@pytest.mark.parametrize("name", sorted(set(methods.METHODS) - {"cusum"}))
def test_zeros_and_constants_raise_no_alarm(name: str) -> None:
    for value in (0.0, 1.0, 250.0):
        series = Series(made.START, (value,) * 200)
        assert not any(verdict.alarm for verdict in methods.judge(name, series, quick(name), range(190, 200)))


@pytest.mark.parametrize("name", sorted(set(methods.METHODS) - {"euromomo", "cusum"}))
def test_a_verdict_does_not_look_ahead(name: str) -> None:
    series = made.series()
    points = [330, 380, LAST]
    assert methods.judge(name, series, {}, points) == tuple(
        methods.judge(name, series.until(i), {}, [i])[0] for i in points
    )


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(sorted(set(methods.METHODS))), st.floats(1e-3, 1e3))
def test_the_unit_of_the_population_does_not_matter(name: str, unit: float) -> None:
    series = made.series(population=True)
    other = replace(series, population=tuple(people * unit for people in made.POPULATION))
    one, two = (methods.judge(name, found, {}, [LAST])[0] for found in (series, other))
    assert two.threshold == pytest.approx(one.threshold, rel=1e-6)
    assert two.score == pytest.approx(one.score, rel=1e-5, abs=1e-6)


@settings(deadline=None, max_examples=15)
@given(st.randoms(), st.sampled_from(["farrington", "farringtonFlexible"]))
def test_without_a_trend_the_order_of_the_past_does_not_matter(rng: object, name: str) -> None:
    series = made.series()
    weeks = reference(series, LAST, b=5, w=3, blocks=1, past=3)
    assert isinstance(weeks, Reference)
    places = weeks.weeks.tolist()
    mixed = list(places)
    getattr(rng, "shuffle")(mixed)  # noqa: B009
    counts = list(series.counts)
    for place, other in zip(places, mixed, strict=True):
        counts[place] = series.counts[other]
    one, two = (
        methods.judge(name, found, {"trend": "false"}, [LAST])[0]
        for found in (series, replace(series, counts=tuple(counts)))
    )
    assert two.threshold == pytest.approx(one.threshold, rel=1e-9)


@settings(deadline=None, max_examples=15)
@given(st.sampled_from(sorted(set(methods.METHODS) - {"C3"})), st.integers(5, 300), st.integers(0, 100))
def test_more_deaths_are_never_less_of_an_alarm(name: str, count: int, more: int) -> None:
    series = made.series()
    options = {"delay": "1"} if name in ("euromomo", "cusum") else {}
    one, two = (
        methods.judge(name, replace(series, counts=(*series.counts[:-1], float(value))), options, [LAST])[0]
        for value in (count, count + more)
    )
    assert two.alarm >= one.alarm
    assert (two.score or 0) >= (one.score or 0)


def test_the_day_of_a_verdict_is_that_of_its_point() -> None:
    found = methods.judge("C1", made.series(), {}, [100, LAST])
    assert [verdict.day for verdict in found] == [made.START + timedelta(weeks=k) for k in (100, LAST)]
