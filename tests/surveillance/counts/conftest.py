"""A PostgreSQL for the tests of counts, where one is installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from security.postgres import PASSWORD, running
from sqlalchemy import Engine

from stream.database import open_database
from stream.services import Database

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    # Not in pytest's own folder: the server's user may not enter it.
    with tempfile.TemporaryDirectory(prefix="causa-pg-") as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder) / "server") as url:
            yield url


@pytest.fixture
def empty_postgres(postgres: str) -> Iterator[Database]:
    """Settings of a base of the test's own."""
    name = f"counts_{next(_NUMBERS)}"
    server = open_database(Database(url=postgres, password=SecretStr(PASSWORD)), Path("unused"))
    with server.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    server.dispose()
    yield Database(url=postgres.rsplit("/", 1)[0] + f"/{name}", password=SecretStr(PASSWORD))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Either database."""
    settings = request.getfixturevalue("empty_postgres") if request.param == "postgresql" else Database()
    opened = open_database(settings, tmp_path / "surveillance.sqlite")
    yield opened
    opened.dispose()
