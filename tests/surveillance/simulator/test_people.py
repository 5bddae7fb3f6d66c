"""Deaths one by one: certificates, older counts, civil registration."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from bench.epidemic import history, outbreaks, people, tables, world
from bench.epidemic.people import Deaths, Outbreak
from stream.certificate import Sex, Source, certificate_json, read_certificate

PLACES = tuple(one for one in tables.departments() if one.code in ("62", "80"))
DAYS = range(world.JUDGED, world.JUDGED + 120)
OUTBREAK = Outbreak("gut", "gastroenteritis", "gastroenteritis", ("80",), 25, outbreaks.SUDDEN, world.JUDGED + 40)


@pytest.fixture(scope="module")
def deaths() -> Deaths:
    made = world.world(6, [one.code for one in PLACES])
    return people.draw(made, PLACES, DAYS, np.random.default_rng(6), (OUTBREAK,))


def test_deaths_follow_the_rates_of_their_world(deaths: Deaths) -> None:
    made = world.world(6, [one.code for one in PLACES])
    wanted = sum(
        float((made.expected(cause) * made.local[place.code] * place.deaths)[DAYS.start : DAYS.stop].sum())
        for cause in tables.causes().values()
        for place in PLACES
    )
    assert (deaths.outbreak == 0).sum() == pytest.approx(wanted, rel=0.04)
    assert set(np.unique(deaths.day)) == set(DAYS)


def test_an_outbreak_is_where_and_what_it_is_meant_to_be(deaths: Deaths) -> None:
    mine = deaths.where(deaths.outbreak == 1)
    assert len(mine) == OUTBREAK.size
    assert {PLACES[place].code for place in mine.department.tolist()} == {"80"}
    assert {people.words()[place].cause for place in mine.wording.tolist()} == {"gastroenteritis"}
    assert mine.day.min() >= OUTBREAK.begin
    assert mine.day.max() < OUTBREAK.begin + outbreaks.SUDDEN.days


def test_certificates_come_in_the_order_of_their_arrival_and_are_valid(deaths: Deaths) -> None:
    told = list(people.certificates(deaths, PLACES, 6, "t"))
    assert len(told) == len(deaths)
    assert len({one.certificate_id for one in told}) == len(told)
    days = [one.received_at.date() for one in told if one.received_at]
    assert days == sorted(days)
    for one, delay, electronic, men in zip(
        told, deaths.delay.tolist(), deaths.electronic.tolist(), deaths.men.tolist(), strict=True
    ):
        assert one.received_at
        assert one.death_date
        assert (one.received_at.date() - one.death_date).days == delay
        assert (one.source is Source.ELECTRONIC) is electronic
        assert (one.sex is Sex.M) is men
    for one in told[:200]:
        assert read_certificate(certificate_json(one)) == one
    assert list(people.certificates(deaths, PLACES, 6, "t"))[:50] == told[:50]


def test_older_counts_add_up_to_the_deaths(deaths: Deaths, tmp_path: Path) -> None:
    rows = history.write_counts(tmp_path / "counts.csv", deaths, PLACES, dated=True)
    history.write_registered(tmp_path / "registered.csv", (deaths,), PLACES)
    with (tmp_path / "counts.csv").open(encoding="utf-8") as file:
        counts = list(csv.DictReader(file))
    with (tmp_path / "registered.csv").open(encoding="utf-8") as file:
        registered = list(csv.DictReader(file))
    assert len(counts) == rows
    assert sum(int(row["count"]) for row in counts if row["group"] == "all_causes") == len(deaths)
    assert sum(int(row["deaths"]) for row in registered) == len(deaths)
    assert all(row["known_day"] >= row["death_day"] for row in counts)
    gut = sum("gastroenteritis" in people.words()[place].groups for place in deaths.wording.tolist())
    assert sum(int(row["count"]) for row in counts if row["group"] == "gastroenteritis") == gut
