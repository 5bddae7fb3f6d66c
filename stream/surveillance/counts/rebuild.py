"""The counts made anew from the topic: to prove that they are what it says, or to take new groups into them.

A twin is built beside them, from the first record to the offsets that they stand at. Either the two are compared table
by table, or the twin takes their place in one transaction, while whoever folds into them waits.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from stream import intake
from stream.database import lock, open_database, prepare, reading, writing
from stream.errors import DatabaseUnavailable, InvalidSettings
from stream.reader import Place, Read, Reader
from stream.services import Database
from stream.surveillance.counts import bulk, numbering
from stream.surveillance.counts.counts import Counts
from stream.surveillance.counts.tables import DEATHS, FORM, FROM_TOPIC, STATE, TABLES
from stream.surveillance.counts.writer import SUBJECT
from stream.surveillance.groups import Groups

SERVICES = ("surveillance", "counts")
"""Whose offsets say how far the topic has come into the tables."""
AT_ONCE = 5_000
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it.

    Attributes:
        records: read from the topic.
        tables: rows and a digest of them, in the order of their keys, by table of the twin.
        different: tables in which those of the database were not the same; empty where nothing was compared.
    """

    records: int
    tables: Mapping[str, tuple[int, str]]
    different: tuple[str, ...] = ()


async def rebuild(
    engine: Engine, groups: Groups, open_reader: Callable[[], Reader], *, check: bool = False, force: bool = False
) -> Rebuilt:
    """Make the counts anew from the topic.

    Args:
        engine: the database; older counts and those of civil registration stay as they are.
        groups: whose members are counted from now on.
        open_reader: makes a reader of the topics.
        check: compare only; nothing changes.
        force: take the twin even where it holds fewer certificates than the counts do.

    Raises:
        InvalidSettings: the topic does not hold all certificates any more, or with `check` the counts were made with
            another version of the groups.
        InfrastructureError: a server is away.
    """
    prepare(engine, intake.TABLES, service="intake", version=1)
    if check:
        numbering.ready(engine, groups)
    else:
        prepare(engine, TABLES, service=numbering.SERVICE, version=FORM)
    with tempfile.TemporaryDirectory(prefix="causa-counts-") as folder:
        twin = _Twin(Path(folder) / "twin.sqlite", groups)
        try:
            if check:
                # What they are and where they stand is seen in one transaction; they may go on meanwhile.
                until, kept = await asyncio.to_thread(_seen, engine)
                await twin.fill(open_reader(), until)
                tables = await asyncio.to_thread(twin.digests)
                return Rebuilt(twin.records, tables, tuple(name for name in tables if tables[name] != kept[name]))
            for left in reversed(range(_ROUNDS)):
                until = await asyncio.to_thread(_positions, engine)
                await twin.fill(open_reader(), until)
                try:
                    replaced = await asyncio.to_thread(twin.replaces, engine, groups, until, force)
                except DatabaseUnavailable:
                    # A fold was longer under way than a lock is waited for: one more round, and the twin is kept.
                    if twin.taking or not left:
                        raise
                    continue
                if replaced:
                    return Rebuilt(twin.records, await asyncio.to_thread(twin.digests))
            raise InvalidSettings(
                "the counts move faster than they can be made anew", hint="stop causa alerts meanwhile"
            )
        finally:
            twin.close()


def digest(connection: Connection, table: sa.Table) -> tuple[int, str]:
    """Rows of a table, and a hash over them in the order of its key."""
    found, rows = hashlib.blake2b(digest_size=16), 0
    chosen = sa.select(table).order_by(*table.primary_key)
    for row in connection.execution_options(yield_per=5_000).execute(chosen):
        found.update(repr(tuple(row)).encode())
        rows += 1
    return rows, found.hexdigest()


def _positions(engine: Engine) -> dict[Place, int]:
    with reading(engine) as connection:
        return _furthest(connection)


def _furthest(connection: Connection) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for service in SERVICES:
        for place, offset in intake.positions(connection, service).items():
            found[place] = max(found.get(place, 0), offset)
    return found


def _seen(engine: Engine) -> tuple[dict[Place, int], dict[str, tuple[int, str]]]:
    with reading(engine) as connection:
        _patient(connection)
        return _furthest(connection), {table.name: digest(connection, table) for table in FROM_TOPIC}


def _patient(connection: Connection) -> None:
    """Statements over whole tables take longer than any other may."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


@dataclass(slots=True)
class _Twin:
    """Counts in a file of their own."""

    path: Path
    groups: Groups
    records: int = 0
    done: dict[Place, int] = field(default_factory=dict)
    taking: bool = False  # nobody else is in the way any more
    _engine: Engine = field(init=False)
    _counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self._engine = open_database(Database(), self.path)

        @event.listens_for(self._engine, "connect")
        def _fast(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")  # a twin that a crash takes is made again

        self._counts = Counts(self._engine, self.groups)

    def close(self) -> None:
        self._engine.dispose()

    async def fill(self, reader: Reader, until: Mapping[Place, int]) -> None:
        """Take records up to some offsets."""
        waiting: list[Read] = []
        left = {place for place, offset in until.items() if self.done.get(place, 0) < offset}
        if not left:
            return
        async with aclosing(reader.batches((SUBJECT,), starts=dict(self.done), follow=False)) as batches:
            async for batch in batches:
                waiting += [read for read in batch.reads if read.place.offset < until.get(_place(read), 0)]
                left -= {place for place, offset in batch.next.items() if offset >= until.get(place, 0)}
                if len(waiting) >= AT_ONCE or not left:
                    await asyncio.to_thread(self._take, waiting)
                    waiting = []
                if not left:
                    break
        await asyncio.to_thread(self._take, waiting)
        self.done |= until

    def _take(self, reads: list[Read]) -> None:
        with writing(self._engine) as connection:
            self.records += self._counts.fold(connection, reads).records

    def digests(self) -> dict[str, tuple[int, str]]:
        with reading(self._engine) as connection:
            return {table.name: digest(connection, table) for table in FROM_TOPIC}

    def replaces(self, engine: Engine, groups: Groups, until: Mapping[Place, int], force: bool) -> bool:
        """Put these tables in the place of others; False where those have moved on."""
        with writing(engine) as connection, reading(self._engine) as own:
            _patient(connection)
            # Whoever folds waits from here on, or is taken back and does it again.
            lock(connection, STATE)
            numbering.moved(connection)
            if _furthest(connection) != dict(until):
                return False
            self.taking = True
            certificates = sa.select(sa.func.count(sa.distinct(DEATHS.c.certificate_id)))
            here, before = own.execute(certificates).scalar() or 0, connection.execute(certificates).scalar() or 0
            if here < before and not force:
                raise InvalidSettings(
                    f"the topic tells {here} certificates, the counts hold {before}",
                    hint="--force takes the topic's word; what it does not hold any more is lost to the counts",
                )
            for table in FROM_TOPIC:
                connection.execute(sa.delete(table))
                chosen = own.execution_options(yield_per=bulk.AT_ONCE).execute(sa.select(table))
                for some in chosen.partitions():
                    bulk.insert(connection, table, [tuple(row) for row in some])
            numbering.number(connection, groups)
        return True


def _place(read: Read) -> Place:
    return read.place.topic, read.place.partition
