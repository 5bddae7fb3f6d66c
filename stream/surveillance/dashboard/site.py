"""The dashboard as a site: its pages with the layers of `stream.web` around them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from sqlalchemy import Engine
from starlette.applications import Starlette

from stream.errors import CausaError
from stream.services import Pages as Where
from stream.services import Web
from stream.surveillance.dashboard.chart import HEIGHT, WIDTH
from stream.surveillance.dashboard.figures import FRESH_S, Figures
from stream.surveillance.dashboard.pages import Pages
from stream.surveillance.dashboard.rights import ROLES, Rights
from stream.surveillance.dashboard.suppression import LEAST, ROUND
from stream.web.application import create_app
from stream.web.site import MenuItem, Site

FOLDER = Path(__file__).parent
log = structlog.get_logger("causa.dashboard")


def site(figures: Figures) -> Site:
    """Its pages, texts, menu."""
    return Site(
        name="dashboard", roles=ROLES, routes=Pages(figures).routes(), templates=FOLDER / "templates",
        texts=FOLDER / "texts", static=FOLDER / "static",
        menu=(
            MenuItem("/", "dashboard.menu.overview"), MenuItem("/groups", "dashboard.menu.groups"),
            MenuItem("/map", "dashboard.menu.map"), MenuItem("/alerts", "dashboard.menu.alerts"),
            MenuItem("/help", "dashboard.menu.help"),
        ),
        context={"least": LEAST, "round_to": ROUND, "spark_width": WIDTH, "spark_height": HEIGHT},
    )  # fmt: skip


def app(figures: Figures, web: Web, where: Where, engine: Engine) -> Starlette:
    """The application; raises as `stream.web.application.create_app` does."""
    return create_app(site(figures), web, where, engine)


def warming(figures: Figures) -> Callable[[], Awaitable[None]]:
    """What keeps the first page warm, and those that it leads to; for `stream.web.serving.serve`."""
    pages = Pages(figures)

    async def warm() -> None:
        while True:
            for rights in (Rights(small=True), Rights(small=False)):
                try:
                    await asyncio.to_thread(pages.warm, rights)
                except CausaError as error:
                    log.warning("dashboard is not warm", code=error.code)
            await asyncio.sleep(FRESH_S)

    return warm
