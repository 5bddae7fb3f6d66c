"""Arrival delays: hours to days by computer, weeks on paper."""

from __future__ import annotations

import numpy as np
import pytest

from bench.epidemic import delays, outbreaks
from bench.epidemic.delays import Source


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("weekday", range(7))
def test_chances_are_chances(source: Source, weekday: int) -> None:
    told = delays.chances(source, weekday)
    assert len(told) == delays.LONGEST + 1
    assert told.min() >= 0
    assert told.sum() == pytest.approx(1)


def test_electronic_takes_days_and_paper_weeks() -> None:
    electronic, paper = (np.cumsum(delays.table(source).mean(axis=0)) for source in Source)
    assert electronic[0] > 0.4
    assert electronic[2] > 0.9
    assert 18 <= np.searchsorted(paper, 0.5) <= 28
    assert paper[5] < 0.02
    assert paper[56] > 0.95


def test_paper_is_opened_on_working_days() -> None:
    for weekday in range(7):
        told = delays.chances(Source.PAPER, weekday)
        weekend = (weekday + np.arange(delays.LONGEST)) % 7 >= 5
        assert told[: delays.LONGEST][weekend].sum() == 0


@pytest.mark.parametrize("source", list(Source))
def test_all_deaths_arrive_in_the_shares_of_the_table(source: Source) -> None:
    deaths = np.full(700, 50.0)
    weekdays = np.arange(700) % 7
    came = delays.arrivals(deaths, source, weekdays, np.random.default_rng(1))
    assert (came.sum(axis=1) == deaths).all()
    wanted = np.cumsum(delays.table(source).mean(axis=0))
    assert np.cumsum(came.sum(axis=0) / came.sum()) == pytest.approx(wanted, abs=0.02)


def test_bundles_of_many_places_even_out() -> None:
    deaths, weekdays = np.full(70, 1000.0), np.zeros(70, int)
    spread = [
        delays.arrivals(deaths, Source.PAPER, weekdays, np.random.default_rng(1), places)[:, 23].std()
        for places in (1, 96)
    ]
    assert spread[0] > 2 * spread[1]


@pytest.mark.parametrize("shape", outbreaks.SHAPES.values(), ids=str)
def test_an_outbreak_has_its_size_its_course_and_its_seed(shape: outbreaks.Shape) -> None:
    assert shape.course().sum() == pytest.approx(1)
    assert abs(int(shape.course().argmax()) - shape.peak) <= 1
    drawn = outbreaks.placed(80, shape, np.random.default_rng(2))
    assert drawn.sum() == 80
    assert len(drawn) == shape.days
    assert (drawn == outbreaks.placed(80, shape, np.random.default_rng(2))).all()
