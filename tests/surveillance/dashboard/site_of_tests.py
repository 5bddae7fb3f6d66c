"""The dashboard over a filled database, in this process: as an application, or served on a port of this machine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from sqlalchemy import Engine
from starlette.applications import Starlette

from stream.services import Pages, Web
from stream.surveillance.alerts import rules as ruling
from stream.surveillance.alerts.register import Register
from stream.surveillance.counts import Counts
from stream.surveillance.dashboard.figures import Figures
from stream.surveillance.dashboard.site import app
from stream.web import serving
from stream.web.application import front_of_app
from stream.web.users import Role
from surveillance.dashboard.filling import GROUPS, NOW, RULES

PASSWORD = "soixante lampes au grenier"
LOGINS = {"viewer": Role.VIEWER, "epi": Role.EPIDEMIOLOGIST, "admin": Role.ADMIN}


def figures_of(engine: Engine, now: date = NOW) -> Figures:
    rules = ruling.parse(RULES)
    at = datetime(now.year, now.month, now.day, 18, 30, tzinfo=UTC)
    return Figures(Counts(engine, GROUPS), Register(engine, lambda: at, rules), rules, lambda: at)


def application(engine: Engine, figures: Figures) -> Starlette:
    """With an account for each role."""
    made = app(figures, Web(requests_a_minute=100_000), Pages(port=8470), engine)
    people = front_of_app(made).people
    for login, role in LOGINS.items():
        people.add(login, PASSWORD, frozenset([role]), name=login, own=True)
    return made


@contextmanager
def served(made: Starlette, port: int = 0) -> Iterator[str]:
    """Its address, while it is served in a thread of its own."""
    ready, found = threading.Event(), list[str]()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        def told(url: str) -> None:
            found.append(url)
            ready.set()

        await serving.serve(made, Web(), Pages(port=port), told=told)

    def work() -> None:
        asyncio.set_event_loop(loop)
        task = loop.create_task(run())
        stop.append(task)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()
            ready.set()

    stop: list[asyncio.Task[None]] = []
    thread = threading.Thread(target=work, name="pages-of-tests")
    thread.start()
    try:
        assert ready.wait(30)
        assert found, "the pages are not served"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop[0].cancel)
        thread.join(30)
