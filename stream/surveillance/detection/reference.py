"""Which past weeks a week is compared with.

The windows: the weeks nearest the same date in each of the b years before, and w weeks to either side (Farrington et
al., JRSS A 159, 1996, section 3.3). Noufaily et al. (Statistics in Medicine 32, 2013, section 3.2) use all weeks since
the first window: what lies between two windows is cut into blocks of nearly equal length, one for each further level of
a seasonal factor. Longer blocks come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from stream.surveillance.detection.series import Floats, Period, Series
from stream.surveillance.detection.verdict import Reason

LEAST = 0.5
"""A baseline with less than this share of its weeks is not judged by."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Weeks of the baseline.

    Attributes:
        weeks: their places in the series, ascending.
        season: level of each: 0 for the windows, then the blocks between.
    """

    weeks: NDArray[np.int64]
    season: NDArray[np.int64]

    def factor(self) -> Floats:
        """Design columns: the constant, then one for each level beyond the windows'."""
        others = [level for level in np.unique(self.season) if level]
        return np.column_stack([np.ones(len(self.weeks)), *(self.season == level for level in others)]).astype(float)


def nearest(day: date, years: int) -> date:
    """Day of the same weekday nearest the same date some years before. The 29th of February counts as the 1st of March."""
    leap = day.month == 2 and day.day == 29
    same = date(day.year - years, 3, 1) if leap else day.replace(year=day.year - years)
    later = (day.weekday() - same.weekday()) % 7
    return same + timedelta(days=later if later <= 3 else later - 7)


def centres(series: Series, i: int, b: int, least: int, excluded: NDArray[np.bool_]) -> list[int] | Reason:
    """Weeks of b years before, or of at least `least` where the series begins later, oldest first; those of years
    whose own week is excluded are among them, and do not count.

    Returns:
        Places in the series; the reason where it does not hold so many years.
    """
    found: list[int] = []
    counted, passed, years = 0, False, 0
    day = series.day(i)
    while counted < b:
        years += 1
        place = series.index(nearest(day, years)) if day.year - years >= date.min.year else -1
        if place < 0:
            if counted >= least:
                break
            return Reason.EXCLUDED if passed and years > least else Reason.TOO_SHORT
        if excluded[place]:
            passed = True
        else:
            counted += 1
        found.append(place)
    return found[::-1]


def reference(
    series: Series, i: int, *, b: int, w: int, blocks: int, past: int, exclude: Iterable[Period] = (),
    least: int | None = None,
) -> Reference | Reason:  # fmt: skip
    """Weeks to compare week `i` with.

    Args:
        series: by weeks.
        i: place of the week.
        b: years back.
        w: half of a window, in weeks.
        blocks: levels of the seasonal factor (`noPeriods`); with 1 the windows alone are used.
        past: newest weeks left out (`pastWeeksNotIncluded`).
        exclude: periods left out.
        least: years back that will do where the series begins later; b when None.

    Returns:
        The weeks; the reason where there are not enough of them.
    """
    excluded = series.within(exclude)
    middles = centres(series, i, b, b if least is None else least, excluded)
    if isinstance(middles, Reason):
        return middles
    season = np.full(i, -1)
    for k, middle in enumerate(middles):
        season[max(0, middle - w) : middle + w + 1] = 0
        after = middles[k + 1] if k + 1 < len(middles) else i
        first, last = middle + w + 1, after - w
        if blocks > 1 and last > first:
            short, longer = divmod(last - first, blocks - 1)
            lengths = [short + (block < longer) for block in range(blocks - 1)]
            season[first:last] = np.repeat(np.arange(1, blocks), lengths)
    if blocks > 1:
        season[max(0, i - w) :] = 0
    season[max(0, i - past) :] = -1
    all_weeks = np.flatnonzero(season >= 0)
    kept = all_weeks[~excluded[all_weeks]]
    known = kept[~np.isnan(series.values()[kept]) & ~np.isnan(series.exposure()[kept])]
    if len(known) < LEAST * len(kept) or not len(known):
        return Reason.EXCLUDED if len(kept) < len(all_weeks) and not len(kept) else Reason.GAPS
    if not (season[known] == 0).any():
        return Reason.GAPS if (season[kept] == 0).any() else Reason.EXCLUDED
    return Reference(known, season[known])
