"""Error pages: one for each status, the same for whatever went wrong behind it; nothing of the request, nothing of the fault."""

from __future__ import annotations

import traceback
from collections.abc import Mapping

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.errors import InfrastructureError
from stream.web.front import Front
from stream.web.requests import surroundings, wants_json

log = structlog.get_logger("causa.web")
KNOWN = (400, 401, 403, 404, 405, 409, 410, 413, 414, 415, 421, 429, 431, 500, 503)
"""Statuses that have texts of their own."""
_KEPT = ("allow", "retry-after")


def page(request: Request, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The error page of a status, or its JSON for a script."""
    kept = {name: value for name, value in (headers or {}).items() if name.lower() in _KEPT}
    known = status if status in KNOWN else 500 if status >= 500 else 400
    try:
        # Not even the address is repeated: choosing a language leads home.
        names = {**surroundings(request), "address": request.scope["causa.front"].site.home}
        texts = names["t"]
        if wants_json(request):
            body = {"error": {"code": f"HTTP_{status}", "message": texts(f"error.{known}.title")}}
            return JSONResponse(body, status, kept)
        template = request.scope["causa.front"].templates.get_template("error.html.j2")
        return HTMLResponse(template.render(**names, status=status, known=known), status, kept)
    except Exception:
        # The page that tells of a fault has one itself: a line without any template is left.
        return PlainTextResponse(f"{status}\n", status, kept)


class Faults:
    """Whatever leaves the pages becomes an error page; the log gets its type and place alone."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front = app, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as fault:
            answer = told(Request(scope, receive), fault)
            if begun:
                # Half an answer is out: the connection is cut, so that nobody takes it for a whole one.
                raise Cut from None
            await answer(scope, receive, send)


class Cut(Exception):
    """An answer that could not be ended; says nothing of why."""


def told(request: Request, fault: Exception) -> Response:
    """The page of a fault; what is none of ours to expect goes to the log."""
    if isinstance(fault, HTTPException):
        return page(request, fault.status_code, fault.headers)
    frames = traceback.extract_tb(fault.__traceback__)
    at = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "?"
    if isinstance(fault, InfrastructureError):
        log.warning("a page needs a server that is away", code=fault.code, exception_at=at)
        return page(request, 503, {"retry-after": "10"})
    log.error("a page failed", exception_type=type(fault).__name__, exception_at=at)
    return page(request, 500)
