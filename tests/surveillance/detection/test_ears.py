from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InvalidSettings
from stream.surveillance.detection import ears
from stream.surveillance.detection.series import Period, Series, Step
from stream.surveillance.detection.verdict import Reason

START = date(2026, 1, 5)
COUNTS = (3.0, 5.0, 2.0, 6.0, 4.0, 1.0, 7.0, 5.0, 3.0, 12.0, 14.0)
METHODS = sorted(ears.ALPHA)


def test_by_hand() -> None:
    series = Series(START, COUNTS, Step.DAY)
    before = np.array(COUNTS[3:10])
    c1 = ears.judge(series, ears.Options(alpha=0.05), [10])[0]
    assert c1.threshold == pytest.approx(before.mean() + 1.6448536 * before.std(ddof=1))
    assert c1.score == pytest.approx((14 - before.mean()) / before.std(ddof=1))
    apart = np.array(COUNTS[1:8])
    c2 = ears.judge(series, ears.Options(method="C2"), [10])[0]
    assert c2.threshold == pytest.approx(apart.mean() + 3.0902323 * apart.std(ddof=1))
    assert c2.alarm


def test_c3_of_its_authors_sums_the_point_itself() -> None:
    series = Series(START, (*COUNTS, 15.0), Step.DAY)

    def c2(i: int) -> float:
        window = np.array(series.counts[i - 9 : i - 2], float)
        return float((series.counts[i] - window.mean()) / window.std(ddof=1))

    found = ears.judge(series, ears.Options(method="C3", own=True), [11])[0]
    assert found.score == pytest.approx(sum(max(0.0, c2(i) - 1) for i in (9, 10, 11)))
    assert found.alarm and found.p_value is None
    of_r = ears.judge(series, ears.Options(method="C3"), [11])[0]
    assert of_r.score == pytest.approx(sum(max(0.0, c2(i) - 1) for i in (9, 10)))


@pytest.mark.parametrize("method", METHODS)
def test_what_stays_the_same_is_no_alarm(method: str) -> None:
    for value in (0.0, 0.1, 7.0):
        found = ears.judge(Series(START, (value,) * 30), ears.Options(method=method))
        assert not any(verdict.alarm for verdict in found)
        short = {"C1": 7, "C2": 9, "C3": 11}[method]
        assert [verdict.reason for verdict in found] == [Reason.TOO_SHORT] * short + [None] * (30 - short)


def test_one_case_after_none_is_an_alarm_unless_a_least_deviation_says_otherwise() -> None:
    series = Series(START, (0.0,) * 10 + (1.0,))
    assert ears.judge(series, ears.Options(), [10])[0].alarm
    assert not ears.judge(series, ears.Options(minSigma=0.5), [10])[0].alarm
    found = ears.judge(series, ears.Options(limit54=(3, 4)), [10])[0]
    assert (found.alarm, found.reason, found.threshold) == (False, Reason.TOO_FEW, None)


def test_gaps_and_exclusions() -> None:
    holes = Series(START, (3.0, None, 2.0, None, None, 1.0, 7.0, 9.0), Step.DAY)
    assert ears.judge(holes, None, [7])[0].reason is None
    assert (
        ears.judge(replace(holes, counts=(*holes.counts[:5], None, *holes.counts[6:])), None, [7])[0].reason
        is Reason.GAPS
    )
    assert ears.judge(holes, None, [1])[0].reason is Reason.MISSING
    period = (Period(START, date(2026, 1, 9)),)
    assert ears.judge(holes, ears.Options(exclude=period), [7])[0].reason is Reason.EXCLUDED


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.one_of(st.none(), st.integers(0, 500)), max_size=25), st.sampled_from(METHODS), st.integers(2, 9),
    st.booleans(),
)  # fmt: skip
def test_thresholds_scale_with_counts_and_exposure(
    counts: list[int | None], method: str, times: int, population: bool
) -> None:
    series = Series(START, tuple(None if count is None else float(count) for count in counts), Step.DAY)
    larger = replace(series, counts=tuple(None if count is None else count * times for count in series.counts))
    if population:
        larger = replace(larger, population=(float(times),) * len(counts))
    options = ears.Options(method=method, own=population)
    for one, other in zip(ears.judge(series, options), ears.judge(larger, options), strict=True):
        assert one.reason is other.reason
        if one.threshold is not None and other.threshold is not None:
            assert math.isclose(one.threshold * times, other.threshold, rel_tol=1e-9, abs_tol=1e-6)


def test_options_out_of_their_domain() -> None:
    for options in ({"method": "C4"}, {"baseline": 2}, {"minSigma": -1.0}, {"alpha": 0.0}):
        with pytest.raises(InvalidSettings):
            ears.Options(**options)
