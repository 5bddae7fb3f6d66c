"""Many rows in one statement, straight to the driver: SQLAlchemy's own way costs more than the databases do.

The statements are put together from names of our own tables and columns alone; values go beside them.
"""
# ruff: noqa: S608 - see above

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

AT_ONCE = 10_000
"""Rows in one statement."""
Rows = Sequence[tuple[Any, ...]]
_TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.SmallInteger, "int2"), (sa.BigInteger, "int8"), (sa.Integer, "int4"), (sa.String, "text"),
    (sa.LargeBinary, "bytea"),
)  # fmt: skip


def insert(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """New rows, with all columns in their order."""
    _each(connection, rows, _insert(table, _columns(table), connection.dialect.name))


def add(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """The same, where the columns that are no key are added to what stands there."""
    dialect = connection.dialect.name
    keys, others = _split(table)
    sums = ", ".join(f'"{name}" = {table.name}."{name}" + excluded."{name}"' for name in others)
    conflict = f" ON CONFLICT ({_quoted(keys)}) DO UPDATE SET {sums}"
    _each(connection, rows, _insert(table, _columns(table), dialect) + conflict)


def delete(connection: Connection, table: sa.Table, names: tuple[str, ...], rows: Rows, also: str = "") -> None:
    """Rows whose columns of these names hold these values; `also` is a condition more."""
    if connection.dialect.name == "postgresql":
        same = " AND ".join(f'{table.name}."{name}" = given."{name}"' for name in names)
        statement = (
            f"DELETE FROM {table.name} USING unnest({_arrays(table, names)}) AS given ({_quoted(names)}) WHERE {same}"
        )
    else:
        statement = f"DELETE FROM {table.name} WHERE " + " AND ".join(f'"{name}" = ?' for name in names)
    _each(connection, rows, statement + (f" AND {also}" if also else ""))


def empty(table: sa.Table) -> str:
    """Condition that all columns that are no key are zero."""
    return " AND ".join(f'{table.name}."{name}" = 0' for name in _split(table)[1])


@lru_cache(64)
def _columns(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def _split(table: sa.Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    keys = tuple(column.name for column in table.primary_key)
    return keys, tuple(name for name in _columns(table) if name not in keys)


def _insert(table: sa.Table, names: tuple[str, ...], dialect: str) -> str:
    start = f"INSERT INTO {table.name} ({_quoted(names)}) "
    if dialect == "postgresql":
        return start + f"SELECT * FROM unnest({_arrays(table, names)})"
    return start + f"VALUES ({', '.join('?' * len(names))})"


def _each(connection: Connection, rows: Rows, statement: str) -> None:
    for at in range(0, len(rows), AT_ONCE):
        some = list(rows[at : at + AT_ONCE])
        if connection.dialect.name == "postgresql":
            # As text: the driver would look at each value of a list by itself, which costs more than the server does.
            connection.exec_driver_sql(statement, tuple(map(_array, zip(*some, strict=True))))
        else:
            connection.exec_driver_sql(statement, some)


def _arrays(table: sa.Table, names: tuple[str, ...]) -> str:
    return ", ".join(f"%s::{_type(table.c[name])}[]" for name in names)


def _array(values: tuple[Any, ...]) -> str:
    """Values as PostgreSQL reads them, ``{1,2,NULL}``."""
    kinds = set(map(type, values))
    if kinds <= {int, bool}:
        return "{" + ",".join(map(str, map(int, values) if bool in kinds else values)) + "}"
    return "{" + ",".join(map(_literal, values)) + "}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _type(column: sa.Column[Any]) -> str:
    return next(name for kind, name in _TYPES if isinstance(column.type, kind))


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
