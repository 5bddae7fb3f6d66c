"""The access log: who saw or did what with which certificate, and when; each row carries the hash of the one before.

A row that is changed, taken out or put in breaks the chain. Who may write the whole table may also write the whole chain
anew, or cut off its end: that is found by comparing with a head that was exported, best signed, and kept elsewhere.

The chain holds in the order of `number`, which has no gaps: a head (number and hash of the last row) is a row of its own,
locked by whoever writes. PostgreSQL takes the lock before the transaction sees anything, so `writing` (or `lock`, first in a
transaction of the service's own) is the place where a service's own changes and their row go in together.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from stream.database import again, lock, reading, writing
from stream.errors import DatabaseUnavailable
from stream.web import tables

START = "0" * 64
"""What the first row carries as the hash of the one before."""
NOBODY = "-"
_ACT = re.compile(r"[A-Z][A-Z_]{1,39}")
_HEAD = 1
_PAGE = 1_000
_DETAIL_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Event:
    """What happened.

    Attributes:
        who: the person's pseudonym; `-` for nobody known.
        act: in capitals, such as CERTIFICATE_SEEN.
        roles: that the person had, by commas.
        certificate_id: of the certificate that it was about.
        version: of that certificate.
        detail: more about it, flat; never text of a certificate.
        address: of the browser.
    """

    who: str
    act: str
    roles: str = ""
    certificate_id: str | None = None
    version: int | None = None
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log, as it is kept; `detail` is canonical JSON, `at` UTC."""

    number: int
    at: str
    who: str
    roles: str
    act: str
    certificate_id: str | None
    version: int | None
    detail: str
    address: str
    previous: str
    hash: str

    def digest(self) -> str:
        """The hash that the row must have: SHA-256 of the canonical JSON of all its other fields."""
        values = {name: value for name, value in asdict(self).items() if name != "hash"}
        return hashlib.sha256(_canonical(values).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain: number and hash of its last row; 0 and zeros where there is none."""

    number: int = 0
    hash: str = START


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain found.

    Attributes:
        rows: that were read up to the first fault.
        head: of the chain as far as it holds.
        fault: the first fault in a sentence; empty where the chain holds.
    """

    rows: int
    head: Head
    fault: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.fault


class AccessLog:
    """The log of one service, in its database.

    Args:
        engine: the database, with the tables of `stream.web.tables`.
        clock: the time now.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that holds the chain's end from its beginning: for changes that go in with their row.

        Raises:
            DatabaseUnavailable: the server is away.
        """
        with writing(self._engine) as connection:
            self.lock(connection)
            yield connection

    def lock(self, connection: Connection) -> None:
        """Hold the chain's end in a service's own transaction, before it has looked at anything; then `write` in it.

        Raises:
            ValueError: a transaction of another database: what is done and its row would not be one.
            DatabaseUnavailable: the server is away, or another held the end too long.
        """
        if connection.engine.url != self._engine.url:
            raise ValueError("a transaction of another database than the access log's")
        lock(connection, tables.access_head)

    def write(self, connection: Connection, event: Event) -> Entry:
        """Append a row in a transaction that writes.

        Raises:
            ValueError: an act that is none, or too long a detail: a fault of the caller.
            DatabaseUnavailable: another writer was in the way (not in a transaction of `writing`).
        """
        if not _ACT.fullmatch(event.act):
            raise ValueError("an act is written in capitals")
        detail = _canonical(event.detail)
        if len(detail) > _DETAIL_CHARS:
            raise ValueError("too much detail for the access log")
        lock(connection, tables.access_head)
        head = _head(connection)
        bare = Entry(
            head.number + 1, self._clock().astimezone(UTC).isoformat(timespec="milliseconds"), event.who[:40], event.roles,
            event.act, event.certificate_id, event.version, detail, event.address[:64], head.hash, "",
        )  # fmt: skip
        values = {**asdict(bare), "hash": bare.digest()}
        connection.execute(tables.access.insert().values(values))
        moved = connection.execute(
            tables.access_head.update()
            .where(tables.access_head.c.id == _HEAD, tables.access_head.c.number == head.number)
            .values(number=bare.number, hash=values["hash"])
        )
        if not moved.rowcount:
            if head.number:
                raise DatabaseUnavailable("access log: another writer was in the way")
            connection.execute(tables.access_head.insert().values(id=_HEAD, number=1, hash=values["hash"]))
        return Entry(**values)

    def record(self, event: Event) -> Entry:
        """Append a row in a transaction of its own; it blocks.

        Raises:
            DatabaseUnavailable: the server is away: what was to be shown must not be shown.
        """

        def append() -> Entry:
            with self.writing() as connection:
                return self.write(connection, event)

        return again(append)  # the first two writers of an empty log may meet

    def entries(self, *, after: int = 0, certificate_id: str | None = None, who: str | None = None) -> Iterator[Entry]:
        """Rows in their order, read page by page.

        Args:
            after: number of the row before the first one.
            certificate_id: only rows about this certificate.
            who: only rows of this person.
        """
        column = tables.access.c
        ask = sa.select(tables.access).order_by(column.number).limit(_PAGE)
        if certificate_id is not None:
            ask = ask.where(column.certificate_id == certificate_id)
        if who is not None:
            ask = ask.where(column.who == who)
        while True:
            with reading(self._engine) as connection:
                rows = [Entry(*row) for row in connection.execute(ask.where(column.number > after))]
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].number

    def head(self) -> Head:
        """The end of the chain, as the database tells it."""
        with reading(self._engine) as connection:
            return _head(connection)

    def verify(self, exported: Iterable[Head] = ()) -> Verdict:
        """Check the whole chain, its end, and that it goes through heads that were exported before."""
        # The head is read first: rows that are written meanwhile only lengthen the chain.
        return check(self.entries(), [*exported, self.head()])


def check(entries: Iterable[Entry], heads: Iterable[Head] = ()) -> Verdict:
    """Check a chain from its first row.

    Args:
        entries: in their order.
        heads: that it must go through.
    """
    told = list(heads)
    expected = {head.number: head.hash for head in told}
    contradicting = _contradiction(told)
    if contradicting:
        return Verdict(0, Head(), contradicting)
    end = Head()
    for entry in entries:
        fault = _fault(entry, end, expected)
        if fault:
            return Verdict(end.number, end, fault)
        end = Head(entry.number, entry.hash)
    last = max(expected, default=0)
    if last > end.number:
        fault = f"the log ends at row {end.number}; a head tells of row {last}: its end was cut off"
        return Verdict(end.number, end, fault)
    return Verdict(end.number, end)


def _contradiction(heads: Iterable[Head]) -> str:
    seen: dict[int, str] = {}
    for head in heads:
        if seen.setdefault(head.number, head.hash) != head.hash:
            return f"row {head.number} was written anew: two heads tell different hashes of it"
    return ""


def _fault(entry: Entry, end: Head, expected: Mapping[int, str]) -> str:
    if entry.number > end.number + 1:
        first, last = end.number + 1, entry.number - 1
        return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
    if entry.number <= end.number:
        return f"row {entry.number} stands in the wrong place"
    if entry.hash != entry.digest():
        return f"row {entry.number} was changed"
    if entry.previous != end.hash:
        return f"row {entry.number} does not follow row {end.number}: a row was put in, taken out or written anew"
    if expected.get(entry.number, entry.hash) != entry.hash:
        return f"row {entry.number} is another one than the exported head tells: the chain was written anew"
    return ""


def _head(connection: Connection) -> Head:
    column = tables.access_head.c
    found = connection.execute(sa.select(column.number, column.hash).where(column.id == _HEAD)).first()
    return Head(found.number, found.hash) if found else Head()


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
