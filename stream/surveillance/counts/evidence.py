"""What stands behind a count: certificates, strata, and who coded them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import CodedStatus, Modality
from stream.errors import InvalidSettings
from stream.surveillance.counts.ages import AGES
from stream.surveillance.counts.cells import Asked, held
from stream.surveillance.counts.frame import Frame
from stream.surveillance.counts.knowledge import SOURCES, numbers
from stream.surveillance.counts.places import WHOLE
from stream.surveillance.counts.query import By, Coding, Known, KnownDeath, Stratum
from stream.surveillance.counts.tables import CELLS, CODERS, CODINGS, DEATHS, day_number, day_of

STRATA = ("place", "age", "sex", "source", "status")
_SOURCES = {letter: source for source, letter in SOURCES.items()}
_DAYS = 2_000


def certificates(
    connection: Connection, asked: Asked, days: range, limit: int, *, oldest: bool = False
) -> list[KnownDeath]:
    """Deaths of a cell, those that became known last first.

    Args:
        connection: of a reading transaction.
        asked: the cell.
        days: of death, not more than fit into a statement.
        limit: most of them.
        oldest: by day of death instead, the first first; those of one day as they became known.
    """
    query, c = asked.query, DEATHS.c
    as_of = None if query.as_of is None else day_number(query.as_of)
    # The cells tell on which days anybody died so: of a rare group that is a day or two.
    some = [CELLS.c.death_day.in_(list(days)), *asked.conditions(CELLS), *asked.known(CELLS)]
    died = [day for (day,) in connection.execute(sa.select(CELLS.c.death_day).where(*some).distinct())]
    where = [*held(DEATHS, as_of), c.withdrawn == 0, c.death_day.in_(died)]
    if asked.places != (WHOLE,):
        where.append(c.place.in_(asked.places))
    if query.age is not None:
        where.append(c.age == AGES.index(query.age))
    if query.sex is not None:
        where.append(c.sex == query.sex.value)
    if query.source is not None:
        where.append(c.source == SOURCES[query.source.value])
    if query.status is Known.FINAL:
        where.append(c.final == 1)
    chosen = sa.select(
        c.certificate_id, c.version, c.death_day, c.since, c.place, c.final, c.due, c.mentioned
    ).where(*where).order_by(
        *((c.death_day, c.since, c.coded_at) if oldest else (c.since.desc(), c.coded_at.desc())), c.certificate_id
    )  # fmt: skip
    found: list[KnownDeath] = []
    for row in connection.execute(chosen):
        groups = numbers(bytes(row.due))
        if query.by is By.ANY:
            groups += numbers(bytes(row.mentioned))
        if asked.number not in groups:
            continue
        status = CodedStatus.FINAL if row.final else CodedStatus.PROVISIONAL
        found.append(
            KnownDeath(row.certificate_id, row.version, day_of(row.death_day), day_of(row.since), row.place, status)
        )
        if len(found) == limit:
            break
    return found


def undated(connection: Connection) -> int:
    """Certificates that hold and tell no day of death."""
    where = [*held(DEATHS, None), DEATHS.c.withdrawn == 0, DEATHS.c.death_day.is_(None)]
    return int(connection.execute(sa.select(sa.func.count()).select_from(DEATHS).where(*where)).scalar() or 0)


def strata(connection: Connection, asked: Asked, days: range, frame: Frame, by: Sequence[str]) -> list[Stratum]:
    """Deaths of the stream over days, apart by some of `STRATA`; older counts play no part.

    Raises:
        InvalidSettings: something else to keep apart.
    """
    unknown = [name for name in by if name not in STRATA]
    if unknown or not by:
        raise InvalidSettings(f"strata are of {', '.join(STRATA)}")
    if frame.boundary is not None:
        days = range(max(days.start, frame.boundary + 1), days.stop)
    columns = [CELLS.c[name] for name in by if name != "status"]
    where = asked.conditions(CELLS)
    if "place" in by and asked.places == (WHOLE,):
        # Department by department, deaths without one among them: the place is the second column of the key.
        where[1] = CELLS.c.place != WHOLE
    due = asked.query.by is By.UNDERLYING
    sums = [
        sa.func.sum(CELLS.c.due if due else CELLS.c.deaths),
        sa.func.sum(CELLS.c.final_due if due else CELLS.c.final),
    ]
    found: dict[tuple[str, ...], int] = defaultdict(int)
    for at in range(0, len(days), _DAYS):
        some = days[at : at + _DAYS]
        within = [CELLS.c.death_day.in_(list(some)), *where, *asked.known(CELLS)]
        for *values, all_of_them, final in connection.execute(
            sa.select(*columns, *sums).where(*within).group_by(*columns)
        ):
            told = _told(by, values)
            if "status" not in by:
                found[told] += int((final if asked.query.status is Known.FINAL else all_of_them) or 0)
                continue
            place = list(by).index("status")
            for status, count in ((Known.FINAL.value, final), ("PROVISIONAL", (all_of_them or 0) - (final or 0))):
                found[(*told[:place], status, *told[place:])] += int(count or 0)
    return [Stratum(key, deaths) for key, deaths in sorted(found.items()) if deaths]


def _told(by: Sequence[str], values: Sequence[object]) -> tuple[str, ...]:
    told = []
    for name, value in zip([name for name in by if name != "status"], values, strict=True):
        if name == "age":
            told.append(AGES[int(str(value))])
        else:
            told.append(_SOURCES[str(value)] if name == "source" else str(value))
    return tuple(told)


def codings(connection: Connection, periods: Sequence[int], step: int, as_of: int | None) -> list[Coding]:
    """Who coded the deaths of periods.

    Args:
        connection: of a reading transaction.
        periods: first days, ascending and without holes.
        step: days of each.
        as_of: day of knowledge; now when None.
    """
    if not periods:
        return []
    c, first = CODINGS.c, periods[0]
    names = [column for column in CODERS.c if column.name != "coding"]
    chosen = (
        sa.select(c.death_day, *names, sa.func.sum(c.deaths))
        .join(CODERS, CODERS.c.coding == c.coding)
        .where(c.death_day >= first, c.death_day < periods[-1] + step, *held(CODINGS, as_of))
        .group_by(c.death_day, *names)
    )
    counted: dict[tuple[int, tuple[str, ...]], int] = defaultdict(int)
    in_all: dict[int, int] = defaultdict(int)
    for day, *coder, deaths in connection.execute(chosen):
        period = first + (day - first) // step * step
        counted[period, tuple(coder)] += int(deaths)
        in_all[period] += int(deaths)
    found = []
    for (period, values), deaths in sorted(counted.items()):
        told = dict(zip((column.name for column in names), values, strict=True))
        modality = Modality(told.pop("modality"))
        found.append(
            Coding(period=day_of(period), modality=modality, deaths=deaths, share=deaths / in_all[period], **told)
        )
    return found
