"""What was known of a certificate, and since when: records of any order, any number of times, make one history.

A record is known from a day on. Of those known on a day, the one that supersedes the others holds. So a record that
another one beats on the same day or earlier never holds, and is forgotten; those that remain follow one another in time
and in rank. Such a history of two sets of records together is that of their two histories together, which is why the
order of the topic, duplicates and replays make no difference.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple

from stream.coding import CodedCertificate, CodedStatus, Modality
from stream.surveillance.counts.ages import age_group
from stream.surveillance.counts.places import department_of
from stream.surveillance.counts.tables import day_number

_START = datetime(1970, 1, 1, tzinfo=UTC)
SOURCES = {"ELECTRONIC": "E", "PAPER": "P"}


def packed(groups: Iterable[int]) -> bytes:
    """Numbers of groups, two bytes each, ascending."""
    ordered = sorted(groups)
    return struct.pack(f"<{len(ordered)}H", *ordered)


@lru_cache(20_000)
def numbers(groups: bytes) -> tuple[int, ...]:
    """The numbers again."""
    return struct.unpack(f"<{len(groups) // 2}H", groups)


class Cell(NamedTuple):
    """Where a death is counted. `day` is None where the certificate tells none: it is counted nowhere."""

    day: int | None
    place: str
    age: int
    sex: str
    source: str


class Result(NamedTuple):
    """A coded record as the counts know it. The fields in their order are the order of `stream.coding.supersedes`.

    What stands behind `content_hash` only tells apart records that are equal in rank and yet different, which nothing
    but a fault makes; any order will do there, if it is always the same.

    Attributes:
        coded_at: microseconds since 1970.
        coding: who coded it (`counts_coders`).
        due: numbers of the groups that the death is due to, two bytes each, ascending.
        mentioned: those that it only mentions.
    """

    version: int
    withdrawn: bool
    human: bool
    revision: int
    coded_at: int
    content_hash: str
    final: bool
    dated: bool
    cell: Cell
    coding: int
    due: bytes
    mentioned: bytes


class Stay(NamedTuple):
    """A result and the first day on which it held."""

    since: int
    result: Result


History = tuple[Stay, ...]
"""Stays of a certificate, in the order of time; each ends where the next begins."""


def known_day(coded: CodedCertificate) -> date:
    """Day (UTC) on which a record became known: a machine's first result with the certificate, all others when made."""
    first = coded.revision == 0 and coded.modality is not Modality.HUMAN
    moment = coded.received_at if first and coded.received_at is not None else coded.coded_at
    return moment.astimezone(UTC).date()


def stay(coded: CodedCertificate, coding: int, due: bytes, mentioned: bytes) -> Stay:
    """A record as one stay."""
    day = None if coded.death_date is None else day_number(coded.death_date)
    cell = Cell(
        day, department_of(coded.place), age_group(coded.age, coded.form), coded.sex.value, SOURCES[coded.source.value]
    )
    result = Result(
        coded.version, coded.status is CodedStatus.WITHDRAWN, coded.modality is Modality.HUMAN, coded.revision,
        microseconds(coded.coded_at), coded.content_hash, coded.status is CodedStatus.FINAL, day is not None, cell, coding,
        due, mentioned,
    )  # fmt: skip
    return Stay(day_number(known_day(coded)), result)


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    past = moment - _START
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def history(stays: Iterable[Stay]) -> History:
    """What held, day by day, of any stays."""
    found: list[Stay] = []
    for came in sorted(stays, key=_order):
        if found and _rank(came.result) <= _rank(found[-1].result):
            continue
        if found and found[-1].since == came.since:
            found.pop()
        found.append(came)
    return tuple(found)


def _order(came: Stay) -> tuple[int, Result]:
    return came.since, _rank(came.result)


def _rank(result: Result) -> Result:
    """Comparable: a cell without a day compares with one that has one by `dated` alone."""
    return result if result.cell.day is not None else result._replace(cell=result.cell._replace(day=0))


def same_version(a: Result, b: Result) -> bool:
    """Whether two results claim one version for different contents."""
    return a.version == b.version and a.content_hash != b.content_hash
