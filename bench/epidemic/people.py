"""One death after the other: who died where, when and of what, and how the certificate went.

The same worlds as those of the counts; here each death has an age, a sex, a wording and a day on which it becomes known.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from bench.epidemic import delays, outbreaks, tables, wordings, world
from bench.epidemic.delays import Source as Way
from bench.epidemic.outbreaks import Shape
from bench.epidemic.tables import Department
from stream.certificate import Age, Certificate, Manner, Place, PlaceKind, Residence, Sex, Source

Whole = NDArray[np.int64]
_BANDS = ((0, 14), (15, 44), (45, 64), (65, 74), (75, 84), (85, 101))
_PLACES = (PlaceKind.HOSPITAL, PlaceKind.NURSING_HOME, PlaceKind.HOME)
"""Of electronic and of paper certificates: chances below. An assumption."""
_PLACED = {Way.ELECTRONIC: (0.80, 0.15, 0.05), Way.PAPER: (0.35, 0.30, 0.35)}


@dataclass(frozen=True, slots=True)
class Deaths:
    """Deaths, a column for each thing that is told of them.

    Attributes:
        day: of death, by day of the world.
        department: place among those asked for.
        age: band of `tables.AGES`.
        men, electronic: whether.
        wording: place among `words`.
        delay: days until the certificate is there.
        outbreak: number of the outbreak that it belongs to, from 1 on; 0 where to none.
    """

    day: Whole
    department: Whole
    age: Whole
    men: NDArray[np.bool_]
    electronic: NDArray[np.bool_]
    wording: Whole
    delay: Whole
    outbreak: Whole

    def __len__(self) -> int:
        return len(self.day)

    def where(self, chosen: NDArray[np.bool_] | Whole) -> Deaths:
        """Some of them, or all in another order."""
        return Deaths(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Outbreak:
    """An outbreak among people.

    Attributes:
        name: for reports.
        cause: of its deaths.
        group: in which it shows.
        departments: codes of where; all that are simulated when empty.
        size: deaths.
        shape: course.
        begin: first day, by day of the world.
    """

    name: str
    cause: str
    group: str
    departments: tuple[str, ...]
    size: int
    shape: Shape
    begin: int


def words() -> tuple[tables.Wording, ...]:
    """All wordings, in an order that deaths name them by."""
    return tuple(wording for told in tables.wordings().values() for wording in told)


def draw(
    made: world.World, places: Sequence[Department], days: range, rng: np.random.Generator,
    among: Sequence[Outbreak] = (),
) -> Deaths:  # fmt: skip
    """Deaths of some days, in order of the day on which they become known.

    Args:
        made: the world.
        places: where.
        days: of the world.
        rng: chance.
        among: outbreaks put among them.
    """
    parts: list[Deaths] = []
    for cause in tables.causes().values():
        expected = made.expected(cause)[days.start : days.stop]
        for number, place in enumerate(places):
            local = made.local[place.code][days.start : days.stop]
            drawn = rng.poisson(expected * local * place.deaths)
            at = np.repeat(np.arange(days.start, days.stop), drawn)
            parts.append(_people(cause, place, number, at, 0, rng))
    for number, outbreak in enumerate(among, 1):
        at = outbreak.begin + np.repeat(
            np.arange(outbreak.shape.days), outbreaks.placed(outbreak.size, outbreak.shape, rng).astype(int)
        )  # fmt: skip
        inside = [i for i, place in enumerate(places) if place.code in (outbreak.departments or (place.code,))]
        chances = np.array([places[i].deaths for i in inside])
        where = rng.choice(inside, len(at), p=chances / chances.sum())
        for i in inside:
            parts.append(_people(tables.causes()[outbreak.cause], places[i], i, at[where == i], number, rng))
    found = Deaths(*(np.concatenate([getattr(part, name) for part in parts]) for name in Deaths.__slots__))
    return found.where(np.lexsort((found.day, found.day + found.delay)))


def _people(
    cause: tables.Cause, place: Department, number: int, day: Whole, outbreak: int, rng: np.random.Generator
) -> Deaths:  # fmt: skip
    n = len(day)
    share = world.share_of(cause, world.electronic(place))[day]
    electronic = rng.random(n) < share
    told = tables.wordings()[cause.name]
    first = words().index(told[0])
    delay = np.zeros(n, np.int64)
    for way, those in ((Way.ELECTRONIC, electronic), (Way.PAPER, ~electronic)):
        chances = np.cumsum(delays.table(way), axis=1)[day[those] % 7]
        delay[those] = (rng.random(int(those.sum()))[:, None] > chances / chances[:, -1:]).sum(axis=1)
    return Deaths(
        day, np.full(n, number), rng.choice(len(tables.AGES), n, p=cause.ages), rng.random(n) < cause.men, electronic,
        first + rng.choice(len(told), n, p=tables.weights(told)), delay, np.full(n, outbreak),
    )  # fmt: skip


def certificates(deaths: Deaths, places: Sequence[Department], seed: int, prefix: str) -> Iterator[Certificate]:
    """Certificates of deaths in their order; the same of the same seed, however many are asked for."""
    told = words()
    columns = zip(*(getattr(deaths, name).tolist() for name in Deaths.__slots__), strict=True)
    for number, (day, place, age, men, electronic, wording, delay, _) in enumerate(columns):
        rng = random.Random(f"{seed}-{number}")
        part1, part2 = wordings.lines(told[wording], rng)
        known = world.day(day + delay)
        came = datetime.combine(known, time(rng.randrange(8, 19), rng.randrange(60)), UTC)
        low, high = _BANDS[age]
        department = places[place].code
        cause = tables.causes()[told[wording].cause]
        kind = rng.choices(_PLACES, _PLACED[Way.ELECTRONIC if electronic else Way.PAPER])[0]
        yield Certificate(
            f"{prefix}-{number:06d}", part1, part2, source=Source.ELECTRONIC if electronic else Source.PAPER,
            received_at=came, death_date=known - timedelta(days=delay), sex=Sex.M if men else Sex.F,
            age=Age(rng.randint(low, high)), place=Place(kind, department), residence=Residence(department),
            manner=cause.manner if cause.manner is not Manner.NATURAL or rng.random() < 0.8 else None,
        )  # fmt: skip
