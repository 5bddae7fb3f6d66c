"""What the simulator computes for hundreds of series at once is what the product computes for one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.epidemic import fits, nowcasts, scores, series, study, world
from bench.epidemic.delays import ELECTRONIC, IS, Scenario
from stream.surveillance.detection import chance, ears, farrington, flexible, limits
from stream.surveillance.detection.nowcast import completed, lawless
from stream.surveillance.detection.series import Floats, Series, Step
from stream.surveillance.detection.triangle import Triangle

ROWS = series.HISTORY


def _drawn(name: str, scenario: Scenario, seed: int) -> tuple[series.Rates, series.Drawn]:
    target = series.TARGETS[name]
    rates = series.rates(target, world.world(seed, () if target.place == "FR" else (target.place,)), scenario)
    return rates, series.draw(target, rates, (seed,))


@pytest.mark.parametrize("name", ["all-fr", "lung-33", "gut-fr"])
def test_baselines_are_those_of_the_product(name: str) -> None:
    daily = np.array([_drawn(name, IS, seed)[1].deaths for seed in (1, 2)])
    ends = range(world.DAYS - 100, world.DAYS, 45)
    for plan in (fits.NOUFAILY, fits.FARRINGTON):
        told = fits.baselines(daily, ends, plan)
        for row, counts in enumerate(daily):
            for column, end in enumerate(ends):
                first, n = (end + 1) % 7, (end + 1) // 7
                weeks = counts[first : first + 7 * n].reshape(n, 7).sum(axis=1)
                one = Series(world.day(first), tuple(weeks.tolist()))
                judged = farrington.judge(one, None, [n - 1])
                if plan is fits.NOUFAILY:
                    judged = flexible.judge(one, flexible.NOUFAILY, [n - 1])
                verdict = judged[0]
                assert told.mean[row, column] == pytest.approx(verdict.expected, rel=1e-5)
                assert told.dispersion[row, column] == pytest.approx(verdict.dispersion, rel=1e-3)


def test_windows_without_a_case_are_judged_as_the_product_does() -> None:
    daily = np.zeros((1, world.DAYS))
    end = world.DAYS - 1
    told = fits.baselines(daily, range(end, end + 1), fits.FARRINGTON)
    wanted = limits.quiet(2, 35, 1.0, 0.01)
    here = chance.at_least(2, float(told.mean[0, 0]), float(told.dispersion[0, 0]))
    assert here == pytest.approx(wanted.p_value)


def _triangle(arrivals: Floats, now: int, longest: int) -> Triangle:
    first = now - nowcasts.USED_DAYS + 1
    cells = arrivals[:, : longest + 1].astype(int)
    cells[:, longest] += arrivals[:, longest + 1 :].sum(axis=1).astype(int)
    rows = tuple(
        tuple(int(cells[i, d]) if i + d <= now else None for d in range(longest + 1)) for i in range(first, now + 1)
    )
    return Triangle(world.day(series.BEGIN + first), rows, Step.DAY)


@pytest.mark.parametrize("scenario", [IS, ELECTRONIC], ids=lambda one: one.name)
def test_nowcasts_are_those_of_the_product(scenario: Scenario) -> None:
    arrivals = _drawn("lung-33", scenario, 3)[1].arrivals
    looks = range(ROWS + 100, ROWS + 102)
    told = nowcasts.shares(arrivals, looks, scenario.longest)
    for row, now in enumerate(looks):
        triangle = _triangle(arrivals, now, scenario.longest)
        found = lawless(triangle, replace(nowcasts.OPTIONS, draws=4000))
        shares = [one.share for one in found[::-1]][: scenario.longest]
        assert told.share[row] == pytest.approx(shares, abs=1e-9)
        doubts = np.array([one.doubt for one in found[::-1]][: scenario.longest])
        seen = doubts > 1e-2  # a smaller doubt hangs on few late arrivals, and its draws are skewed
        assert told.doubt[row][seen] == pytest.approx(doubts[seen], rel=0.2)
        known = scores.known_by_age(arrivals, range(now, now + 1), scores.OLDEST)
        week = nowcasts.weeks(known, nowcasts.Shares(told.share[row : row + 1], told.doubt[row : row + 1]), (0, 7, 14))
        day = world.day(series.BEGIN + now + 1)
        weeks = completed(triangle.reported(), found).weeks(day.weekday())
        assert weeks.completeness is not None
        assert week.share[0] == pytest.approx(weeks.completeness[:-4:-1], abs=1e-9)


def test_statistics_are_those_of_the_product() -> None:
    _, one = _drawn("lung-fr", IS, 4)
    calm = np.ones(world.DAYS - series.BEGIN, bool)
    look = ROWS + 150
    fitted = study.baselines(one.deaths[None, :])
    told = scores.scored(one.arrivals, range(look, look + 1), ROWS, IS.longest, fitted.of(0), calm)
    triangle = _triangle(one.arrivals, look, IS.longest)
    evening = series.BEGIN + look
    known = one.deaths[: evening + 1].copy()
    newest = scores.known_by_age(one.arrivals, range(look, look + 1), scores.OLDEST)[0][::-1]
    known[-len(newest) :] = newest
    days = Series(world.FIRST, tuple(known.tolist()), Step.DAY)
    weekday = world.day(evening + 1).weekday()
    for name, of in (
        (scores.NOWCAST, completed(days, lawless(triangle, replace(nowcasts.OPTIONS, draws=4000)))),
        ("flexible Farrington", days),
    ):
        weeks = of.weeks(weekday)
        verdicts = flexible.judge(weeks, flexible.NOUFAILY, range(len(weeks) - len(scores.AGES), len(weeks)))
        smallest = min(v.p_value for v in verdicts if v.judged and v.p_value is not None)
        assert told[name][0] == pytest.approx(-math.log10(smallest), rel=0.02)
    weeks = days.weeks(weekday)
    classic = farrington.judge(weeks, None, range(len(weeks) - len(scores.AGES), len(weeks)))
    assert told["Farrington 1996"][0] == pytest.approx(max(v.z for v in classic if v.z is not None), rel=1e-3)
    for method in ("C1", "C2", "C3"):
        options = ears.Options(method=method, minSigma=0.5, own=method == "C3")
        judged = ears.judge(days, options, range(len(days) - scores.AGES[-1] - 7, len(days)))
        assert told[f"EARS {method}"][0] == pytest.approx(max(v.score for v in judged if v.score is not None))
