from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import InvalidData, InvalidSettings
from stream.surveillance.detection import nowcast
from stream.surveillance.detection.delay import corrected, registered
from stream.surveillance.detection.nowcast import lawless
from stream.surveillance.detection.series import Series, Step
from stream.surveillance.detection.triangle import Triangle

START = date(2026, 1, 5)


def triangle(whole: np.ndarray, step: Step = Step.DAY) -> Triangle:
    """What is known of complete rows when the last begins its delays."""
    n = len(whole)
    rows = tuple(tuple(int(count) if i + d < n else None for d, count in enumerate(row)) for i, row in enumerate(whole))
    return Triangle(START, rows, step)


def arrivals(mean: float, n: int = 80, longest: int = 20, seed: int = 1, weekends: float = 1.0) -> np.ndarray:
    """Counts by delay, geometric delays; fewer arrive at weekends."""
    rng = np.random.default_rng(seed)
    delay = np.arange(longest + 1)
    rows = []
    for i in range(n):
        share = np.exp(-delay / 6) * np.where((i + delay) % 7 >= 5, weekends, 1.0)
        rows.append(rng.multinomial(rng.poisson(mean), share / share.sum()))
    return np.array(rows)


def test_by_hand() -> None:
    """Days A, B, C; delays 0, 1, 2. g(2) = 2/10, of A; g(1) = (4 + 5) / (8 + 10), of A and B; F(1) = .8, F(0) = .4."""
    found = lawless(Triangle(START, ((4, 4, 2), (5, 5, None), (6, None, None))))
    assert [one.share for one in found] == pytest.approx([1, 0.8, 0.4])
    assert [one.estimate for one in found] == pytest.approx([10, 12.5, 15])
    assert (found[0].low, found[0].high, found[0].doubt) == (10, 10, 0)
    assert found[2].low is not None and found[2].high is not None
    assert 6 <= found[2].low < 15 < found[2].high


def test_delays_that_were_never_seen_to_their_end_tell_nothing() -> None:
    found = lawless(Triangle(START, ((3, 2, None), (3, None, None))))
    assert [(one.share, one.estimate, one.high) for one in found] == [(0.0, None, None)] * 2
    series = nowcast.completed(Series(START, (5.0, 3.0), Step.DAY), found)
    assert np.isnan(series.exposure()).all()
    assert lawless(Triangle(START, ())) == ()
    assert [one.estimate for one in lawless(Triangle(START, ((3,), (0,))))] == [3, 0]


def test_a_moving_window_forgets() -> None:
    early, late = arrivals(200, 60, 10), arrivals(200, 60, 10, seed=2)
    # All at once in the first weeks, slowly in the last.
    early[:, 0], early[:, 1:] = early.sum(axis=1), 0
    both = triangle(np.vstack([early, late]))
    truth = late.sum(axis=1)[-3]
    windowed, whole = (lawless(both, nowcast.Options(m=m))[-3].estimate or 0 for m in (40, None))
    assert abs(windowed - truth) < abs(whole - truth)
    assert windowed == pytest.approx(truth, rel=0.25)


@pytest.mark.parametrize("mean", [5, 150])
def test_intervals_hold_what_comes(mean: float) -> None:
    held = told = 0
    for seed in range(25):
        whole = arrivals(mean, seed=seed)
        for back, one in enumerate(reversed(lawless(triangle(whole))[-7:])):
            assert one.low is not None and one.high is not None
            told, held = told + 1, held + bool(one.low <= whole[-1 - back].sum() <= one.high)
    assert held / told > 0.9


def test_weekdays_that_differ_are_told_apart() -> None:
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(12):
        whole = arrivals(150, 85, seed=seed, weekends=0.1)
        for weekday, found in errors.items():
            one = lawless(triangle(whole), nowcast.Options(weekday=weekday))[-2]
            found.append(abs((one.estimate or math.nan) - whole[-2].sum()))
    assert sum(errors[True]) < 0.7 * sum(errors[False])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 6).flatmap(
        lambda longest: st.lists(st.lists(st.integers(0, 9), min_size=longest + 1, max_size=longest + 1), max_size=12)
    )
)
def test_any_triangle_has_a_nowcast(rows: list[list[int]]) -> None:
    found = lawless(triangle(np.array(rows, int)) if rows else Triangle(START, ()), nowcast.Options(draws=100))
    assert len(found) == len(rows)
    for one in found:
        assert 0 <= one.share <= 1 and one.doubt >= 0
        if one.estimate is not None and one.low is not None and one.high is not None:
            assert one.reported <= one.low <= one.high
            assert one.estimate >= one.reported


def test_a_line_list_becomes_a_triangle() -> None:
    def day(k: int) -> date:
        return START + timedelta(days=k)

    events = [
        (day(0), day(0)),
        (day(0), day(2)),
        (day(1), day(9)),
        (day(1), day(0)),
        (day(2), day(3)),
        (day(3), day(3)),
    ]
    assert Triangle.of(events, day(2), 2).cells == ((1, 0, 1), (1, 0, None), (0, None, None))
    # What takes longer than is looked at counts as so long, once it is here.
    assert Triangle.of(events, day(9), 2).cells[1] == (1, 0, 1)
    weeks = Triangle.of(events, day(13), 1, step=Step.WEEK)
    assert (weeks.start, weeks.cells) == (START, ((5, 1), (0, None)))
    assert Triangle.of(events, day(12), 1, step=Step.WEEK).cells == ((5, None),)
    assert Triangle.of([], START, 3).cells == ((0, None, None, None),)


@pytest.mark.parametrize("rows", [((1, 2), (1,)), ((), ()), ((1, None),), ((1, 2), (-1, None))])
def test_a_triangle_that_is_none(rows: tuple[tuple[int | None, ...], ...]) -> None:
    if rows == ((1, None),):
        assert Triangle(START, rows).longest == 1
        return
    with pytest.raises(InvalidData):
        Triangle(START, rows)


def test_options_out_of_their_domain() -> None:
    for options in ({"m": 0}, {"alpha": 1.0}, {"draws": 3}, {"shrink": -1.0}):
        with pytest.raises(InvalidSettings):
            nowcast.Options(**options)


def test_the_share_registered_knows_of_holidays() -> None:
    """A closed day takes a fifth of the first week's registrations away; every eighth week has two."""
    rng = np.random.default_rng(8)
    closed, rows = [], []
    for i in range(97):
        holidays = 2 if i % 8 == 0 else 0
        closed += [START + timedelta(days=7 * i + k) for k in range(holidays)]
        first = rng.binomial(1000, 0.5 * (1 - 0.2 * holidays))
        rows.append([first, 900 - first, 100])
    known = triangle(np.array(rows), Step.WEEK)
    told, plain = registered(known, closed), registered(known)
    assert told.completeness is not None and plain.completeness is not None and told.doubt is not None
    assert told.completeness[-1] == pytest.approx(0.3, abs=0.02)
    assert plain.completeness[-1] == pytest.approx(0.475, abs=0.02)
    assert told.completeness[:-2] == (1.0,) * 95
    assert 0 < told.doubt[-1] < 0.1
    repaired = corrected(told)
    assert repaired.counts[-1] == pytest.approx(1000, rel=0.1)
    assert repaired.counts[:-2] == told.counts[:-2]
    assert corrected(repaired) is repaired


def test_the_share_registered_is_not_known_without_a_past() -> None:
    few = registered(triangle(arrivals(50, 12, 5), Step.WEEK))
    assert few.completeness == (1.0,) * 7 + (0.0,) * 5
    assert corrected(few).counts[7:] == (None,) * 5
    never = np.zeros((40, 4), int)
    never[:, 3] = 10
    assert registered(triangle(never, Step.WEEK)).completeness == (1.0,) * 37 + (0.0,) * 3
    always = np.zeros((40, 4), int)
    always[:, 0] = 10
    assert registered(triangle(always, Step.WEEK)).completeness == (1.0,) * 40
