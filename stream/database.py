"""The databases of the services: an SQLite file on one machine, PostgreSQL for several, through SQLAlchemy Core.

A service declares its tables in a `MetaData` of its own and speaks SQL that both understand. All it does to them happens
in `reading` and `writing`: one transaction each, faults of the server told as `DatabaseUnavailable`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from stream.errors import DatabaseUnavailable, InvalidSettings
from stream.services import Database

PARAMETERS = 30_000
"""Values in one statement: below the least limit of either database (SQLite 32,766, PostgreSQL 65,535)."""
T = TypeVar("T")
READING = "causa_reading"
"""Execution option of a connection that only reads."""

_services = sa.Table(
    "causa_services", sa.MetaData(),
    sa.Column("service", sa.String(40), primary_key=True), sa.Column("version", sa.Integer, nullable=False),
)  # fmt: skip


def open_database(settings: Database, default: Path) -> Engine:
    """Engine of a database; nothing is connected yet.

    Args:
        settings: its address, the password beside it, the longest wait.
        default: SQLite file where no address is set; its folder is made.

    Raises:
        InvalidSettings: PostgreSQL without its driver, or a folder that cannot be made.
    """
    url = settings.url or f"sqlite:///{default}"
    if url.startswith("sqlite:///"):
        return _sqlite(url, settings.timeout_s)
    try:
        import psycopg  # noqa: F401 - only asked for
    except ImportError:
        raise InvalidSettings("PostgreSQL needs its driver", hint="pip install causa[postgres]") from None
    address = sa.make_url(url).set(
        drivername="postgresql+psycopg", password=settings.password.get_secret_value() or None
    )
    patience = round(settings.timeout_s * 1000)
    return sa.create_engine(
        address, pool_pre_ping=True, pool_timeout=settings.timeout_s, hide_parameters=True,
        # What was read stays as it was until the transaction ends, as it does in SQLite.
        isolation_level="REPEATABLE READ",
        connect_args={
            "connect_timeout": max(1, round(settings.timeout_s)), "client_encoding": "utf8",
            "options": f"-c statement_timeout={patience} -c lock_timeout={patience} -c TimeZone=UTC",
            # A host that vanished with the question acknowledged says nothing ever: seen after 5 + 3 * 2 s.
            "tcp_user_timeout": patience, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
        },
    )  # fmt: skip


def _sqlite(url: str, timeout_s: float) -> Engine:
    path = sa.make_url(url).database
    if path and path != ":memory:":
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # What lies beside it (WAL) takes its rights from it: nobody else's to read, whatever the umask.
            if not Path(path).exists():
                Path(path).touch(mode=0o600)
        except OSError as error:
            raise InvalidSettings(f"the database's file cannot be made: {error.strerror}") from None
    options: dict[str, Any] = {"connect_args": {"timeout": timeout_s, "check_same_thread": False}}
    if path in (None, "", ":memory:"):
        # One connection, or each would see an empty database of its own.
        options["poolclass"] = sa.StaticPool
    engine = sa.create_engine(url, hide_parameters=True, **options)

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by rules of its own
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        # A writer that began as a reader may find that another wrote meanwhile, and would have to give up.
        kind = "DEFERRED" if connection.get_execution_options().get(READING) else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {kind}")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and changes nothing.

    Raises:
        DatabaseUnavailable: the server is away, refuses or is too slow.
    """
    with _told(), engine.connect().execution_options(**{READING: True}) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction; an exception inside takes all of it back.

    Raises:
        DatabaseUnavailable: likewise, or another transaction was in the way: it may be done again.
    """
    with _told(), engine.begin() as connection:
        yield connection


def again(work: Callable[[], T], *, tries: int = 5, first_s: float = 0.0, most_s: float = 0.0) -> T:
    """What a transaction gives, begun again where another was in its way.

    Args:
        work: one whole transaction; it may be called several times.
        tries: how often, at most.
        first_s: longest wait before the second try, seconds; it doubles with each one that follows.
        most_s: it grows to this, seconds.

    Raises:
        DatabaseUnavailable: the server is away, or others were in the way each time.
    """
    wait = first_s
    for left in reversed(range(tries)):
        try:
            return work()
        except DatabaseUnavailable:
            if not left:
                raise
        time.sleep(random.uniform(0, wait))  # noqa: S311 - no secret
        wait = min(most_s, wait * 2)
    raise AssertionError  # pragma: no cover


def lock(connection: Connection, table: sa.Table) -> None:
    """Keep other writers from a table until the transaction ends; called before it has looked at anything.

    SQLite has one writer at a time. On PostgreSQL this takes no snapshot: a transaction that waited here sees what the one
    before it wrote.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # Its own message quotes the statement.
        raise DatabaseUnavailable(f"database: {type(error.orig).__name__}") from None
    except SQLAlchemyError as error:
        raise DatabaseUnavailable(f"database: {type(error).__name__}") from None


def prepare(engine: Engine, tables: sa.MetaData, *, service: str, version: int) -> None:
    """Make a service's tables where there are none.

    Args:
        engine: the database.
        tables: all of the service's.
        service: its name in the database.
        version: of the tables' form; one that changes must be rebuilt or migrated.

    Raises:
        InvalidSettings: the database holds the service's tables in another form.
        DatabaseUnavailable: the server is away.
    """
    with writing(engine) as connection:
        _services.metadata.create_all(connection)
        found = connection.execute(sa.select(_services.c.version).where(_services.c.service == service)).scalar()
        if found is None:
            connection.execute(_services.insert().values(service=service, version=version))
        elif found != version:
            raise InvalidSettings(
                f"the database holds tables of {service} in form {found}; this software wants {version}",
                hint="name another database, and rebuild it from the topics",
            )
        tables.create_all(connection)


def upsert(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    add: Sequence[str] = (),
    keep: bool = False,
) -> None:
    """Insert rows; where the primary key is there already, the rest is overwritten.

    Args:
        connection: of a transaction that writes.
        table: with a primary key.
        rows: all with the same columns, each key once.
        add: columns whose value is added to what stands there.
        keep: leave what stands there as it is.
    """
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    columns = list(rows[0])
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    most = max(1, PARAMETERS // len(columns))
    for at in range(0, len(rows), most):
        statement = dialect.insert(table).values([dict(row) for row in rows[at : at + most]])
        others = [name for name in columns if name not in keys]
        if keep or not others:
            connection.execute(statement.on_conflict_do_nothing(index_elements=keys))
            continue
        new = statement.excluded
        values = {name: table.c[name] + new[name] if name in add else new[name] for name in others}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
