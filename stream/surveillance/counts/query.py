"""What is asked of the counts, and what they answer beside a series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from stream.certificate import Sex, Source
from stream.coding import CodedStatus, Modality
from stream.errors import InvalidSettings
from stream.surveillance.counts.ages import AGES
from stream.surveillance.counts.places import WHOLE, department_code, load_places
from stream.surveillance.detection.nowcast import Nowcast
from stream.surveillance.detection.series import Series


class By(StrEnum):
    """How a death belongs to a group: by its underlying cause, or by it or any mention."""

    ANY = "ANY"
    UNDERLYING = "UNDERLYING"


class Known(StrEnum):
    """Which results count: all of them, or those that are official."""

    ALL = "ALL"
    FINAL = "FINAL"


def check_place(place: str) -> None:
    """Raises InvalidSettings for what is no place. A department that the table does not know may stand on certificates."""
    if not place or (place not in load_places() and department_code(place) != place):
        raise InvalidSettings(f"{place!r} is no place", hint="FR, a region as R-84, a department as 33")


@dataclass(frozen=True, slots=True)
class Query:
    """Deaths that a series counts.

    Attributes:
        group: id of a syndromic group.
        by: by underlying cause alone, or by any mention too.
        place: of death: ``FR`` (all of the stream), a region as ``R-84``, a department as ``33``.
        age: one of `AGES`; all when None.
        sex: all and unknown when None.
        source: way of the certificate; both when None.
        status: all results, or official ones alone.
        as_of: what was known at the end of that day (UTC); all that is known when None.
        start: first day of death.
        end: last day of death.
    """

    group: str
    by: By = By.ANY
    place: str = WHOLE
    age: str | None = None
    sex: Sex | None = None
    source: Source | None = None
    status: Known = Known.ALL
    as_of: date | None = None
    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        if self.age is not None and self.age not in AGES:
            raise InvalidSettings(f"{self.age} is no age group", hint=", ".join(AGES))
        check_place(self.place)


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch of records did to the counts.

    Attributes:
        records: of `coded`, read.
        new: certificates that were not known before.
        moved: certificates known before whose history changed.
        withdrawn: certificates that are withdrawn now and were not.
        conflicts: records that claim the version of another for other contents; the order of `supersedes` chose.
        unread: records that are no coded certificate.
        days: days of death of which any count changed.
    """

    records: int = 0
    new: int = 0
    moved: int = 0
    withdrawn: int = 0
    conflicts: int = 0
    unread: int = 0
    days: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Stratum:
    """Deaths of one combination of what was asked apart."""

    key: tuple[str, ...]
    deaths: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A series with what is still to come.

    Attributes:
        series: counts as known at the end of `now`, with completeness and doubt, as detection reads them.
        nowcasts: of all its steps that are not complete yet, and of complete ones within the triangle.
        now: last day of knowledge.
    """

    series: Series
    nowcasts: tuple[Nowcast, ...]
    now: date


class Basis(StrEnum):
    """What an expected number of deaths rests on.

    CIVIL: a file of civil registration; HISTORY: the same season of earlier years; RECENT: the settled weeks just
    before; NONE: nothing is known.
    """

    CIVIL = "CIVIL"
    HISTORY = "HISTORY"
    RECENT = "RECENT"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Completeness:
    """Certificates of one period, place and source.

    Attributes:
        period: first day.
        place: a department or a region where they were asked apart, else the whole.
        source: where sources were asked apart.
        arrived: certificates known.
        expected: deaths, or the usual share of them that comes by this source; None where nothing tells.
        basis: of that number.
    """

    period: date
    place: str
    source: Source | None
    arrived: int
    expected: float | None
    basis: Basis

    @property
    def share(self) -> float | None:
        """Of the expected certificates that are here; over 1 where more came."""
        return self.arrived / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class Coding:
    """How deaths of a period were coded: a share of them by the same coder and the same versions."""

    period: date
    modality: Modality
    software: str
    nomenclature: str
    lexicon: str
    rules: str
    coder: str
    underlying: str
    policy: str
    deaths: int
    share: float


@dataclass(frozen=True, slots=True)
class KnownDeath:
    """A certificate behind a count; no text, no codes."""

    certificate_id: str
    version: int
    death_date: date
    known: date
    department: str
    status: CodedStatus
