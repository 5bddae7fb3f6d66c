"""Which share of a place's deaths ever arrives, and whether that has changed.

Where civil registration tells how many died, the share is known for every week, and the exposure of every count is
corrected by it: a place where half of the certificates are electronic is not compared with the tenth of years ago. Without
it, deaths of all causes are held against those of earlier years; that tells no coverage from mortality, so that nothing
is corrected by it, but an alarm that it could explain is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import median

from stream.surveillance.alerts.clauses import Covering
from stream.surveillance.counts import Basis, Counts
from stream.surveillance.detection.series import Series, Step

SMOOTH = 4
"""Weeks to either side of one whose median is its share: a single week's is noise."""
LEAST = 0.8
"""Share of the weeks that registration must tell of."""
SETTLED = timedelta(days=35)
"""After so long nearly all certificates that ever come have come."""
YEAR = timedelta(days=364)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one place.

    Attributes:
        registered: whether civil registration tells it; else it is held against earlier years.
        now: share of the last weeks that are settled; None where it is not known.
        before: share of the weeks a year and more before.
        shares: by first day of a week (Monday), smoothed; where registration tells it.
    """

    registered: bool = False
    now: float | None = None
    before: float | None = None
    shares: Mapping[date, float] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Of now to before; 1 where it is not known."""
        return self.now / self.before if self.now and self.before else 1.0

    def at(self, day: date) -> float:
        """Share on a day: that of its week, or of the nearest week known; 1 where none is."""
        if not self.shares:
            return 1.0
        week = day - timedelta(days=day.weekday())
        found = self.shares.get(week)
        if found is None:
            first, last = min(self.shares), max(self.shares)
            found = self.shares.get(min(max(week, first), last))
        return found if found is not None else self.shares[min(self.shares, key=lambda known: abs(known - week))]

    def over(self, days: Series) -> Series:
        """A series of days, with its completeness times the share that ever arrives."""
        if not self.shares:
            return days
        shares = days.shares().tolist()
        whole = tuple(share * self.at(days.day(i)) for i, share in enumerate(shares))
        return replace(days, completeness=whole)

    def arriving(self, share: float, day: date) -> float:
        """Share of those that ever arrive, of a share of all."""
        return share / self.at(day)


def cover(counts: Counts, options: Covering, place: str, start: date | None, now: date) -> Coverage:
    """Coverage of a place as known at the end of a day."""
    last = now - SETTLED
    if start is None or start > last:
        return Coverage()
    rows = counts.completeness(start, last, step=Step.WEEK, by=(), place=place, as_of=now)
    if not rows:
        return Coverage()
    told = {row.period: row.share for row in rows if row.basis is Basis.CIVIL and row.share}
    if len(told) < LEAST * len(rows):
        recent = [row.share for row in rows[-options.weeks :] if row.basis is Basis.HISTORY and row.share]
        return Coverage(False, median(recent), 1.0) if len(recent) > options.weeks // 2 else Coverage()
    weeks = sorted(told)
    known = {week: float(told[week] or 0.0) for week in weeks}
    smooth = {
        week: median(known[near] for near in weeks[max(0, i - SMOOTH) : i + SMOOTH + 1]) for i, week in enumerate(weeks)
    }
    newest = weeks[-options.weeks :]
    older = [known[week] for week in weeks if week <= newest[0] - YEAR]
    return Coverage(True, median(known[week] for week in newest), median(older) if older else None, smooth)
