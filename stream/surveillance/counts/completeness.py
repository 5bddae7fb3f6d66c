"""How much is here: certificates that arrived, beside the deaths that are to be expected.

The deaths of a period and a place are told by civil registration where a file of it covers all days of the period;
else by the same season of up to three earlier years; else by the settled weeks just before. What comes by one source is
expected to be its usual share of them, so that a source that grows shows as more than was expected of it, and the other
as less: an artefact of coverage, not an epidemic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import Connection

from stream.certificate import Source
from stream.errors import InvalidSettings
from stream.surveillance.counts.frame import Frame, whole
from stream.surveillance.counts.places import REGION, WHOLE, Places
from stream.surveillance.counts.query import Basis, Completeness, Query, check_place
from stream.surveillance.counts.tables import EXPECTED, day_number, day_of
from stream.surveillance.detection.series import Step
from stream.surveillance.groups import Groups
from stream.surveillance.groups.group import Limits, Takes

BY = ("department", "region", "source")
YEARS = 3
AROUND = 7
"""Days to either side of the same days of an earlier year."""
YEAR = 364
"""Days back to the same weekdays of a year before."""
SETTLED = 28
"""Days after which nearly all certificates of a day are here."""
WEEKS_BEFORE = 91
"""Days before those that recent counts are taken from."""
LEAST = 50
"""Deaths under which a place's own share of a source says little, and that of the whole is taken."""

ELSEWHERE = 0.05
"""Share of the certificates that may come from departments of which civil registration tells nothing."""

Days = NDArray[np.float64]
Daily = Callable[[Query, Sequence[str], range], Mapping[str, Days]]
"""Deaths by place and day; nan where older counts do not tell."""


def everybody(groups: Groups) -> str:
    """Id of the group that takes every death.

    Raises:
        InvalidSettings: there is none.
    """
    for group in groups:
        if group.takes is Takes.EVERY and group.limits == Limits():
            return group.id
    raise InvalidSettings("no group takes every death: completeness cannot be told")


@dataclass(frozen=True, slots=True)
class Asking:
    """What completeness is asked for.

    Attributes:
        days: first days of the periods, as numbers.
        step: days of each.
        by: of `BY`.
        place: the whole, a region or a department; departments or regions apart are those within it.
        as_of: day of knowledge.
    """

    days: range
    step: Step
    by: tuple[str, ...]
    place: str
    as_of: date | None

    def __post_init__(self) -> None:
        if set(self.by) - set(BY) or {"department", "region"} <= set(self.by):
            raise InvalidSettings("completeness is by department or by region, and by source")
        check_place(self.place)

    def places(self, places: Places) -> tuple[str, ...]:
        """Places to tell of."""
        if "region" in self.by:
            return tuple(places.regions) if self.place == WHOLE else (self.place,)
        if "department" in self.by:
            return tuple(places.departments) if self.place == WHOLE else places.within(self.place)
        return (self.place,)


def tell(
    connection: Connection, asking: Asking, places: Places, group: str, frame: Frame, daily: Daily
) -> list[Completeness]:
    """Completeness of each period, place and source.

    Args:
        connection: of a reading transaction.
        asking: what is asked for.
        places: of regions and departments.
        group: that takes every death.
        frame: of the tables.
        daily: counts by place and day.
    """
    if not len(asking.days):
        return []
    codes = asking.places(places)
    first, after = asking.days[0], asking.days[-1] + asking.step
    query = Query(group, as_of=asking.as_of)
    sources = tuple(Source) if "source" in asking.by else (None,)
    arrived = {source: daily(replace(query, source=source), codes, range(first, after)) for source in sources}
    history = _history(query, codes, asking, frame, daily)
    civil = _civil(connection, codes, places, asking, sum(arrived[source].get(WHOLE, 0) for source in sources), (
        lambda told: daily(query, told, range(first, after))
    ))  # fmt: skip
    usual = _usual(query, codes, first, frame, daily) if sources != (None,) else {}
    found = []
    for day in asking.days:
        at = slice(day - first, day - first + asking.step)
        for code in codes:
            expected, basis = float(civil[code][at].sum()), Basis.CIVIL
            if np.isnan(expected):
                expected, basis = history[code][day]
            for source in sources:
                share = 1.0 if source is None else usual[code][source]
                here = int(np.nansum(arrived[source][code][at]))
                told = None if basis is Basis.NONE or np.isnan(share) else expected * share
                found.append(
                    Completeness(day_of(day), code, source, here, told, basis if told is not None else Basis.NONE)
                )
    return found


def _history(
    query: Query, codes: Sequence[str], asking: Asking, frame: Frame, daily: Daily
) -> dict[str, dict[int, tuple[float, Basis]]]:
    """Deaths that the counts themselves let expect, by place and period."""
    first, after = asking.days[0], asking.days[-1] + asking.step
    begins = frame.first if frame.first is not None else first
    known = frame.known_until(asking.as_of)
    settled = (first if known is None else min(first, known)) - SETTLED
    windows = [range(first - years * YEAR - AROUND, after - years * YEAR + AROUND) for years in range(1, YEARS + 1)]
    windows = [window for window in windows if window.start >= begins and window.stop <= settled]
    earlier = [daily(query, codes, window) for window in windows]
    recent = range(settled - WEEKS_BEFORE, settled)
    before = daily(query, codes, recent) if recent.start >= begins else {}
    found: dict[str, dict[int, tuple[float, Basis]]] = {}
    for code in codes:
        told: dict[int, tuple[float, Basis]] = {}
        for day in asking.days:
            at = slice(day - first, day - first + asking.step + 2 * AROUND)
            means = [counts[code][at].mean() for counts in earlier]
            means = [mean for mean in means if not np.isnan(mean)]
            if means:
                told[day] = float(np.mean(means)) * asking.step, Basis.HISTORY
            elif before and not np.isnan(before[code].sum()):
                told[day] = float(before[code].mean()) * asking.step, Basis.RECENT
            else:
                told[day] = np.nan, Basis.NONE
        found[code] = told
    return found


def _usual(
    query: Query, codes: Sequence[str], first: int, frame: Frame, daily: Daily
) -> dict[str, dict[Source, float]]:
    """Share of each source, in the settled year before (or what is held of it); nan where nothing is."""
    known = frame.known_until(query.as_of)
    end = (first if known is None else min(first, known)) - SETTLED
    begins = end - YEAR if frame.first is None else max(end - YEAR, frame.first)
    days = range(begins, max(begins, end))
    asked = tuple(dict.fromkeys((*codes, WHOLE)))
    counted = {
        source: {
            code: float(np.nansum(counts)) for code, counts in daily(replace(query, source=source), asked, days).items()
        }
        for source in Source
    }
    found = {}
    for code in codes:
        own = code if sum(counted[source][code] for source in Source) >= LEAST else WHOLE
        total = sum(counted[source][own] for source in Source)
        found[code] = {source: counted[source][own] / total if total else np.nan for source in Source}
    return found


def _civil(
    connection: Connection, codes: Sequence[str], places: Places, asking: Asking, arrived: Days | int,
    daily: Callable[[Sequence[str]], Mapping[str, Days]],
) -> dict[str, Days]:  # fmt: skip
    """Deaths by day that civil registration tells, nan where it tells none.

    Where it has no number of the whole, that is the sum of the departments which it tells all days of a period of, if
    the certificates of the period (`arrived`) come from there but for `ELSEWHERE`: a file of one department does not
    tell how many died in all of them.
    """
    c = EXPECTED.c
    days = range(asking.days[0], asking.days[-1] + asking.step)
    told: dict[str, Days] = {}
    chosen = sa.select(c.day, c.place, c.deaths).where(c.day >= days.start, c.day < days.stop)
    for day, place, deaths in connection.execute(chosen):
        told.setdefault(place, np.full(len(days), np.nan))[day - days.start] = deaths
    nothing = np.full(len(days), np.nan)
    found = {}
    for code in codes:
        if code == WHOLE and told:
            found[code] = _summed(told, asking, arrived, daily)
        elif code in told:
            found[code] = told[code]
        elif code.startswith(REGION):
            found[code] = np.sum([told.get(within, nothing) for within in places.within(code)], axis=0)
        else:
            found[code] = nothing
    return found


def _summed(
    told: Mapping[str, Days], asking: Asking, arrived: Days | int, daily: Callable[[Sequence[str]], Mapping[str, Days]]
) -> Days:
    """Deaths of the whole by day; see `_civil`."""
    n = asking.days[-1] + asking.step - asking.days[0]
    own = told.get(WHOLE, np.full(n, np.nan))
    departments = [place for place in told if place != WHOLE]
    if not departments or not np.isnan(own).any():
        return own
    here = daily(departments)
    found: Days = own.copy()
    for day in asking.days:
        at = slice(day - asking.days[0], day - asking.days[0] + asking.step)
        if not np.isnan(own[at]).any():
            continue
        whole = [place for place in departments if not np.isnan(told[place][at]).any()]
        # Older counts that tell no departments cannot speak against it: nan is not less than anything.
        covered = sum(float(here[place][at].sum()) for place in whole)
        everyone = float(np.broadcast_to(arrived, n)[at].sum())
        if whole and not covered < (1 - ELSEWHERE) * everyone:
            found[at] = np.sum([told[place][at] for place in whole], axis=0)
    return found


def periods(start: date, end: date, step: Step) -> range:
    """Whole periods within two days."""
    return whole(day_number(start), day_number(end), step)
