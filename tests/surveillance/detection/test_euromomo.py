from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from stream.errors import InvalidSettings
from stream.surveillance.detection import cusum, euromomo
from stream.surveillance.detection.series import Period, Series, Step
from stream.surveillance.detection.verdict import Reason

START = date(2018, 1, 1)
WEEKS = 400


def deaths(seed: int = 1, **beside: tuple[float, ...]) -> Series:
    """A thousand deaths a week with a season, winters worse than a sine."""
    rng = np.random.default_rng(seed)
    i = np.arange(WEEKS)
    mean = 1000 * np.exp(0.0002 * i + 0.08 * np.cos(2 * np.pi * i / 52.18))
    mean[(i % 52) < 6] *= 1.15
    return Series(START, tuple(rng.poisson(mean).astype(float).tolist()), **beside)  # type: ignore[arg-type]


def test_the_baseline_is_the_one_that_counts_without_noise_have() -> None:
    i = np.arange(WEEKS)
    week = i - WEEKS + 1
    mean = 500 * np.exp(0.0004 * week + 0.1 * np.sin(2 * np.pi * week / euromomo.YEAR))
    found = euromomo.judge(Series(START, tuple(mean.tolist())))
    assert [verdict.expected for verdict in found] == pytest.approx(mean.tolist(), rel=1e-7)
    assert found[-1].trend == pytest.approx(0.0004)
    assert max(abs(verdict.z or 0) for verdict in found) < 1e-6


def test_winters_stand_out_because_they_are_not_in_the_baseline() -> None:
    series = deaths()
    found = euromomo.judge(series, points=range(313, 380))
    winter = [verdict for verdict in found if verdict.day.isocalendar().week <= 5]
    spring = [verdict for verdict in found if 16 <= verdict.day.isocalendar().week <= 25]
    assert len(winter) == 10 and sum(verdict.alarm for verdict in winter) >= 8
    assert sum(verdict.alarm for verdict in spring) <= 2


def test_threshold_and_score_agree() -> None:
    series = deaths()
    for verdict in euromomo.judge(series, euromomo.Options(Z=4.0), range(300, 400)):
        assert verdict.threshold is not None and verdict.observed is not None and verdict.z is not None
        assert verdict.alarm == (verdict.observed > verdict.threshold) == (verdict.z > 4)


def test_periods_left_out_of_the_baseline() -> None:
    series = deaths()
    wave = replace(series, counts=tuple((c or 0) * (1.4 if 110 <= i < 260 else 1) for i, c in enumerate(series.counts)))
    period = (Period(series.day(105), series.day(265)),)
    told, plain = (euromomo.judge(wave, euromomo.Options(exclude=p), [WEEKS - 1])[0].expected for p in (period, ()))
    right = euromomo.judge(series, points=[WEEKS - 1])[0].expected
    assert told == pytest.approx(right, rel=0.02)
    assert plain != pytest.approx(right, rel=0.05)
    everything = (Period.years(2010, 2030),)
    assert euromomo.judge(series, euromomo.Options(exclude=everything), [9])[0].reason is Reason.EXCLUDED


def test_reasons() -> None:
    series = deaths()
    assert euromomo.judge(series.until(60))[-1].reason is Reason.TOO_SHORT
    assert euromomo.judge(Series(START, ())) == ()
    holes = replace(series, counts=(*[None] * 370, *series.counts[370:]))
    found = euromomo.judge(holes)
    assert (found[0].reason, found[-1].reason) == (Reason.MISSING, Reason.GAPS)
    assert euromomo.judge(Series(START, (0.0,) * WEEKS))[-1].reason is Reason.NOT_FITTED
    with pytest.raises(InvalidSettings):
        euromomo.judge(Series(START, (1.0,), Step.DAY))
    with pytest.raises(InvalidSettings):
        euromomo.Options(autumn=(45, 40))


def test_half_of_the_newest_week_is_compared_with_half() -> None:
    whole = deaths()
    n = WEEKS - 1
    half = replace(
        whole, counts=(*whole.counts[:n], (whole.counts[n] or 0) / 2), completeness=(1.0,) * n + (0.5,),
        doubt=(0.0,) * n + (0.05,),
    )  # fmt: skip
    one, other = (euromomo.judge(series, points=[n])[0] for series in (whole, half))
    assert one.expected is not None and one.z is not None and other.z is not None
    assert other.expected == pytest.approx(one.expected / 2)
    assert abs(other.z) < abs(one.z)


def test_cusum_by_hand() -> None:
    scores = [0.5, None, 1.5, -3.0, 0.3, 2.0]
    assert cusum.cusum(scores) == pytest.approx((0.25, 0.25, 1.5, 0.0, 0.05, 1.8))
    assert cusum.cusum(scores, cusum.Options(reset=True)) == pytest.approx((0.25, 0.25, 1.5, 0.0, 0.05, 1.8))
    assert cusum.cusum([2.0, 2.0, 0.5], cusum.Options(reset=True)) == pytest.approx((1.75, 1.75, 0.25))


def test_euromomo_s_h() -> None:
    """ARL0 20, h 1.449226 in the files of its package; k is 0.25 there."""
    assert cusum.Options().limit == pytest.approx(1.449226, abs=1e-6)
    assert cusum.run_length(1.449226, 0.25) == pytest.approx(11.1, abs=0.1)
    assert cusum.run_length(cusum.threshold(20, k=0.25), 0.25) == pytest.approx(20, rel=0.06)
    with pytest.raises(InvalidSettings):
        cusum.Options(ARL0=1)


@pytest.mark.parametrize(("h", "k"), [(1.449226, 0.25), (cusum.threshold(20, k=0.25), 0.25), (4.0, 0.5)])
def test_run_lengths_come_true(h: float, k: float) -> None:
    """Independent standard normal scores, 600 runs; Siegmund's approximation is good to a few per cent."""
    rng = np.random.default_rng(6)
    steps, total, runs = rng.standard_normal(200_000), 0.0, 0
    for z in steps:
        total = max(0.0, total + z - k)
        if total >= h:
            runs, total = runs + 1, 0.0
    assert len(steps) / runs == pytest.approx(cusum.run_length(h, k), rel=0.12)


def test_small_excesses_add_up() -> None:
    series = deaths(2)
    more = replace(series, counts=tuple((c or 0) * (1.03 if i >= 385 else 1) for i, c in enumerate(series.counts)))
    scores = euromomo.judge(more, points=range(370, 400))
    found = cusum.judge(scores, cusum.Options(h=4.0))
    assert found[-1].alarm
    assert found[-1].method == "CUSUM of EuroMOMO"
    assert (found[-1].threshold, found[-1].p_value) == (4.0, None)
    gap = cusum.judge([replace(scores[0], z=None, reason=Reason.MISSING)])[0]
    assert (gap.alarm, gap.reason) == (False, Reason.MISSING)
    assert not math.isnan(found[0].score or 0)
