"""Equal false alarms, days to the alert, and the whole study from its seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.epidemic import judging, outbreaks, series, study
from bench.epidemic.judging import Trial
from bench.epidemic.scores import METHODS, NOWCAST


def test_an_alert_begins_after_two_weeks_without_an_alarm() -> None:
    row = np.zeros((1, 100))
    row[0, [10, 12, 24, 50]] = 2.0  # 24 comes 12 days after 12
    opened = np.ones((1, 100), bool)
    assert judging.alerts(row, opened, 1.0) == 2
    opened[0, 50] = False
    assert judging.alerts(row, opened, 1.0) == 1
    assert judging.alerts(row, opened, 3.0) == 0


@pytest.mark.parametrize("rate", [1.0, 2.0, 4.0])
def test_knobs_hold_the_rate_on_their_series_and_nearly_on_others(rate: float) -> None:
    rng = np.random.default_rng(1)
    tuning, other = (rng.normal(size=(200, 365)) for _ in range(2))
    opened = np.ones((200, 365), bool)
    knob = judging.knob(tuning, opened, rate)
    assert judging.alerts(tuning, opened, knob) <= rate * judging.years(opened)
    measured = judging.false_alerts(other, opened, knob)
    assert measured.value == pytest.approx(rate, rel=0.35)
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low < rate < measured.high


def test_what_is_found_counts_from_the_first_death_and_leaves_open_alerts_out() -> None:
    quiet = np.zeros(20)
    early, late, never = quiet.copy(), quiet.copy(), quiet.copy()
    early[3:] = 5.0
    late[15:] = 5.0
    trials = [
        Trial(-math.inf, early, quiet),
        Trial(0.0, late, quiet),
        Trial(0.0, never, quiet),
        Trial(9.0, early, early),
    ]
    told = judging.found(trials, 1.0)
    assert (told["outbreaks"], told["alert_open_before"], told["found"]) == (3, 1, 2)
    assert told["sensitivity"]["value"] == pytest.approx(2 / 3)
    assert told["median_days"]["value"] == 15
    assert told["median_days"]["high"] is None
    assert told["found_within"] == {"7": pytest.approx(1 / 3), "14": pytest.approx(1 / 3), "28": pytest.approx(2 / 3)}
    assert told["alert_without_outbreak"] == 0.0


def test_an_outbreak_begins_where_no_wave_is_near() -> None:
    calm = np.ones(series.HISTORY + 365, bool)
    calm[series.HISTORY + 60 : series.HISTORY + 160] = False
    for seed in range(20):
        begin = study.beginning(calm, outbreaks.SUDDEN, np.random.default_rng(seed))
        assert begin is not None
        assert calm[begin - 42 : begin + outbreaks.SUDDEN.days + study.AFTER_DAYS].all()
    assert study.beginning(~calm, outbreaks.SLOW, np.random.default_rng(1)) is None


def test_a_chunk_follows_from_its_seeds_and_outbreaks_raise_statistics() -> None:
    target = series.TARGETS["lung-33"]
    one, same = (study.chunk(target, (2_000_000,), True) for _ in range(2))
    other = study.chunk(target, (2_000_001,), False)
    for method in METHODS:
        assert np.array_equal(one.statistics["is"][method], same.statistics["is"][method])
        assert one.statistics["is"][method].shape == (1, len(study.LOOKS))
    assert not np.array_equal(one.statistics["is"][NOWCAST], other.statistics["is"][NOWCAST])
    trials = one.trials["electronic"][NOWCAST]["sudden"]
    assert list(trials) == list(target.sizes)
    for some in trials.values():
        assert len(some) == 1
    large = trials[target.sizes[-1]][0]
    assert large.after.max() > large.quiet.max() + 3
