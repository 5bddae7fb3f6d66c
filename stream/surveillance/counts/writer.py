"""Coded records into the tables, in a transaction of the caller's."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

import sqlalchemy as sa
import structlog
from pydantic import ValidationError
from sqlalchemy import Connection

from stream.coding import CodedCertificate, read_coded
from stream.database import upsert
from stream.reader import Read
from stream.surveillance.counts import bulk, numbering
from stream.surveillance.counts.knowledge import Cell, History, Result, Stay, history, packed, same_version, stay
from stream.surveillance.counts.query import Folded
from stream.surveillance.counts.sums import Sums
from stream.surveillance.counts.tables import CELLS, CODERS, CODINGS, DEATHS, FOREVER, day_of
from stream.surveillance.groups import Groups

log = structlog.get_logger("causa.counts")
SUBJECT = "coded"
_IDS = 10_000
_CODER = ("modality", "software", "nomenclature", "lexicon", "rules", "coder", "underlying", "policy")


class Writer:
    """Folds records into counts.

    Args:
        groups: whose members are counted.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._number = {group.id: number for number, group in enumerate(groups)}
        self._packed = lru_cache(100_000)(self._pack)

    def fold(self, connection: Connection, reads: Sequence[Read]) -> Folded:
        """Records of `coded`; those of other topics are left. See `Counts.fold`."""
        coded: list[CodedCertificate] = []
        unread = 0
        for read in reads:
            if read.subject != SUBJECT:
                continue
            try:
                coded.append(read_coded(read.value))
            except ValidationError:
                # It decoded under its schema: waiting would stop all counts, and would not mend it.
                unread += 1
                log.warning("no coded certificate", topic=read.place.topic, partition=read.place.partition,
                            offset=read.place.offset)  # fmt: skip
        return self.take(connection, coded, unread=unread)

    def take(self, connection: Connection, coded: Sequence[CodedCertificate], *, unread: int = 0) -> Folded:
        """The same of records that are values already."""
        if not coded:
            return Folded(unread=unread)
        # Two transactions that read the same histories must not both add to them: one of them fails here.
        numbering.moved(connection, self._groups.version)
        came: dict[str, list[Stay]] = defaultdict(list)
        coders: dict[int, tuple[str, ...]] = {}
        for record in coded:
            coder = _coder(record)
            coding = _coding(coder)
            coders[coding] = coder
            membership = self._groups.apart(record)
            due, mentioned = self._packed(membership.due, membership.mentioned)
            came[record.certificate_id].append(stay(record, coding, due, mentioned))
        before = _held(connection, tuple(came))
        sums = Sums()
        gone: list[tuple[str]] = []
        rows: list[tuple[object, ...]] = []
        new = moved = withdrawn = conflicts = 0
        for certificate_id, stays in came.items():
            was = before.get(certificate_id, ())
            if was or len(stays) > 1:
                conflicts += _conflicts(was, stays)
            now = history((*was, *stays))
            if now == was:
                continue
            if was:
                sums.put(was, -1)
                gone.append((certificate_id,))
                moved += 1
            else:
                new += 1
            withdrawn += now[-1].result.withdrawn and not (was and was[-1].result.withdrawn)
            sums.put(now)
            rows += _rows(certificate_id, now)
        upsert(connection, CODERS, [
            {"coding": coding, **dict(zip(_CODER, coder, strict=True))} for coding, coder in sorted(coders.items())
        ], keep=True)  # fmt: skip
        bulk.delete(connection, DEATHS, ("certificate_id",), gone)
        bulk.insert(connection, DEATHS, rows)
        days = _write(connection, sums)
        if conflicts:
            log.warning("versions with more than one content", count=conflicts)
        return Folded(len(coded), new, moved, withdrawn, conflicts, unread, frozenset(map(day_of, days)))

    def _pack(self, due: frozenset[str], mentioned: frozenset[str]) -> tuple[bytes, bytes]:
        return packed(self._number[group] for group in due), packed(self._number[group] for group in mentioned - due)


def _write(connection: Connection, sums: Sums) -> set[int]:
    """Put changes of sums into the tables; the days of death that they touch."""
    cells = sums.cells()
    bulk.add(connection, CELLS, [(*key, *counts) for key, counts in cells.items()])
    # Nothing is kept of a cell that holds nobody: the tables are the same whatever happened on the way.
    less = [key for key, counts in cells.items() if min(counts) < 0]
    bulk.delete(connection, CELLS, tuple(column.name for column in CELLS.primary_key), less, bulk.empty(CELLS))
    codings = sums.codings()
    bulk.add(connection, CODINGS, [(*key, count) for key, count in codings.items()])
    fewer = [key for key, count in codings.items() if count < 0]
    bulk.delete(connection, CODINGS, tuple(column.name for column in CODINGS.primary_key), fewer, bulk.empty(CODINGS))
    return {key[0] for key in cells}


def _held(connection: Connection, ids: Sequence[str]) -> dict[str, History]:
    """Histories of certificates as the table has them."""
    found: dict[str, list[Stay]] = defaultdict(list)
    for at in range(0, len(ids), _IDS):
        chosen = sa.select(DEATHS).where(DEATHS.c.certificate_id.in_(ids[at : at + _IDS]))
        for row in connection.execute(chosen.order_by(DEATHS.c.certificate_id, DEATHS.c.since)):
            cell = Cell(row.death_day, row.place, row.age, row.sex, row.source)
            found[row.certificate_id].append(Stay(row.since, Result(
                row.version, bool(row.withdrawn), bool(row.human), row.revision, row.coded_at, row.content_hash,
                bool(row.final), row.death_day is not None, cell, row.coding, bytes(row.due), bytes(row.mentioned),
            )))  # fmt: skip
    return {certificate_id: tuple(stays) for certificate_id, stays in found.items()}


def _rows(certificate_id: str, known: History) -> Iterable[tuple[object, ...]]:
    """Rows of `DEATHS`, columns in their order."""
    ends = [later.since for later in known[1:]] + [FOREVER]
    for (since, result), until in zip(known, ends, strict=True):
        yield (
            certificate_id, since, until, result.version, int(result.withdrawn), int(result.human), result.revision,
            result.coded_at, result.content_hash, int(result.final), *result.cell, result.coding, result.due,
            result.mentioned,
        )  # fmt: skip


def _conflicts(was: History, came: Sequence[Stay]) -> int:
    return sum(
        any(same_version(stay.result, other.result) for other in (*was, *came[:place]))
        for place, stay in enumerate(came)
    )


def _coder(record: CodedCertificate) -> tuple[str, ...]:
    """Who coded a record, in the order of the columns."""
    v = record.versions
    return (
        record.modality.value, v.software, v.nomenclature, v.lexicon, v.rules, v.coder, v.underlying, v.policy,
    )  # fmt: skip


@lru_cache(10_000)
def _coding(coder: tuple[str, ...]) -> int:
    """A number for it that is the same everywhere."""
    told = hashlib.blake2b("\x1f".join(coder).encode(), digest_size=8).digest()
    return int.from_bytes(told, "big", signed=True)
