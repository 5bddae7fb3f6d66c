"""Detection run over the counts: each day, each series of the rules, by what was known at the end of that day.

A series is days of deaths as they were known then; a nowcast tells which share of the newest is here, the coverage of its
place which share of all deaths ever arrives; both are exposures of the methods. Seven days that end with the newest are a
week, and so are those before, whatever weekday they begin on. The same day judged twice gives the same findings, unless
certificates received by then were coded since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from stream.surveillance.alerts import caveats
from stream.surveillance.alerts.clauses import Judge
from stream.surveillance.alerts.coverage import Coverage, cover
from stream.surveillance.alerts.finding import Finding
from stream.surveillance.alerts.rules import Rules, Watch
from stream.surveillance.counts import By, Counts, Query
from stream.surveillance.detection import chance, methods, several
from stream.surveillance.detection.nowcast import Nowcast, Options, completed
from stream.surveillance.detection.series import Period, Series, Step
from stream.surveillance.detection.verdict import Reason, Verdict

ALL = "all_causes"
"""Group of all deaths: delays and coverage are those of its series."""
VERSION = "detection-1"
IDS = 20
"""Ids of certificates in an alert: those of the first deaths of the week that is judged."""
_UNJUDGED = frozenset({Reason.TOO_SHORT, Reason.EXCLUDED, Reason.GAPS, Reason.NOT_FITTED})
"""Reasons for which another method may know more."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A series, what is foreseen of it and what the methods say.

    Attributes:
        watch: the series.
        days: deaths by day, with completeness and doubt.
        weeks: the same by weeks that end with the newest day.
        nowcasts: of the newest days.
        verdicts: on the newest weeks asked for, oldest first.
        method: that the newest was judged by.
        coverage: of its place.
    """

    watch: Watch
    days: Series
    weeks: Series
    nowcasts: tuple[Nowcast, ...]
    verdicts: tuple[Verdict, ...]
    method: str
    coverage: Coverage

    @property
    def period(self) -> Period:
        """The newest week."""
        last = self.days.day(len(self.days) - 1)
        return Period(last - timedelta(days=6), last)


class Detection:
    """One day's look at all series. It reads the counts; nothing is written.

    Args:
        counts: read as of the end of the day.
        rules: of alerting.
        now: the day, as a rule the last one that is over.
    """

    def __init__(self, counts: Counts, rules: Rules, now: date) -> None:
        self._counts, self._rules, self.now = counts, rules, now
        self._newest = now - timedelta(days=rules.file.behind)
        first = counts.first_day()
        earliest = self._newest - timedelta(days=round(rules.file.years * 365.25) + 7)
        self._start = max(first, earliest) if first is not None else None
        self._delays: dict[str, tuple[Nowcast, ...]] = {}
        self._coverage: dict[str, Coverage] = {}

    def findings(self) -> Iterator[tuple[Finding, ...]]:
        """Findings of each section; nothing where nobody has died yet."""
        sections: dict[str, list[Watch]] = defaultdict(list)
        for watch in self._rules.watches():
            sections[watch.section].append(watch)
        for watches in sections.values():
            if self._start is not None:
                yield self.section(watches)

    def section(self, watches: Sequence[Watch]) -> tuple[Finding, ...]:
        """Findings on series that are judged together."""
        looks = [self._look(watch, days, 1) for watch, days in self._series(watches)]
        return tuple(self._found(looks))

    def examine(self, watch: Watch, weeks: int = 1) -> Examined:
        """One series, with verdicts on its newest weeks."""
        ((_, days),) = self._series([watch])
        return self._look(watch, days, weeks)

    def _series(self, watches: Sequence[Watch]) -> Iterator[tuple[Watch, Series]]:
        """Days of each series: one statement for all places of a group."""
        alike: dict[tuple[str, By, str | None, object], list[Watch]] = defaultdict(list)
        for watch in watches:
            alike[watch.group, watch.by, watch.age, watch.sex].append(watch)
        for same in alike.values():
            query = self._query(same[0])
            panel = self._counts.panel(query, [watch.place for watch in same], Step.DAY)
            for watch in same:
                yield watch, panel[watch.place]

    def _query(self, watch: Watch) -> Query:
        return Query(
            watch.group, watch.by, watch.place, watch.age, watch.sex, as_of=self.now, start=self._start,
            end=self._newest,
        )  # fmt: skip

    def _look(self, watch: Watch, days: Series, weeks: int) -> Examined:
        nowcasts = self._nowcasts(watch, days)
        coverage = self.coverage(watch.place)
        days = coverage.over(completed(days, nowcasts))
        by_week = whole_weeks(days)
        points = range(max(0, len(by_week) - weeks), len(by_week))
        method, verdicts = watch.method.name, judged(watch.method, by_week, points)
        newest = verdicts[-1] if verdicts else None
        if watch.otherwise is not None and newest is not None and newest.reason in _UNJUDGED:
            others = judged(watch.otherwise, by_week, points)
            if others[-1].reason not in _UNJUDGED:
                method, verdicts = watch.otherwise.name, others
        return Examined(watch, days, by_week, nowcasts, verdicts, method, coverage)

    def coverage(self, place: str) -> Coverage:
        """Of a place."""
        if place not in self._coverage:
            self._coverage[place] = cover(self._counts, self._rules.file.coverage, place, self._start, self.now)
        return self._coverage[place]

    def _nowcasts(self, watch: Watch, days: Series) -> tuple[Nowcast, ...]:
        """By the delays of the series itself where it is large enough, else by those of its place, else of France."""
        options = self._rules.file.nowcast
        if sum(count or 0 for count in days.counts[-options.m :]) >= options.own:
            return self._foreseen(self._query(watch))
        for place in dict.fromkeys((watch.place, "FR")):
            if place not in self._delays:
                self._delays[place] = self._foreseen(
                    Query(ALL, By.ANY, place, as_of=self.now, start=self._start, end=self._newest)
                )
            found = self._delays[place]
            if sum(nowcast.reported for nowcast in found) >= options.own:
                break
        return tuple(_thinner(nowcast, days) for nowcast in self._delays["FR" if place == "FR" else place])

    def _foreseen(self, query: Query) -> tuple[Nowcast, ...]:
        """Nowcasts of the days within the longest delay."""
        options = self._rules.file.nowcast
        start = max(self._newest - timedelta(days=options.m - 1), query.start or self._newest)
        query = replace(query, start=start)
        made = Options(m=options.m, weekday=options.weekday)
        found = self._counts.nowcast(query, now=self.now, longest=options.longest, step=Step.DAY, options=made)
        return found.nowcasts

    def _found(self, looks: Sequence[Examined]) -> Iterator[Finding]:
        """Control of false alarms among series judged together, and what speaks against the alarms."""
        verdicts = [look.verdicts[-1] if look.verdicts else _missing(look) for look in looks]
        q = looks[0].watch.q if looks else None
        adjust = self._rules.file.adjust
        decisions = several.control(verdicts, q, method=adjust) if q is not None and adjust != "none" else None
        for place, (look, verdict) in enumerate(zip(looks, verdicts, strict=True)):
            watch = look.watch
            lasts = verdict.alarm and (verdict.observed or 0) >= watch.least
            decided = decisions[place] if decisions is not None else None
            # A method without p values (C3, CUSUM) is no test that could be controlled: its alarm stands by itself.
            alarm = lasts and (decided is None or decided.p_value is None or decided.alarm)
            share = float(look.weeks.shares()[-1]) if len(look.weeks) else 1.0
            doubt = float(look.weeks.doubts()[-1]) if len(look.weeks) else 0.0
            finding = Finding(
                watch, look.period, verdict, look.method, verdict.p_value, decided.adjusted if decided else None,
                alarm, lasts, min(1.0, share),
                *foreseen(verdict.observed, look.coverage.arriving(share, look.period.last), doubt), as_of=self.now,
            )  # fmt: skip
            yield self._told(look, finding) if alarm or lasts else finding

    def _told(self, look: Examined, finding: Finding) -> Finding:
        """An alarm with its evidence and its caveats."""
        query = replace(self._query(look.watch), start=finding.period.first, end=finding.period.last)
        known = self._counts.certificates(query, limit=IDS, oldest=True)
        codings = caveats.codings(self._counts, self._rules.file.coding, finding.period, self.now)
        notes = (
            *caveats.of_coverage(self._counts, ALL, self._rules.file.coverage, look, finding),
            *caveats.of_versions(codings, self._rules.file.coding, finding.period),
        )
        return replace(
            finding, certificates=tuple(death.certificate_id for death in known), notes=notes,
            versions=codings.commonest,
        )  # fmt: skip


def examine(counts: Counts, watch: Watch, rules: Rules, now: date, weeks: int = 1) -> Examined:
    """One series as it is judged on a day, with verdicts on its newest weeks.

    Raises:
        InvalidData: there is no death in the counts.
    """
    detection = Detection(counts, rules, now)
    return detection.examine(watch, weeks)


def judged(judge: Judge, weeks: Series, points: Sequence[int] | range) -> tuple[Verdict, ...]:
    """Verdicts of a method by its options."""
    return methods.judge(judge.name, weeks, judge.options, points)


def whole_weeks(days: Series) -> Series:
    """Weeks that end with the newest day."""
    return days.weeks(days.day(len(days)).weekday())


def foreseen(observed: float | None, share: float, doubt: float) -> tuple[float | None, float | None, float | None]:
    """Deaths of a week in all, with 95 % bounds: what is still to come is a negative binomial count around (n + ½)(1 - share) /
    share, and the share itself is in doubt; both spreads together, as a normal one, never below what is here.
    """
    if observed is None or share <= 0:
        return None, None, None
    share = min(1.0, share)
    ahead = (observed + 0.5) * (1 - share) / share
    spread = (ahead / share + ((observed + ahead) * doubt) ** 2) ** 0.5
    reach = chance.normal(0.975) * spread
    return observed / share, max(observed, observed + ahead - reach), observed + ahead + reach


def _thinner(nowcast: Nowcast, days: Series) -> Nowcast:
    """The shares of a larger series around the count of a smaller one."""
    place = days.index(nowcast.day)
    count = days.counts[place] if 0 <= place < len(days) else None
    estimate, low, high = foreseen(count, nowcast.share, nowcast.doubt)
    return replace(nowcast, reported=int(count or 0), estimate=estimate, low=low, high=high)


def _missing(look: Examined) -> Verdict:
    return Verdict(look.period.first, look.method, None, reason=Reason.TOO_SHORT)
