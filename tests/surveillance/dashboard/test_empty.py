"""An empty database, and one that has only begun."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from stream.database import open_database
from stream.services import Database
from stream.surveillance.alerts.register import Register
from stream.surveillance.counts import Counts
from stream.web import passwords
from surveillance.dashboard.filling import GROUPS, Made, fill
from surveillance.dashboard.site_of_tests import application, figures_of
from surveillance.dashboard.test_pages import PAGES, logged_in


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(Database(), tmp_path / "surveillance.sqlite")
    yield made
    made.dispose()


@pytest.mark.parametrize("days", [None, 1, 2, 9, 30])
@pytest.mark.parametrize("login", ["viewer", "epi"])
async def test_all_pages_answer(engine: Engine, days: int | None, login: str) -> None:
    now = date(2026, 2, 12)
    if days is None:
        Counts(engine, GROUPS)
        Register(engine)
    else:
        fill(engine, years=days / 365.25, streamed=400, scale=0.05, now=now, made=[Made("all_causes", 1750)])
    figures = figures_of(engine, now)
    try:
        async with logged_in(application(engine, figures), login) as client:
            more = (
                "/groups/influenza/series.csv",
                "/groups/influenza/series.png",
                "/alerts.csv",
                "/groups/suicide?step=day",
            )
            for path in (*PAGES, *more, "/groups/all_causes?as_of=2020-01-01", "/map?week=2001-01-01"):
                assert (await client.get(path)).status_code == 200, path
    finally:
        figures.close()
