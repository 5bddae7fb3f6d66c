"""The two ends of a login at the OpenID provider: sending the browser there, and taking it back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stream.database import writing
from stream.web import tables
from stream.web.access import Event
from stream.web.address import own_path
from stream.web.login import welcome
from stream.web.oidc import Asked, Provider, Refused
from stream.web.people import Person
from stream.web.requests import public, refuse, render
from stream.web.sessions import digest
from stream.web.visit import front_of, visit_of

LOGIN_S = 600.0
"""How long a person may take at the provider."""


def routes() -> list[BaseRoute]:
    """Our pages of this module."""
    return [
        Route("/login/oidc", begin, methods=["GET"]),
        Route("/login/callback", callback, methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that was begun, as it is kept until the browser comes back."""

    visit: str
    nonce: str
    verifier: str
    path: str
    until: float


@public
async def begin(request: Request) -> Response:
    """Send the browser to the provider. A GET: pages may not send a form elsewhere, and nothing but a row is made."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    if front.provider is None:
        refuse(404)
    path = own_path(request.query_params.get("next", ""), front.site.home)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        # Nobody is logged in by a link of another site: the person presses ours.
        return RedirectResponse(f"/login?next={quote(path, safe='/')}", status_code=303)
    asked = await front.provider.ask(_redirect(visit.own))
    begun = Begun(digest(visit.visitor()), asked.nonce, asked.verifier, path, time.time() + LOGIN_S)
    await asyncio.to_thread(_keep, front.engine, asked.state, begun)
    return RedirectResponse(asked.url, status_code=303)


@public
async def callback(request: Request) -> Response:
    """Take the browser back: the state must be one that this browser was sent with, and works once."""
    front, visit, query = front_of(request.scope), visit_of(request.scope), request.query_params
    if front.provider is None:
        refuse(404)
    begun = await asyncio.to_thread(_taken, front.engine, query.get("state", ""))
    try:
        person = await _recognised(request, begun, front.provider)
    except Refused as refused:
        failed = Event("-", "LOGIN_FAILED", address=visit.address, detail={"by": "oidc", "reason": refused.reason})
        await asyncio.to_thread(front.access.record, failed)
        return render(request, "refused.html.j2", {"reason": refused.reason}, 403)
    assert begun is not None
    return await welcome(request, person, begun.path, "oidc")


async def _recognised(request: Request, begun: Begun | None, provider: Provider) -> Person:
    """The person whom the provider has sent.

    Raises:
        Refused: the answer is not one to a question of this browser, or not good, or the person may not come here.
    """
    front, visit, query = front_of(request.scope), visit_of(request.scope), request.query_params
    if begun is None or begun.visit != digest(visit.cookies.get("visit", "")) or begun.until < time.time():
        raise Refused("STATE")
    code = query.get("code", "")
    if not code or len(query.getlist("code")) != 1:
        raise Refused("DENIED" if "error" in query else "CODE")
    asked = Asked("", query["state"], begun.nonce, begun.verifier)
    claimed = await provider.answered(code, query.get("iss"), asked, _redirect(visit.own))
    person = await asyncio.to_thread(front.people.sent, provider.issuer, claimed.subject, claimed.name, claimed.roles)
    if person is None:
        raise Refused("DISABLED")
    if not person.roles:
        raise Refused("NO_ROLE")
    return person


def _redirect(own: str) -> str:
    return f"{own}/login/callback"


def _keep(engine: Engine, state: str, begun: Begun) -> None:
    with writing(engine) as connection:
        connection.execute(tables.logins.delete().where(tables.logins.c.until < time.time()))
        connection.execute(
            tables.logins.insert().values(
                state=digest(state), visit=begun.visit, nonce=begun.nonce, verifier=begun.verifier, path=begun.path,
                until=begun.until,
            )
        )  # fmt: skip


def _taken(engine: Engine, state: str) -> Begun | None:
    """What was kept of a state, which is then forgotten."""
    column = tables.logins.c
    ask = sa.select(column.visit, column.nonce, column.verifier, column.path, column.until)
    with writing(engine) as connection:
        row = connection.execute(ask.where(column.state == digest(state))).first()
        gone = connection.execute(tables.logins.delete().where(column.state == digest(state)))
        return Begun(*row) if row and gone.rowcount else None
