"""What the office saw of the year that went through the pipeline: counts against the truth, and the judgement of each day.

Each evening's judgement is made of what the counts knew then: triangle, nowcast and flexible Farrington by the product's
own functions, at an alpha of 0.01; beside it the same without nowcast.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from bench.epidemic import delays, nowcasts, people, tables, world
from bench.epidemic.people import Deaths, Outbreak
from stream.surveillance.counts import Counts, Query
from stream.surveillance.detection import flexible
from stream.surveillance.detection.nowcast import completed, lawless
from stream.surveillance.detection.series import Floats, Series, Step
from stream.surveillance.detection.verdict import Verdict

if TYPE_CHECKING:
    from bench.epidemic.pipeline import Year

OPTIONS = replace(flexible.NOUFAILY, alpha=0.01)
BACK = 8
"""Weeks that an evening judges, the one that ends that day among them."""
AFTER_DAYS = 28
QUIET_EVERY = 7
OWN = 400
"""Deaths under which a series borrows the delays of all deaths of its place, as `causa alerts` does."""


def compare(year: Year, counts: Counts) -> dict[str, Any]:
    """Counts by group, department and day beside the deaths that were simulated."""
    truth, found = year.during, {}
    first = world.day(world.JUDGED)
    codes = [one.code for one in year.departments]
    for group in tables.groups():
        wanted = _daily(truth, group, len(codes))
        panel = counts.panel(Query(group, start=first, end=world.LAST), codes, Step.DAY)
        got = np.array([_padded(panel[code], wanted.shape[1]) for code in codes])
        found[group] = {
            "simulated": int(wanted.sum()), "counted": int(got.sum()),
            "days_that_differ": int((wanted != got).sum()), "of": int(wanted.size),
        }  # fmt: skip
    return {"groups": found, "known": _known(year, counts)}


def _known(year: Year, counts: Counts) -> dict[str, int]:
    """What the counts knew on the first of each month, of all causes, beside what had arrived."""
    truth, worst, looks = year.during, 0, 0
    for month in range(2, 13):
        evening = date(2025, month, 1)
        index = (evening - world.FIRST).days
        arrived = int(((truth.day + truth.delay) <= index).sum())
        query = Query(tables.ALL_CAUSES, start=world.day(world.JUDGED), as_of=evening)
        told = int(np.nansum(counts.series(query, Step.DAY).values()))
        worst, looks = max(worst, abs(arrived - told)), looks + 1
    return {"looks": looks, "largest_difference": worst}


def _daily(deaths: Deaths, group: str, places: int) -> Floats:
    within = np.array([group == tables.ALL_CAUSES or group in wording.groups for wording in people.words()])
    chosen = within[deaths.wording]
    found = np.zeros((places, world.DAYS - world.JUDGED))
    np.add.at(found, (deaths.department[chosen], deaths.day[chosen] - world.JUDGED), 1)
    return found


def _padded(series: Series, length: int) -> Floats:
    values = np.nan_to_num(series.values())[:length]
    return np.pad(values, (0, length - len(values)))


def outbreaks(year: Year, counts: Counts, console: Console) -> list[dict[str, Any]]:
    """Day by day from two weeks before each outbreak to four after it."""
    found = []
    for number, outbreak in enumerate(year.among, 1):
        mine = year.during.where(year.during.outbreak == number)
        first = int(mine.day.min())
        place = outbreak.departments[0] if len(outbreak.departments) == 1 else year.place
        looks = []
        for index in range(first - 14, outbreak.begin + outbreak.shape.days + AFTER_DAYS):
            looks.append(_look(counts, outbreak.group, place, world.day(index)))
        told = {
            "name": outbreak.name, "group": outbreak.group, "place": place, "size": outbreak.size,
            "shape": outbreak.shape.name, "first_death": world.day(first).isoformat(),
            "days_to_alert": {way: _days(looks, way, world.day(first)) for way in ("nowcast", "raw")},
            "deaths_before_alert": {way: _dead(looks, way, mine, first) for way in ("nowcast", "raw")},
            "alarm_in_the_two_weeks_before": {way: any(one[way] for one in looks[:14]) for way in ("nowcast", "raw")},
            "looks": looks,
        }  # fmt: skip
        console.print(f"{outbreak.name}: {told['days_to_alert']}")
        found.append(told)
    return found


def _days(looks: list[dict[str, Any]], way: str, first: date) -> int | None:
    """Days from the first death to the first evening with an alarm."""
    for one in looks:
        day = date.fromisoformat(one["day"])
        if day >= first and one[way]:
            return (day - first).days
    return None


def _dead(looks: list[dict[str, Any]], way: str, mine: Deaths, first: int) -> int | None:
    """Deaths of the outbreak until then."""
    days = _days(looks, way, world.day(first))
    return None if days is None else int((mine.day <= first + days).sum())


def quiet(year: Year, counts: Counts, console: Console) -> dict[str, Any]:
    """All groups in the whole place, every seven days: alarms of the week that ended, outbreaks and waves or not."""
    alarms: list[dict[str, str]] = []
    judged = 0
    for index in range(world.JUDGED + 27, world.DAYS, QUIET_EVERY):
        for group in tables.groups():
            look = _look(counts, group, year.place, world.day(index), back=1)
            judged += look["judged"]
            if look["nowcast"]:
                alarms.append({"group": group, "day": look["day"], "why": _why(year, group, index)})
    told = {"weeks_judged": judged, "alarms": alarms, "unexplained": sum(not one["why"] for one in alarms)}
    console.print(f"{judged:,} weeks judged, {len(alarms)} alarms, {told['unexplained']} without outbreak or wave")
    return told


def _why(year: Year, group: str, index: int) -> str:
    """What the week that ends on a day held: an outbreak, a wave, or nothing."""
    for outbreak in year.among:
        if _shows(outbreak, group) and outbreak.begin - 7 < index < outbreak.begin + outbreak.shape.days + 7:
            return outbreak.name
    week = slice(index - 6, index + 1)
    calm = higher = 0.0
    for name, part in tables.membership(group).items():
        cause = tables.causes()[name]
        calm += part * float(year.made.expected(cause, waves=False)[week].sum())
        higher += part * float(year.made.expected(cause)[week].sum())
    if higher <= calm * (1 + world.CALM):
        return ""
    return "heat" if year.made.heat[week].any() else "influenza"


def _shows(outbreak: Outbreak, group: str) -> bool:
    told = tables.wordings()[outbreak.cause]
    return group == tables.ALL_CAUSES or any(group in wording.groups for wording in told)


def _look(counts: Counts, group: str, place: str, evening: date, back: int = BACK) -> dict[str, Any]:
    """One evening: the newest weeks with nowcast and without."""
    query = Query(group, place=place)
    learned = replace(query, start=evening - timedelta(days=nowcasts.USED_DAYS - 1))
    triangle = counts.triangle(learned, evening, delays.LONGEST)
    if sum(cell or 0 for row in triangle.cells for cell in row) < OWN:
        triangle = counts.triangle(replace(learned, group=tables.ALL_CAUSES), evening, delays.LONGEST)
    days = _until(counts.series(replace(query, as_of=evening), Step.DAY), evening)
    corrected = completed(days, lawless(triangle, nowcasts.OPTIONS))
    weekday = (evening + timedelta(days=1)).weekday()
    told: dict[str, Any] = {"day": evening.isoformat()}
    for way, series in (("nowcast", corrected), ("raw", days)):
        weeks = series.weeks(weekday)
        verdicts = flexible.judge(weeks, OPTIONS, range(len(weeks) - back, len(weeks)))
        told[way] = any(verdict.alarm for verdict in verdicts)
        if way == "nowcast":
            told |= _told(verdicts[-1], weeks)
        else:
            told["raw_p"] = verdicts[-1].p_value
    return told


def _told(verdict: Verdict, weeks: Series) -> dict[str, Any]:
    share = weeks.completeness[-1] if weeks.completeness else 1.0
    return {
        "judged": verdict.judged, "known": verdict.observed, "completeness": round(share, 4),
        "expected": None if verdict.expected is None else round(verdict.expected / max(share, 1e-9), 2),
        "threshold": None if verdict.threshold is None else round(verdict.threshold / max(share, 1e-9), 2),
        "p": verdict.p_value,
    }  # fmt: skip


def _until(series: Series, evening: date) -> Series:
    """The series up to an evening; days of which nothing is known yet are counts of none."""
    missing = (evening - series.day(len(series) - 1)).days
    return (
        replace(series, counts=(*series.counts, *(0.0,) * missing))
        if missing > 0
        else series.until(series.index(evening))
    )
