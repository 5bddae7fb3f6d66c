"""What an endpoint does with its request: who asks, texts, pages, bodies, the access log, errors."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from stream.web import csrf
from stream.web.access import AccessLog, Event
from stream.web.address import own_path
from stream.web.front import flat
from stream.web.language import LANGUAGES, NAMES, Texts
from stream.web.users import Role, User, written_roles
from stream.web.visit import front_of, visit_of

Endpoint = Callable[[Request], Awaitable[Response]]
WHO = "__causa_who__"
"""Attribute of an endpoint that has said who may come."""


def require(*roles: Role) -> Callable[[Endpoint], Endpoint]:
    """Endpoints of people with any of the roles; with none named, of whoever is logged in.

    Nobody is sent to the login (asked for JSON: 401); a person without the role gets 403, and a row in the access log.
    """

    def around(endpoint: Endpoint) -> Endpoint:
        @functools.wraps(endpoint)
        async def guarded(request: Request) -> Response:
            user = visit_of(request.scope).user
            if user is None:
                return _to_login(request)
            if user.must_change and not request.url.path.startswith("/account"):
                return _to_change(request)
            if roles and not user.has(*roles):
                await accessed(request, "DENIED", detail={"page": endpoint.__name__})
                refuse(403)
            return await endpoint(request)

        setattr(guarded, WHO, roles)
        return guarded

    return around


def public(endpoint: Endpoint) -> Endpoint:
    """An endpoint that anybody may come to, logged in or not."""
    setattr(endpoint, WHO, None)
    return endpoint


def user_of(request: Request) -> User:
    """Who asks, in an endpoint with `require`."""
    user = visit_of(request.scope).user
    if user is None:
        refuse(401)
    return user


def texts_of(request: Request) -> Texts:
    """Texts in the language of the answer."""
    return front_of(request.scope).translator.texts(visit_of(request.scope).language)


def access_log_of(request: Request) -> AccessLog:
    """The access log, for rows that go in with other changes of the same database."""
    return front_of(request.scope).access


async def accessed(
    request: Request,
    act: str,
    *,
    certificate_id: str | None = None,
    version: int | None = None,
    detail: Mapping[str, str | int | float | bool | None] | None = None,
) -> None:
    """Write a row of the access log, before anything is answered: where it cannot be written nothing is shown."""
    happened = event(request, act, certificate_id=certificate_id, version=version, detail=detail)
    await asyncio.to_thread(access_log_of(request).record, happened)


def event(
    request: Request,
    act: str,
    *,
    certificate_id: str | None = None,
    version: int | None = None,
    detail: Mapping[str, str | int | float | bool | None] | None = None,
) -> Event:
    """A row for `AccessLog.write`, about who asks."""
    visit = visit_of(request.scope)
    who, roles = (visit.user.pseudonym, written_roles(visit.user.roles)) if visit.user else ("-", "")
    return Event(who, act, roles, certificate_id, version, detail or {}, visit.address)


def refuse(status: int) -> NoReturn:
    """Answer with the generic page of an error.

    Raises:
        HTTPException: always.
    """
    raise HTTPException(status)


def wants_json(request: Request) -> bool:
    """Whether a script asks, not a person: by what it accepts, or by what it sends."""
    accepts = request.headers.get("accept", "")
    return "application/json" in accepts or content_type(request) == "application/json"


def content_type(request: Request) -> str:
    """Kind of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def form_of(request: Request) -> FormData:
    """A form's fields; the one against foreign requests was checked before."""
    return await request.form(max_files=20, max_fields=500)


async def json_of(request: Request) -> Any:
    """A JSON object or list.

    Raises:
        HTTPException: 415 for another kind of body, 400 for what is no JSON.
    """
    if content_type(request) != "application/json":
        refuse(415)
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError):
        refuse(400)
    if not isinstance(value, dict | list):
        refuse(400)
    return value


def redirect(request: Request, path: str) -> Response:
    """Send the browser to a path of ours, by GET; what is none becomes the service's home."""
    return RedirectResponse(own_path(path, front_of(request.scope).site.home), status_code=303)


def render(
    request: Request, template: str, context: Mapping[str, Any] | None = None, status: int = 200
) -> HTMLResponse:
    """A page in the language of the request."""
    front = front_of(request.scope)
    made = front.templates.get_template(template).render(**surroundings(request), **(context or {}))
    return HTMLResponse(made, status_code=status)


def json_answer(value: Any, status: int = 200) -> JSONResponse:
    """An answer for a script."""
    return JSONResponse(value, status_code=status)


def surroundings(request: Request) -> dict[str, Any]:
    """Names that every template knows."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    texts, user, path = texts_of(request), visit.user, request.url.path
    query = f"?{request.url.query}" if request.url.query else ""
    return {
        **flat(front),
        "t": texts,
        "language": texts.language,
        "languages": [(code, NAMES[code]) for code in LANGUAGES],
        "user": user,
        "path": path,
        "address": path + query if request.method == "GET" else path,
        "here": lambda item: path == item or (item != "/" and path.startswith(f"{item}/")),
        "menu": [item for item in front.site.menu if user and (not item.roles or user.has(*item.roles))],
        "csrf_token": visit.csrf,
        "csrf_field": lambda: Markup(f'<input type="hidden" name="{csrf.FIELD}" value="{visit.csrf()}">'),  # noqa: S704
        "wide": False,
    }


def _to_login(request: Request) -> Response:
    if wants_json(request) or request.method != "GET":
        refuse(401)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    suffix = "" if wanted == front_of(request.scope).site.home else f"?next={quote(wanted, safe='/')}"
    return RedirectResponse(f"/login{suffix}", status_code=303)


def _to_change(request: Request) -> Response:
    if wants_json(request):
        refuse(403)
    return RedirectResponse("/account", status_code=303)
