"""The years before the judged one as files of counts, and civil registration, as `causa counts import` takes them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bench.epidemic import people, tables, world
from bench.epidemic.people import Deaths
from bench.epidemic.tables import Department
from stream.certificate import Sex, Source

COLUMNS = ("death_day", "known_day", "department", "age_group", "sex", "source", "group", "by", "count")
DATED = world.JUDGED - 184
"""First day of death whose day of knowledge is told: half a year, for the nowcasts of the judged year's first weeks."""


def write_counts(path: Path, deaths: Deaths, places: Sequence[Department], *, dated: bool) -> int:
    """Write counts of deaths by cell and group; the number of rows.

    Args:
        path: CSV.
        deaths: that are counted.
        places: of them.
        dated: whether the day on which they became known is told.
    """
    told = [(tables.ALL_CAUSES, *sorted(wording.groups)) for wording in people.words()]
    cells: Counter[tuple[int, int, int, int, bool, bool, str]] = Counter()
    columns = zip(
        deaths.day.tolist(), deaths.delay.tolist(), deaths.department.tolist(), deaths.age.tolist(),
        deaths.men.tolist(), deaths.electronic.tolist(), deaths.wording.tolist(), strict=True,
    )  # fmt: skip
    for day, delay, place, age, men, electronic, wording in columns:
        known = day + delay if dated else 0
        for group in told[wording]:
            cells[day, known, place, age, men, electronic, group] += 1
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for (day, known, place, age, men, electronic, group), count in sorted(cells.items()):
            out.writerow((
                world.day(day), world.day(known) if dated else "", places[place].code, tables.AGES[age],
                (Sex.M if men else Sex.F).value, (Source.ELECTRONIC if electronic else Source.PAPER).value, group, "ANY",
                count,
            ))  # fmt: skip
    return len(cells)


def write_registered(path: Path, deaths: Sequence[Deaths], places: Sequence[Department]) -> None:
    """Write deaths by day and department, as civil registration tells them."""
    cells: Counter[tuple[date, str]] = Counter()
    for some in deaths:
        for day, place in zip(some.day.tolist(), some.department.tolist(), strict=True):
            cells[world.day(day), places[place].code] += 1
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("day", "department", "deaths"))
        out.writerows((day, code, count) for (day, code), count in sorted(cells.items()))
