from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from stream.errors import InvalidData
from stream.surveillance.detection import table
from stream.surveillance.detection.series import Period, Series, Step

MONDAY = date(2026, 1, 5)


def test_a_gap_is_not_a_zero() -> None:
    found = Series.of({MONDAY: 3, MONDAY + timedelta(weeks=2): 0})
    assert list(found.counts) == [3, None, 0]
    assert found.day(2) == date(2026, 1, 19)
    assert [found.index(date(2026, 1, day)) for day in (4, 5, 11, 12, 25, 26)] == [-1, 0, 0, 1, 2, 3]
    assert Series.of({}).counts == ()


def test_days_between_weeks_are_refused() -> None:
    with pytest.raises(InvalidData):
        Series.of({MONDAY: 1, MONDAY + timedelta(days=3): 1})


@pytest.mark.parametrize(
    "fields",
    [
        {"counts": (-1.0,)},
        {"counts": (math.nan,)},
        {"counts": (1.0,), "population": (0.0,)},
        {"counts": (1.0,), "population": (1.0, 1.0)},
        {"counts": (1.0,), "completeness": (-0.1,)},
        {"counts": (1.0,), "doubt": (math.inf,)},
    ],
)
def test_what_is_out_of_its_domain_is_refused(fields: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(InvalidData):
        Series(MONDAY, **fields)  # type: ignore[arg-type]


def test_periods_hold_both_their_ends() -> None:
    found = Series(MONDAY, (0.0,) * 6)
    period = Period(date(2026, 1, 12), date(2026, 1, 26))
    assert found.within([period]).tolist() == [False, True, True, True, False, False]
    assert [found.day(i) in period for i in range(6)] == found.within([period]).tolist()
    assert not found.within([Period.years(2020, 2022)]).any()
    assert found.within([Period(date(2020, 1, 1), date(2030, 1, 1))]).all()
    with pytest.raises(InvalidData):
        Period(date(2026, 1, 2), date(2026, 1, 1))


def test_weeks_of_days() -> None:
    wednesday = date(2026, 1, 7)
    counts = tuple(float(k) for k in range(25))
    days = Series(wednesday, counts, Step.DAY, population=(100.0,) * 25)
    weeks = days.weeks()
    assert (weeks.start, weeks.step) == (date(2026, 1, 12), Step.WEEK)
    assert list(weeks.counts) == [sum(range(5, 12)), sum(range(12, 19))]
    assert weeks.population == (100.0, 100.0)
    assert list(days.weeks(weekday=2).counts) == [sum(range(7)), sum(range(7, 14)), sum(range(14, 21))]
    assert Series(wednesday, (*counts[:9], None, *counts[10:]), Step.DAY).weeks().counts[0] is None
    assert weeks.weeks() is weeks


def test_a_week_is_as_complete_as_its_days_together() -> None:
    shares = (1.0,) * 6 + (0.1,)
    week = Series(MONDAY, (10.0,) * 6 + (1.0,), Step.DAY, completeness=shares, doubt=(0.0,) * 6 + (0.5,)).weeks()
    assert week.completeness is not None and week.doubt is not None
    assert week.completeness[0] == pytest.approx(61 / 70, abs=0.06)
    assert 0 < week.doubt[0] < 0.5
    unknown = Series(MONDAY, (1.0,) * 7, Step.DAY, completeness=(1.0,) * 6 + (0.0,), doubt=(0.1,) * 7).weeks()
    assert unknown.completeness == (0.0,)
    assert math.isnan(unknown.exposure()[0])


def test_until_cuts_everything() -> None:
    found = Series(MONDAY, (1.0, 2.0, 3.0), population=(5.0, 6.0, 7.0), completeness=(1.0, 0.5, 0.2)).until(1)
    assert (found.counts, found.population, found.completeness) == ((1.0, 2.0), (5.0, 6.0), (1.0, 0.5))
    assert np.allclose(found.exposure(), [5, 3])


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("monday,observed,completeness,other\n2026-01-19,4,0.5,x\n2026-01-05,3,,\n")
    assert table.read(path) == Series(MONDAY, (3.0, None, 4.0), completeness=(1.0, 1.0, 0.5))
    path.write_text("day,count\n2026-01-05,3\n2026-01-06,\n2026-01-07,0\n")
    assert table.read(path) == Series(MONDAY, (3.0, None, 0.0), Step.DAY)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("week,count\n2026-01-05,3\n", ":1:"),
        ("day,count\n", ":1:"),
        ("day,count\n2026-01-05,3\n05/01/2026,3\n", ":3:"),
        ("day,count\n2026-01-05,3\n2026-01-05,4\n", ":3:"),
        ("day,count\n2026-01-05,many\n", ":2:"),
        ("day,count\n2026-01-05,-3\n", ":2:"),
        ("day,count,population\n2026-01-05,3,10\n2026-01-19,3,10\n", "every"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text(text)
    with pytest.raises(InvalidData, match=where):
        table.read(path)
