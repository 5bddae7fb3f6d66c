"""What the two Farrington algorithms do beside R: gaps, exclusions, completeness, and why a week is not judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from stream.errors import InvalidSettings
from stream.surveillance.detection import farrington, flexible
from stream.surveillance.detection.reference import Reference, reference
from stream.surveillance.detection.series import Period, Series, Step
from stream.surveillance.detection.verdict import Reason, Verdict

from . import made

LAST = made.WEEKS - 1
NOUFAILY = flexible.NOUFAILY


def last(series: Series, **options: object) -> Verdict:
    return flexible.judge(series, replace(NOUFAILY, **options), [len(series) - 1])[0]  # type: ignore[arg-type]


def changed(series: Series, counts: dict[int, float | None]) -> Series:
    return replace(series, counts=tuple(counts.get(i, count) for i, count in enumerate(series.counts)))


def test_windows_and_blocks_cover_all_weeks_once() -> None:
    series = made.series()
    found = reference(series, LAST, b=5, w=3, blocks=10, past=26)
    assert isinstance(found, Reference)
    assert found.weeks[-1] == LAST - 27
    assert (np.diff(found.weeks) == 1).all()
    # Windows of seven weeks, nine blocks of five, the first of them longer in a year of 53 weeks.
    lengths = np.diff(np.flatnonzero(np.diff(found.season, prepend=-1)))
    assert set(lengths.tolist()) <= {5, 6, 7}
    assert found.season.max() == 9
    alone = reference(series, LAST, b=5, w=3, blocks=1, past=3)
    assert isinstance(alone, Reference)
    assert len(alone.weeks) == 35 and not alone.season.any()


def test_a_year_left_out_is_made_up_for_by_an_older_one() -> None:
    series = made.series(outbreaks=False)
    years = [Period.years(2020, 2022)]
    assert isinstance(reference(series, LAST, b=3, w=3, blocks=1, past=3, exclude=years), Reference)
    found = reference(series, LAST, b=4, w=3, blocks=10, past=26, exclude=years)
    assert isinstance(found, Reference)
    assert not any(2020 <= series.day(int(i)).year <= 2022 for i in found.weeks)
    assert {series.day(int(i)).year for i in found.weeks} >= {2017, 2018, 2019, 2023}
    assert reference(series, LAST, b=5, w=3, blocks=1, past=3, exclude=years) is Reason.EXCLUDED
    assert reference(series, LAST, b=9, w=3, blocks=1, past=3, exclude=years) is Reason.TOO_SHORT


def test_a_pandemic_left_out_leaves_the_threshold_as_it_was() -> None:
    calm = made.series(outbreaks=False)
    waves = changed(calm, dict.fromkeys(range(250, 290), 400.0))
    period = Period(calm.day(245), calm.day(295))
    assert last(waves, b=4, exclude=(period,)) == last(calm, b=4, exclude=(period,))
    raised, plain = last(waves, b=4).threshold, last(calm, b=4).threshold
    assert raised is not None and plain is not None and raised > plain


def test_a_past_outbreak_is_weighed_down() -> None:
    calm, with_one = made.series(outbreaks=False), made.series()
    found = {reweight: last(with_one, reweight=reweight).threshold or 0 for reweight in (True, False)}
    plain = last(calm).threshold or 0
    assert abs(found[True] - plain) < abs(found[False] - plain)


@pytest.mark.parametrize("judge", [farrington.judge, flexible.judge])
def test_reasons(judge: object) -> None:
    assert callable(judge)

    def reason(series: Series, i: int = LAST) -> Reason | None:
        found: Verdict = judge(series, None, [i])[0]
        assert not found.alarm or found.reason is None
        return found.reason

    series = made.series()
    assert reason(series) is None
    assert reason(series, 200) is Reason.TOO_SHORT
    assert reason(changed(series, {LAST: None})) is Reason.MISSING
    assert reason(changed(series, dict.fromkeys(range(LAST - 3, LAST + 1), 1.0))) is Reason.TOO_FEW
    assert reason(changed(series, dict.fromkeys(range(100, 350)))) is Reason.GAPS
    late = replace(series, completeness=(1.0,) * LAST + (0.05,))
    assert reason(late) is Reason.INCOMPLETE
    assert reason(replace(series, completeness=(1.0,) * LAST + (0.0,))) is Reason.INCOMPLETE


def test_too_few_keep_their_figures_and_raise_no_alarm() -> None:
    found = last(changed(made.series(2, 1.3), {LAST - 3: 0.0, LAST - 2: 0.0, LAST - 1: 0.0, LAST: 4.0}))
    assert (found.reason, found.alarm, found.threshold) == (Reason.TOO_FEW, False, None)
    assert found.expected is not None and found.p_value is not None


def test_a_quiet_past_is_judged_by_its_length() -> None:
    quiet = Series(made.START, (0.0,) * LAST + (6.0,))
    found = last(quiet)
    assert found.alarm and found.threshold is not None and found.threshold <= 1
    assert found.p_value is not None and found.p_value < 1e-4
    # The windows are quiet, the blocks between them are not.
    seasonal = changed(made.series(outbreaks=False), {LAST: 6.0})
    windows = reference(seasonal, LAST, b=5, w=3, blocks=10, past=26)
    assert isinstance(windows, Reference)
    silent = changed(seasonal, dict.fromkeys(windows.weeks[windows.season == 0].tolist(), 0.0))
    assert last(silent).alarm


def test_a_third_of_the_deaths_is_compared_with_a_third() -> None:
    series = made.series(outbreaks=False)
    whole = last(changed(series, {LAST: 90.0}))
    third = last(replace(changed(series, {LAST: 30.0}), completeness=(1.0,) * LAST + (1 / 3,)))
    assert whole.expected is not None and third.expected is not None
    assert third.expected == pytest.approx(whole.expected / 3)
    assert whole.alarm and third.alarm
    # What nobody corrects stays unseen.
    assert not last(changed(series, {LAST: 30.0})).alarm
    # A share that is itself uncertain says less.
    doubted = replace(
        changed(series, {LAST: 30.0}), completeness=(1.0,) * LAST + (1 / 3,), doubt=(0.0,) * LAST + (0.4,)
    )
    assert (last(doubted).threshold or 0) > (third.threshold or 0)


def test_coverage_that_rises_is_no_epidemic() -> None:
    """Electronic certificates: from a tenth of the deaths to half of them within half a year."""
    series = made.series(100, 1.2, outbreaks=False)
    shares = tuple(0.1 if i < LAST - 26 else 0.1 + 0.4 * (i - LAST + 26) / 26 for i in range(made.WEEKS))
    seen = replace(
        series, counts=tuple(float(round((count or 0) * share)) for count, share in zip(series.counts, shares, strict=True))
    )  # fmt: skip
    weeks = range(LAST - 12, LAST + 1)
    naive = flexible.judge(seen, NOUFAILY, weeks)
    told = flexible.judge(replace(seen, completeness=shares), NOUFAILY, weeks)
    assert sum(verdict.alarm for verdict in naive) == 13
    assert sum(verdict.alarm for verdict in told) <= 2


def test_completeness_keeps_false_alarms_rare_and_excesses_seen() -> None:
    """Half of the newest week is here: 80 series of 30 deaths a week, and the same with twice as many."""
    rng = np.random.default_rng(4)
    calm = excess = 0
    for _ in range(80):
        past = rng.negative_binomial(60, 60 / (60 + 30), 313).astype(float)
        for times in (1, 2):
            newest = float(rng.binomial(int(rng.negative_binomial(60 * times, 60 / (60 + 30))), 0.5))
            series = Series(made.START, (*past[:-1].tolist(), newest), completeness=(1.0,) * 312 + (0.5,))
            found = last(series, alpha=0.01).alarm
            calm, excess = calm + (found and times == 1), excess + (found and times == 2)
    assert calm <= 4  # 0.8 expected; more than four has a chance of 0.1 %
    assert excess >= 52


def test_days_and_wrong_options_are_refused() -> None:
    with pytest.raises(InvalidSettings):
        flexible.judge(Series(made.START, (1.0,), Step.DAY))
    for options in (
        {"b": 0},
        {"alpha": 1.5},
        {"thresholdMethod": "nbplugin"},
        {"powertrans": "3/2"},
        {"noPeriods": 99},
    ):
        with pytest.raises(InvalidSettings):
            flexible.Options(**options)
    with pytest.raises(InvalidSettings):
        farrington.Options(limit54=(-1, 4))


def test_fewer_years_will_do_where_one_says_so() -> None:
    short = made.series(outbreaks=False).until(200)
    assert last(short).reason is Reason.TOO_SHORT
    assert last(short, leastYears=3).reason is None
    assert last(made.series()) == last(made.series(), leastYears=1)


def test_the_29th_of_february_has_its_past() -> None:
    series = Series(date(2012, 2, 6), made.series().counts)
    i = series.index(date(2016, 2, 29))
    assert flexible.judge(series, flexible.Options(b=4), [i])[0].reason is None
