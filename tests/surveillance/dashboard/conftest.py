from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from starlette.applications import Starlette

from stream.database import open_database
from stream.services import Database
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.dashboard.figures import Figures
from stream.web import passwords
from surveillance.dashboard.filling import MADE, Made, alert, fill
from surveillance.dashboard.site_of_tests import application, figures_of

FEW = """
version: "2026-1"
method: {name: noufaily, options: {alpha: 0.01, leastYears: 3}}
otherwise: {name: C2, options: {minSigma: 1, limit54: [5, 4]}}
nowcast: {longest: 20, m: 120, own: 400}
series:
  - {name: all, groups: [all_causes], places: [FR, R-75, R-84], level: 5}
  - {name: causes, groups: [influenza, suicide], places: [FR, R-75, R-76, "33"], level: 4}
"""
"""Rules of the few series that the tests' alerts are of: a run takes a second."""


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A twentieth of France, three years and a half, in alert for influenza in the south-west."""
    path: Path = tmp_path_factory.mktemp("dashboard") / "surveillance.sqlite"
    engine = open_database(Database(), path)
    more = Made("influenza", 70, 1.0, 0.6, outbreaks={"R-75": 7.0, "R-76": 3.0})
    made = tuple(more if one.group == "influenza" else one for one in MADE)
    counts = fill(engine, years=3.6, scale=0.05, streamed=200, made=made)
    alert(engine, counts, days=2, rules=ruling.parse(FEW))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def figures(filled: Engine) -> Iterator[Figures]:
    made = figures_of(filled)
    yield made
    made.close()


@pytest.fixture(scope="session")
def app(filled: Engine, figures: Figures) -> Starlette:
    # Hashes of passwords that take no time; tests/web looks at ours as they are.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
        passwords._nobody.cache_clear()
        return application(filled, figures)
