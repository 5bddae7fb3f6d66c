"""Fills a surveillance database with years of plausible counts by department, age, sex, way and delay.

Deaths are drawn and put into the tables of the counts as the writer would have left them: older years as imported counts
without a day of knowledge, the newest as cells with one. Groups hold one another as they do in truth only where the tests
need it (influenza and pneumonia).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Engine

from stream.certificate import Age, Place, Sex
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
    coded_record,
)
from stream.database import open_database, writing
from stream.reader import Read
from stream.services import Database
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.counts import Counts, bulk, load_places, numbering
from stream.surveillance.counts.tables import ALWAYS, CELLS, CODERS, CODINGS, FOREVER, IMPORTS, OLDER, day_number
from stream.surveillance.groups import load

GROUPS = load()
NOW = date(2026, 2, 12)
"""A Thursday: the newest week is not over."""
STREAMED_DAYS = 400
DELAYS = np.array([.30, .22, .14, .09, .06, .05, .04, .03, .02, .015, .01, .01, .01, .005])  # fmt: skip
AGES = np.array([0.010, 0.018, 0.110, 0.140, 0.235, 0.487])
RULES = """
version: "2026-1"
method: {name: noufaily, options: {alpha: 0.01, leastYears: 3}}
otherwise: {name: C2, options: {minSigma: 1, limit54: [5, 4]}}
exclude: ["2020-03-01:2022-06-30"]
nowcast: {longest: 20, m: 120, own: 400}
series:
  - {name: all, groups: [all_causes], places: [FR, regions, departments], level: 5}
  - {name: causes, groups: [influenza, pneumonia, pneumonia_influenza, suicide, fall, acute_infarction], places: [FR, regions], level: 4}
  - {name: ages, groups: [all_causes], ages: ["0-14", "15-44", "45-64", "65-74", "75-84", "85+"], level: 5}
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A group: deaths a day in France, how much winter adds, share that is due to it, ages, outbreaks."""

    group: str
    daily: float
    winter: float = 0.0
    due: float = 1.0
    ages: Sequence[float] = tuple(AGES)
    outbreaks: Mapping[str, float] = field(default_factory=dict)
    """Factor in the last three weeks, by department or region."""


FLU = {"R-75": 3.4, "R-76": 2.6, "R-93": 1.5}
MADE = (
    Made("all_causes", 1750, 0.10, outbreaks={"R-75": 1.22, "33": 1.15}),
    Made("influenza", 14, 1.5, 0.6, (.01, .02, .07, .12, .26, .52), FLU),
    Made("pneumonia", 95, 0.45, 0.45, (.005, .01, .06, .12, .26, .545)),
    Made("suicide", 24, 0.02, 1.0, (.01, .27, .37, .13, .13, .09), {"69": 2.2}),
    Made("fall", 30, 0.05, 0.8, (.003, .02, .06, .09, .22, .607)),
    Made("acute_infarction", 40, 0.12, 0.8, (.001, .03, .22, .20, .26, .289)),
)  # fmt: skip
WEIGHTS = {
    "59": 3.9, "13": 3.1, "75": 2.9, "69": 2.6, "33": 2.4, "62": 2.4, "06": 2.0, "83": 2.0, "92": 1.8, "31": 1.8, "44": 1.8,
    "76": 2.0, "93": 1.6, "94": 1.6, "34": 1.9, "67": 1.6, "38": 1.7, "35": 1.4, "48": .14, "23": .30, "15": .32, "05": .26,
    "09": .30, "46": .36, "90": .22, "2A": .24, "2B": .30, "971": .5, "972": .5, "973": .15, "974": .8, "976": .12,
    "975": .01, "977": .01, "978": .03, "986": .005, "987": .2, "988": .2, "04": .3, "55": .35, "52": .35,
}  # fmt: skip


def fill(
    engine: Engine, *, years: float = 5.2, scale: float = 1.0, now: date = NOW, made: Sequence[Made] = MADE, seed: int = 5,
    streamed: int = STREAMED_DAYS,
) -> Counts:  # fmt: skip
    """Fill an empty database; `scale` shrinks France."""
    counts = Counts(engine, GROUPS)
    numbers = {group.id: number for number, group in enumerate(GROUPS)}
    last, boundary = day_number(now), day_number(now) - streamed
    first = last - round(years * 365.25)
    rng = np.random.default_rng(seed)
    with writing(engine) as connection:
        for one in made:
            cells: dict[tuple[object, ...], list[int]] = {}
            older: dict[tuple[object, ...], list[int]] = {}
            coded = np.zeros((streamed + 1, streamed + 1), int)
            for day in range(first, last + 1):
                for place, age, sex, source, since, deaths, due in _deaths(one, day, now, scale, rng):
                    if day <= boundary:
                        for where in ("FR", place):
                            cell = older.setdefault((day, where, one.group, age, sex, "U", ALWAYS), [0, 0])
                            cell[0] += deaths
                            cell[1] += due
                    elif since <= last:
                        for where in ("FR", place):
                            key = (day, where, numbers[one.group], age, sex, source, since, FOREVER)
                            cell = cells.setdefault(key, [0, 0, 0, 0])
                            for measure, count in enumerate((deaths, due, deaths, due)):
                                cell[measure] += count
                        coded[day - boundary, since - boundary] += deaths
            if older:
                bulk.insert(connection, OLDER, [(*key, *value) for key, value in sorted(older.items())])
                connection.execute(sa.insert(IMPORTS).values(
                    first=first, last=boundary, group_id=one.group, deaths=1, due=1, places=1, ages=1, sexes=1, sources=0, dated=0,
                ))  # fmt: skip
            bulk.insert(connection, CELLS, [(*key, *value) for key, value in sorted(cells.items())])
            if one.group == "all_causes":
                rows = [
                    (i + boundary, 1, j + boundary, FOREVER, int(coded[i, j]))
                    for i, j in zip(*np.nonzero(coded), strict=True)
                ]
                bulk.insert(connection, CODINGS, [tuple(map(int, row)) for row in rows])
                connection.execute(sa.insert(CODERS).values(
                    coding=1, modality="RULES", software="0.1", nomenclature="2026", lexicon="l1", rules="r1", coder="c1",
                    underlying="u1", policy="p1",
                ))  # fmt: skip
        numbering.moved(connection)
    return counts


def _deaths(
    one: Made, day: int, now: date, scale: float, rng: np.random.Generator
) -> Iterator[tuple[str, int, str, str, int, int, int]]:
    """Deaths of a day: place, age, sex, way, day of knowledge, deaths, those due."""
    on = date(1970, 1, 1) + timedelta(days=day)
    season = np.exp(one.winter * np.cos(2 * np.pi * (on.timetuple().tm_yday - 20) / 365.25))
    rates = _WEIGHTS * one.daily * season * scale * (1 + 0.005 * (on.year - 2020))
    if (now - on).days < 21:
        rates = rates * _factors(one)
    deaths = rng.poisson(rng.gamma(60, rates / 60)) if one.daily > 100 else rng.poisson(rates)
    place = np.repeat(np.arange(len(_PLACES)), deaths)
    n = len(place)
    age = rng.choice(len(one.ages), n, p=np.array(one.ages) / sum(one.ages))
    male = rng.random(n) < 0.5
    paper = rng.random(n) < 0.35
    delay = rng.choice(len(DELAYS), n, p=DELAYS / DELAYS.sum()) + np.where(paper, rng.integers(2, 6, n), 0)
    due = rng.random(n) < one.due
    for i in range(n):
        yield (
            _PLACES[place[i]],
            int(age[i]),
            "M" if male[i] else "F",
            "P" if paper[i] else "E",
            int(day + delay[i]),
            1,
            int(due[i]),
        )


_PLACES = tuple(load_places().departments)
_WEIGHTS = np.array([WEIGHTS.get(code, 0.85) for code in _PLACES])
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def _factors(one: Made) -> NDArray[np.float64]:
    places = load_places()
    factors = np.ones(len(_PLACES))
    for where, factor in one.outbreaks.items():
        for code in places.within(where):
            factors[_PLACES.index(code)] = factor
    return factors


def alert(engine: Engine, counts: Counts, now: date = NOW, days: int = 2, rules: Rules | None = None) -> Rules:
    """Run detection on the last days, and let two single deaths speak."""
    made = rules or ruling.parse(RULES)
    last = datetime(now.year, now.month, now.day, 18, tzinfo=UTC)
    for back in reversed(range(days)):
        at = last - timedelta(days=back)
        Keeper(engine, counts, made, partial(_same, at)).detect(at.date())
    keeper = Keeper(engine, counts, made, partial(_same, last))
    reads = [
        Read("coded", coded_record(_single(f"FR-2026-{n:06}", code, place, now - timedelta(days=n))), None)  # type: ignore[arg-type]
        for n, (code, place) in enumerate((("B05.9", "13"), ("A39.0", "75")), 1)
    ]
    with writing(engine) as connection:
        keeper.fold(connection, reads)
    return made


def _same(at: datetime) -> datetime:
    return at


def _single(name: str, code: str, place: str, died: date) -> CodedCertificate:
    at = datetime(died.year, died.month, died.day, 9, tzinfo=UTC) + timedelta(hours=20)
    return CodedCertificate(
        name, 1, "h1", CodedStatus.PROVISIONAL, Modality.MODEL, Underlying(code, 0.6), Targeting(Route.MANUAL),
        Versions(coder="c1", rules="r1"), at, 0, died, Sex.F, Age(7), Place(department=place), received_at=at,
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--years", type=float, default=5.2)
    parser.add_argument("--streamed", type=int, default=STREAMED_DAYS)
    given = parser.parse_args()
    made_engine = open_database(Database(), given.database)
    alert(made_engine, fill(made_engine, scale=given.scale, years=given.years, streamed=given.streamed))
