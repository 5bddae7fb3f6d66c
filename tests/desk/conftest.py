"""The two databases: an SQLite file, and PostgreSQL where the machine has one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from security.postgres import PASSWORD, running
from sqlalchemy import Engine

from desk.office import Office
from stream.database import open_database
from stream.services import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a server of this run's own."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with running(Path(folder) / "server") as url:
            yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Opens an empty database, each time with connections of its own, as another server would."""
    made: list[Engine] = []
    if request.param == "sqlite":
        settings = Database(url=f"sqlite:///{tmp_path}/desk.sqlite")
    else:
        settings = Database(url=request.getfixturevalue("postgres"), password=SecretStr(PASSWORD))
        # A database for each test would be some hundred files to make and to take away again.
        whole = open_database(settings, tmp_path)
        with whole.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
        whole.dispose()

    def opened() -> Engine:
        made.append(open_database(settings, tmp_path))
        return made[-1]

    yield opened
    for engine in made:
        engine.dispose()


@pytest.fixture
def office(database: Callable[[], Engine], tmp_path: Path) -> Office:
    """An office on an empty database."""
    return Office(database(), tmp_path)
