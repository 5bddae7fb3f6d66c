"""Puts a service's pages together: our layers around its routes, our own pages beside them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Lifespan

from stream.database import reading
from stream.errors import DatabaseUnavailable, InvalidSettings
from stream.services import Pages, Web
from stream.web import faults, layers, login, oidclogin
from stream.web.account import routes as account_routes
from stream.web.front import Front, build
from stream.web.requests import WHO, public, refuse
from stream.web.site import Site
from stream.web.visit import front_of

FOR_GOOD = "public, max-age=31536000, immutable"
OUR_PATHS = ("/login", "/logout", "/account", "/language", "/health", "/static")


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(
    site: Site,
    web: Web,
    pages: Pages,
    engine: Engine,
    *,
    lifespan: Lifespan[Starlette] | None = None,
    clock: Callable[[], datetime] = _now,
) -> Starlette:
    """An application that serves a site.

    Args:
        site: what the service brings.
        web: settings that all services share.
        pages: where this one is served.
        engine: the service's database; our tables are made in it.
        lifespan: what runs while the pages are served (Starlette).
        clock: the time now, UTC.

    Raises:
        InvalidSettings: settings that contradict one another, tables of another form, a route that says not who may come.
        InvalidData: texts that are not complete.
        DatabaseUnavailable: the database is away.
    """
    _guarded(site.routes)
    front = build(site, web, pages, engine, clock)
    ours: list[BaseRoute] = [
        Route("/static/{name:path}", _static, methods=["GET"]),
        Route("/health/live", _live, methods=["GET"]),
        Route("/health/ready", _ready, methods=["GET"]),
        *login.routes(),
        *oidclogin.routes(),
        *account_routes(),
    ]
    app = Starlette(
        routes=[*ours, *site.routes],
        middleware=[
            Middleware(layers.Outside, front=front),
            Middleware(faults.Faults, front=front),
            Middleware(layers.Limits, front=front),
            Middleware(layers.Who, front=front),
            Middleware(layers.Ours),
        ],
        exception_handlers={HTTPException: _http_fault},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.front = front
    return app


def front_of_app(app: Starlette) -> Front:
    """The shared parts of an application: for tests and for tasks beside the pages."""
    front: Front = app.state.front
    return front


def _guarded(routes: Iterable[BaseRoute], prefix: str = "") -> None:
    """Nothing is open because somebody forgot to close it."""
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            _guarded(route.routes, prefix + route.path)
        elif not isinstance(route, Route) or not hasattr(route.endpoint, WHO):
            raise InvalidSettings(f"the route {prefix}{getattr(route, 'path', '?')} says not who may come")
        elif f"{prefix}{route.path}".startswith(OUR_PATHS):
            raise InvalidSettings(f"the path {prefix}{route.path} is one of stream.web's own")


async def _http_fault(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return faults.page(request, fault.status_code, fault.headers)


@public
async def _static(request: Request) -> Response:
    file = front_of(request.scope).files.get(request.path_params["name"])
    if file is None:
        refuse(404)
    for_good = request.query_params.get("v") == file.hash
    return Response(
        file.content, headers={"content-type": file.kind, "cache-control": FOR_GOOD if for_good else "no-cache"}
    )


@public
async def _live(_request: Request) -> Response:
    return _health(True, {})


@public
async def _ready(request: Request) -> Response:
    front = front_of(request.scope)
    against = {"database": await asyncio.to_thread(_database, front.engine)}
    for name, check in front.site.checks.items():
        against[name] = await check()
    return _health(not any(against.values()), against)


def _database(engine: Engine) -> str:
    try:
        with reading(engine) as connection:
            connection.execute(sa.select(1))
    except DatabaseUnavailable:
        return "it does not answer"
    return ""


def _health(good: bool, against: dict[str, str]) -> Response:
    checks = {name: {"holds": not why, **({"why": why} if why else {})} for name, why in against.items()}
    body = json.dumps({"ready" if against else "live": good, **({"checks": checks} if against else {})})
    return Response(body + "\n", 200 if good else 503, media_type="application/json")
