"""Departments, causes and wordings; the world that a seed makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.epidemic import series, tables, world
from bench.epidemic.delays import ELECTRONIC, IS, STEEP, WAS
from stream.surveillance.groups import load as load_groups


def test_the_country_has_all_departments_once_and_shares_that_are_shares() -> None:
    told = tables.departments()
    assert len({one.code for one in told}) == len(told) == 96
    assert 550_000 < sum(one.deaths for one in told) < 650_000
    assert all(0 < one.first < one.last < 1 for one in told)


def test_causes_share_all_deaths_and_each_has_words() -> None:
    causes = tables.causes()
    assert sum(cause.share for cause in causes.values()) == pytest.approx(1)
    assert all(sum(cause.ages) == pytest.approx(1) for cause in causes.values())
    assert set(tables.wordings()) == set(causes)


def test_groups_of_wordings_are_groups_of_surveillance() -> None:
    known = load_groups()
    assert all(group in known for group in tables.groups())
    assert set(tables.membership("all_causes").values()) == {1.0}
    assert tables.membership("influenza") == {"influenza": 1.0}


def test_a_seed_makes_one_world_and_another_seed_another() -> None:
    one, same, other = world.world(4, ["33"]), world.world(4, ["33", "59"]), world.world(5)
    assert (one.influenza == same.influenza).all()
    assert (one.drift["stroke"] == same.drift["stroke"]).all()
    assert (one.local["33"] == same.local["33"]).all()
    assert not (one.influenza == other.influenza).all()


def test_a_year_of_deaths_is_what_the_table_says() -> None:
    cause = tables.causes()["cancer_lung"]
    yearly = [world.world(seed).expected(cause, waves=False)[: 8 * 365].sum() / 8 for seed in range(12)]
    assert np.mean(yearly) == pytest.approx(cause.share, rel=0.02)


def test_season_weekday_trend_and_waves() -> None:
    made, causes = world.world(7), tables.causes()
    calm = made.expected(causes["heart_failure"], waves=False)
    month = np.array([world.day(i).month for i in range(world.DAYS)])
    assert calm[month == 1].mean() > 1.2 * calm[month == 7].mean()
    road = np.mean([world.world(seed).expected(causes["road"], waves=False) for seed in range(10)], axis=0)
    weekend = world.weekdays() >= 5
    assert road[weekend].mean() / road[~weekend].mean() == pytest.approx(1.25, abs=0.03)
    assert (road[-365:].sum() / road[:365].sum()) == pytest.approx(0.98**7, abs=0.06)
    assert made.expected(causes["influenza"]).max() > 10 * made.expected(causes["influenza"], waves=False).max()
    assert set(month[made.heat > 0]) <= {6, 7, 8, 9}
    assert made.expected(causes["heat"])[made.heat > 0.5].min() > 20 * made.expected(causes["heat"], waves=False).mean()


def test_the_electronic_share_rises_by_department_and_steeply_where_asked() -> None:
    one = next(place for place in tables.departments() if place.code == "33")
    share = world.electronic(one)
    assert (np.diff(share) > 0).all()
    assert share[0] == pytest.approx(one.first, abs=0.02)
    assert share[-1] == pytest.approx(one.last, abs=0.03)
    steep = world.electronic(one, (0.2, 0.8))
    assert steep[world.JUDGED] == pytest.approx(0.2, abs=0.01)
    assert steep[world.JUDGED + 240] == pytest.approx(0.8, abs=0.01)


def test_a_target_tells_its_shares_and_its_quiet_days() -> None:
    made, target = world.world(3, ["33"]), series.TARGETS["lung-33"]
    told = {scenario.name: series.rates(target, made, scenario) for scenario in (ELECTRONIC, WAS, IS, STEEP)}
    assert (told["electronic"].electronic == 1.0).all() or told["electronic"].electronic == pytest.approx(1.0)
    assert told["was"].electronic[-1] < told["is"].electronic[-1]
    assert all((one.deaths == told["is"].deaths).all() for one in told.values())
    waves = made.influenza > 0.5
    assert not told["is"].quiet[waves].any()
    assert told["is"].quiet.mean() > 0.5
