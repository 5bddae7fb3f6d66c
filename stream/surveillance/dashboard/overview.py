"""What the first page tells: what is unusual, where, how sure; how many died; how much of it is here, how fresh it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from stream.certificate import Source
from stream.surveillance.alerts.judging import ALL
from stream.surveillance.alerts.register import Choice as Asked
from stream.surveillance.alerts.register import Run
from stream.surveillance.counts import Completeness
from stream.surveillance.dashboard import notices
from stream.surveillance.dashboard.chart import Spark, spark
from stream.surveillance.dashboard.choice import COUNTRY, Choice
from stream.surveillance.dashboard.curve import Curve, Point
from stream.surveillance.dashboard.figures import Figures, Parts
from stream.surveillance.dashboard.notices import Notice
from stream.surveillance.dashboard.rights import Rights
from stream.surveillance.dashboard.suppression import LEAST
from stream.surveillance.detection.series import Step

MOST = 500
"""Alerts that are read at once."""
ARRIVED_WEEKS = 8
SPARK_WEEKS = 26
WHOLE = Choice(ALL)
"""All deaths of France."""


@dataclass(frozen=True, slots=True)
class Unusual:
    """A group in alert: its alerts, the widest place first, and a drawing of each series."""

    group: str
    notices: tuple[Notice, ...]
    sparks: Mapping[str, Spark]

    @property
    def first(self) -> Notice:
        """The alert that speaks for the group."""
        return self.notices[0]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Certificates of a week: how many came, of how many; None where it is not known, or not shown.

    `exact` tells whether the numbers are shown beside the share.
    """

    week: date
    place: str
    source: Source | None
    arrived: int | None
    expected: float | None
    share: float | None
    basis: str


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page.

    Attributes:
        now: newest day on which anything became known.
        as_of: day of the state of knowledge that is shown; None for now.
        total: all deaths of France.
        settled: its newest week of which most is here.
        unusual: groups in alert, what presses most first.
        singles: alerts of one death.
        arrived: certificates by week, newest first.
        sources: certificates of the settled week by source.
        map: deaths by department in the settled week.
        run: the last look of detection; None where there was none.
        hidden: whether small counts are not shown.
    """

    now: date | None
    as_of: date | None
    total: Curve
    settled: Point | None
    unusual: tuple[Unusual, ...]
    singles: tuple[Notice, ...]
    arrived: tuple[Arrived, ...]
    sources: tuple[Arrived, ...]
    map: Parts | None
    run: Run | None
    hidden: bool

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All alerts that go on."""
        return (*(notice for one in self.unusual for notice in one.notices), *self.singles)


def build(figures: Figures, rights: Rights) -> Overview:
    """The first page for these rights."""
    return figures.kept(("overview", rights), lambda: _build(figures, rights))


def _build(figures: Figures, rights: Rights) -> Overview:
    total = figures.curve(WHOLE, rights)
    settled = total.settled
    found = open_notices(figures, rights)
    runs = figures.register.runs(1)
    newest = total.newest
    return Overview(
        figures.now(), None if rights.small else figures.snapshot(), total, settled,
        _unusual(figures, rights, [notice for notice in found if not notice.single]),
        tuple(notice for notice in found if notice.single),
        arrived(figures, rights, newest.last if newest else None, ()),
        arrived(figures, rights, settled.last if settled else None, ("source",), weeks=1),
        figures.parts(WHOLE, rights, "department", settled.day) if settled and settled.expected else None,
        runs[0] if runs else None, not rights.small,
    )  # fmt: skip


def open_notices(figures: Figures, rights: Rights) -> tuple[Notice, ...]:
    """Alerts that go on, as these rights show them: what presses most first."""
    return listed(figures, rights, Asked(open=True, limit=MOST))


def listed(figures: Figures, rights: Rights, asked: Asked) -> tuple[Notice, ...]:
    """Some alerts, as these rights show them."""
    alerts = figures.kept(("alerts", asked), lambda: figures.register.alerts(asked))
    found = (notices.shown(alert, figures, rights) for alert in alerts)
    return tuple(sorted((notice for notice in found if notice is not None), key=_pressing))


def _pressing(notice: Notice) -> tuple[bool, bool, int, float, str]:
    return bool(notice.muted), notice.held, -notice.level, -(notice.score or notice.ratio or 0.0), notice.alert_id


def _unusual(figures: Figures, rights: Rights, found: Sequence[Notice]) -> tuple[Unusual, ...]:
    by_group: dict[str, list[Notice]] = {}
    for notice in found:
        by_group.setdefault(notice.group, []).append(notice)
    made = []
    for group, ones in by_group.items():
        ones.sort(key=lambda one: (_width(one), *_pressing(one)))
        sparks = {}
        for one in ones:
            points = figures.curve(one.choice.but(span=SPARK_WEEKS), rights).points
            sparks[one.alert_id] = spark(points)
        made.append(Unusual(group, tuple(ones), sparks))
    return tuple(sorted(made, key=lambda one: min(_pressing(notice) for notice in one.notices)))


def _width(notice: Notice) -> int:
    """The country before regions before departments; whole series before narrowed ones."""
    place = 0 if notice.place == COUNTRY else 1 if notice.place.startswith("R-") else 2
    return 2 * place + (notice.age is not None or notice.sex is not None)


def arrived(
    figures: Figures, rights: Rights, end: date | None, by: tuple[str, ...], weeks: int = ARRIVED_WEEKS,
    place: str = COUNTRY,
) -> tuple[Arrived, ...]:  # fmt: skip
    """Certificates of the weeks up to a day, newest first."""
    if end is None:
        return ()
    start = end - timedelta(days=7 * weeks - 1)
    as_of = None if rights.small else figures.snapshot()
    rows = figures.kept(
        ("completeness", start, end, by, place, as_of),
        lambda: figures.counts.completeness(start, end, step=Step.WEEK, by=by, place=place, as_of=as_of),
    )
    return tuple(_arrived(rows, rights))


def _arrived(rows: Iterable[Completeness], rights: Rights) -> Iterable[Arrived]:
    for row in sorted(rows, key=lambda row: (-row.period.toordinal(), row.place, row.source or "")):
        share = row.share
        if rights.small:
            yield Arrived(row.period, row.place, row.source, row.arrived, row.expected, share, row.basis.value)
            continue
        # A share of few certificates tells their number.
        few = row.arrived < 4 * LEAST or (row.expected or 0) < 4 * LEAST
        # With what was expected, to be guessed from earlier years, a finer share would tell the count.
        told = None if share is None or few else round(20 * share) / 20
        yield Arrived(row.period, row.place, row.source, None, None, told, row.basis.value)
