"""What may make an alarm out of nothing: more certificates that arrive, another way of coding them.

Each check asks whether the alarm would stand were it so. Where it would not, the alarm is held: told, with the reason,
but to no sink.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from stream.certificate import Source
from stream.surveillance.alerts.clauses import Coding as CodingRules
from stream.surveillance.alerts.clauses import Covering
from stream.surveillance.alerts.finding import Caveat, Finding, Note
from stream.surveillance.counts import By, Counts, Query
from stream.surveillance.detection import methods
from stream.surveillance.detection.series import Period, Series, Step

if TYPE_CHECKING:
    from stream.surveillance.alerts.judging import Examined

HALF_YEAR = timedelta(days=182)
"""Weeks that count as of now: no method's baseline of earlier years reaches into them."""
SHARE = 0.5
"""Of the period's deaths that what codes now must have coded before it counts as changed."""
KNOWN = 0.25
"""Of the deaths of the four weeks before that it has coded where it is not new."""


def of_coverage(counts: Counts, group: str, options: Covering, look: Examined, finding: Finding) -> Iterator[Note]:
    """Whether more of the deaths arrive than of those that they are compared with.

    Args:
        counts: read as of the day.
        group: of all deaths.
        options: what counts as a change.
        look: the series.
        finding: the alarm.
    """
    coverage = look.coverage
    if not 1 / options.ratio < coverage.ratio < options.ratio:
        now, before = coverage.now or 0.0, coverage.before or 0.0
        if coverage.registered:
            yield Note(
                Caveat.COVERAGE,
                f"certificates arrive of {now:.0%} of the registered deaths, of {before:.0%} a year ago and before; the "
                "baseline is corrected for it",
            )
        elif coverage.ratio > 1:
            stands = _stands(look, coverage.ratio, finding.period.last - HALF_YEAR)
            yield Note(
                Caveat.COVERAGE,
                f"certificates of all causes were {now:.2f} times those of earlier years in the weeks before; "
                + ("corrected for it the alarm stands" if stands else "corrected for it nothing is left of the alarm"),
                not stands,
            )
    yield from _leap(counts, group, options, look, finding)


def _leap(counts: Counts, group: str, options: Covering, look: Examined, finding: Finding) -> Iterator[Note]:
    """Whether the electronic share leaps from the weeks before, each as it was known at its own end, to this one."""
    query = Query(group, By.ANY, look.watch.place, as_of=finding.as_of)
    weeks = [_sources(counts, query, finding.period, back) for back in range(options.weeks + 1)]
    (electronic, total), past = weeks[0], [week for week in weeks[1:] if week[1]]
    if not total or len(past) < options.weeks // 2:
        return
    before = sum(part for part, _ in past) / sum(whole for _, whole in past)
    more = total / (sum(whole for _, whole in past) / len(past))
    if electronic / total - before < options.jump or more <= 1:
        return
    stands = _stands(look, more, finding.period.first)
    yield Note(
        Caveat.COVERAGE,
        f"the electronic share leapt from {before:.0%} to {electronic / total:.0%}, with {more:.2f} times the certificates "
        "of the weeks before; " + ("corrected for it the alarm stands" if stands else "this may be all there is to it"),
        not stands,
    )


def _sources(counts: Counts, query: Query, period: Period, back: int) -> tuple[int, int]:
    """Electronic and all certificates of the period so many weeks before, as they were known then."""
    ago = timedelta(days=7 * back)
    then = None if query.as_of is None else query.as_of - ago
    asked = replace(query, start=period.first - ago, end=period.last - ago, as_of=then)
    found = {stratum.key[0]: stratum.deaths for stratum in counts.strata(asked, "source")}
    return found.get(Source.ELECTRONIC, 0), sum(found.values())


def _stands(look: Examined, ratio: float, since: date) -> bool:
    """Whether the newest week is beyond its threshold were so many times more of the deaths since a day here."""
    weeks = look.weeks
    shares = [
        share * ratio if weeks.day(i) >= since else share for i, share in enumerate(weeks.shares().tolist())
    ]  # fmt: skip
    corrected: Series = replace(weeks, completeness=tuple(shares))
    watch = look.watch
    judge = watch.method if look.method == watch.method.name or watch.otherwise is None else watch.otherwise
    (verdict,) = methods.judge(judge.name, corrected, judge.options, [len(corrected) - 1])
    return verdict.alarm


@dataclass(frozen=True, slots=True)
class Codings:
    """What coded the deaths of a period.

    Attributes:
        commonest: what coded most of them, in words.
        new: share of the period's deaths that was coded by what hardly coded any before.
        since: first day (of death, or first day of the week) of what coded most of them; None where it always did.
        what: which parts of it are new.
    """

    commonest: str = ""
    new: float = 0.0
    since: date | None = None
    what: tuple[str, ...] = ()


PARTS = ("coder", "rules", "lexicon", "underlying")
"""What a change of could change codes."""


def codings(counts: Counts, options: CodingRules, period: Period, now: date) -> Codings:
    """What coded a period's deaths, and what coded those before."""
    here: Counter[tuple[str, ...]] = Counter()
    for row in counts.versions(period.first, period.last, Step.DAY, as_of=now):
        here[tuple(getattr(row, part) for part in PARTS)] += row.deaths
    total = sum(here.values())
    if not total:
        return Codings()
    top = max(here, key=lambda key: (here[key], key))
    named = ", ".join(f"{part} {value}" for part, value in zip(PARTS, top, strict=True) if value)
    back = max(28, options.note)
    rows = counts.versions(period.first - timedelta(days=back), period.first - timedelta(days=1), Step.DAY, as_of=now)
    recent: Counter[tuple[str, ...]] = Counter()
    whole: Counter[date] = Counter()
    own: Counter[date] = Counter()
    for row in rows:
        key = tuple(getattr(row, part) for part in PARTS)
        whole[row.period] += row.deaths
        if key == top:
            own[row.period] += row.deaths
        if row.period >= period.first - timedelta(days=28):
            recent[key] += row.deaths
    # A late certificate of an old death is coded by what codes now: the first day of which it coded most is meant.
    first = min((day for day in whole if own[day] >= SHARE * whole[day]), default=None)
    earlier = any(own[day] < SHARE * whole[day] for day in whole)
    before = sum(recent.values())
    new = sum(deaths for key, deaths in here.items() if before and recent[key] < KNOWN * before) / total
    if not earlier:
        return Codings(named)
    old = max(recent, key=lambda key: (recent[key], key)) if recent else top
    what = tuple(part for part, a, b in zip(PARTS, top, old, strict=True) if a != b)
    return Codings(named, new if before else 0.0, first or period.first, what)


def of_versions(found: Codings, options: CodingRules, period: Period) -> Iterator[Note]:
    """Whether the deaths were coded by other rules or models than those before."""
    if found.since is None:
        return
    ago = (period.last - found.since).days
    if found.new >= SHARE and ago <= options.hold + 7:
        changed = " and ".join(found.what) or "its versions"
        yield Note(
            Caveat.VERSION,
            f"the coding changed in {changed}: {found.new:.0%} of these deaths were coded by what coded hardly any of the "
            "four weeks before; held until the new coding has been at work for a while",
            ago <= options.hold,
        )
    elif ago <= options.note:
        yield Note(Caveat.VERSION, f"most of these deaths were coded by versions that first appear on {found.since}")
