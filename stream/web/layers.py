"""The layers around the pages, from the outside in: log and headers, faults, limits, who comes, how often, from our own pages.

Each is a plain ASGI application around the next one; `application.create_app` puts them together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.web import csrf
from stream.web.address import bare
from stream.web.attempts import network
from stream.web.cookies import VISIT_S
from stream.web.front import Front
from stream.web.requests import content_type
from stream.web.visit import enter, visit_of

log = structlog.get_logger("causa.web")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
PATH_BYTES = 2_048
QUERY_BYTES = 4_096
HEADERS_BYTES = 16_384
POLICY = "; ".join(
    [
        "default-src 'none'",
        "object-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: with it browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "x-permitted-cross-domain-policies": "none",
}
HSTS = "max-age=31536000; includeSubDomains"
NO_STORE = "no-store"


class Outside:
    """Headers of every answer, whatever made it, and a line of log: status, page, time; no path, no query, no text."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front = app, front
        self._headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        if front.place.secure:
            self._headers.append((b"strict-transport-security", HSTS.encode()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            # Web sockets are none of ours: the server closes what nobody answers.
            return
        visit = enter(scope, self._front)
        began, status = time.monotonic(), 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = [(name.lower(), value) for name, value in message.get("headers", [])]
                names = {name for name, _ in given}
                ours = [header for header in self._headers if header[0] not in names]
                if b"cache-control" not in names:
                    ours.append((b"cache-control", NO_STORE.encode()))
                if visit.drawn:
                    ours.append(self._front.cookies.header("visit", visit.drawn, VISIT_S))
                message = {**message, "headers": [*given, *ours, *visit.headers]}
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        finally:
            endpoint = scope.get("endpoint")
            log.info(
                "page", stage=f"{_method(scope)} {getattr(endpoint, '__name__', '-')}", code=status,
                seconds=round(time.monotonic() - began, 4), who=visit.user.pseudonym if visit.user else "-",
            )  # fmt: skip


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "?"


class Limits:
    """Methods, hosts, and lengths of address and body that are taken."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front, self._most = app, front, front.web.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["method"] not in METHODS:
            raise HTTPException(405, headers={"allow": ", ".join(METHODS)})
        if (
            len(scope.get("raw_path") or scope["path"].encode()) > PATH_BYTES
            or len(scope["query_string"]) > QUERY_BYTES
        ):
            raise HTTPException(414)
        # The server bounds only a head that does not come whole.
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES:
            raise HTTPException(431)
        hosts = headers.getlist("host")
        # A load balancer asks for our health by an address, and learns nothing else.
        known = scope["path"].startswith("/health/") or bare(hosts[0] if hosts else "") in self._front.place.hosts
        if len(hosts) != 1 or not known:
            raise HTTPException(421)
        visit_of(scope).own = self._front.place.own(hosts[0])
        told = headers.get("content-length", "0")
        if not told.isdecimal() or not told.isascii():
            raise HTTPException(400)
        if int(told[:20]) > self._most:
            raise HTTPException(413)
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._most:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


class Who:
    """The session of the browser, its person, the language; and how often each may ask."""

    def __init__(self, app: ASGIApp, front: Front) -> None:
        self._app, self._front = app, front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit, front, headers = visit_of(scope), self._front, Headers(scope=scope)
        visit.address = scope["client"][0] if scope.get("client") else ""
        visit.cookies = front.cookies.read(scope["headers"])
        chosen, accepted = visit.cookies.get("language", ""), headers.get("accept-language", "")
        visit.language = front.translator.chosen(chosen, accepted)
        if scope["path"].startswith(("/static/", "/health/")):
            await self._app(scope, receive, send)
            return
        if token := visit.cookies.get("session"):
            used = headers.get("x-background") is None
            found = await asyncio.to_thread(front.sessions.find, token, used)
            if found:
                visit.session, visit.user = found
        key = f"user {visit.user.pseudonym}" if visit.user else f"address {network(visit.address)}"
        if wait_s := front.rates.wait_s(key):
            raise HTTPException(429, headers={"retry-after": str(int(wait_s) + 1)})
        await self._app(scope, receive, send)


class Ours:
    """Unsafe requests carry the token of our own pages, in a field of the form or in a header; others are refused."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] in csrf.SAFE:
            await self._app(scope, receive, send)
            return
        visit, request = visit_of(scope), Request(scope, receive)
        if not csrf.ours(request.headers.get("origin"), request.headers.get("sec-fetch-site"), visit.own):
            raise HTTPException(403)
        body = await request.body()
        kind = content_type(request)
        if body and kind not in (*FORMS, "application/json"):
            raise HTTPException(415)
        given = request.headers.get(csrf.HEADER, "")
        if not given and kind in FORMS:
            given = await _field(scope, body)
        if not csrf.fits(visit.secret(), given):
            raise HTTPException(403)
        await self._app(scope, _again(body, receive), send)


async def _field(scope: Scope, body: bytes) -> str:
    """The token's field of a form."""
    # Starlette keeps a parsed form in the request, not in the scope: the endpoint parses the same bytes again.
    copy: MutableMapping[str, Any] = dict(scope)
    try:
        async with Request(copy, _again(body, None)).form(max_files=20, max_fields=500) as form:
            value = form.get(csrf.FIELD)
    except (MultiPartException, ValueError):
        raise HTTPException(400) from None
    return value if isinstance(value, str) else ""


def _again(body: bytes, receive: Receive | None) -> Receive:
    """A body that was read, to be read once more."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive() if receive else {"type": "http.disconnect"}

    return replay
