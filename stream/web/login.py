"""Login by password, logout, and the choice of a language."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stream.web.access import Event
from stream.web.address import own_path
from stream.web.attempts import Attempt
from stream.web.cookies import DEVICE_S, LANGUAGE_S
from stream.web.language import LANGUAGES
from stream.web.people import Person
from stream.web.requests import accessed, form_of, public, redirect, refuse, render, wants_json
from stream.web.users import User, written_roles
from stream.web.visit import front_of, visit_of

_FIELD_CHARS = 512


def routes() -> list[BaseRoute]:
    """Our pages of this module."""
    return [
        Route("/login", login_page, methods=["GET"]),
        Route("/login", login, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/language/{language}", language, methods=["GET"]),
    ]


@public
async def login_page(request: Request) -> Response:
    """The form; who is logged in already goes on."""
    wanted = request.query_params.get("next", "")
    if visit_of(request.scope).user:
        return redirect(request, wanted)
    out = "out" in request.query_params
    front = front_of(request.scope)
    elsewhere = ""
    if out and front.provider:
        elsewhere = await front.provider.logout_url(visit_of(request.scope).own + "/login")
    return _form(request, wanted, out=out, elsewhere=elsewhere)


@public
async def login(request: Request) -> Response:
    """Check login and password."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    if not front.web.local_accounts:
        refuse(404)
    form = await form_of(request)
    fields = [form.get(name, "") for name in ("login", "password", "next")]
    if not all(isinstance(field, str) and len(field) <= _FIELD_CHARS * 4 for field in fields):
        refuse(400)
    name, password, wanted = map(str, fields)
    attempt = Attempt(name, visit.address, visit.cookies.get("device", ""))
    pseudonym = await asyncio.to_thread(front.people.pseudonym_of, name)
    wait_s, person = await front.tried(attempt, pseudonym, password)
    if wait_s:
        return _form(request, wanted, fault="wait", minutes=int(wait_s // 60) + 1, status=429)
    if person is None:
        failed = Event(pseudonym or "-", "LOGIN_FAILED", address=visit.address, detail={"by": "password"})
        await asyncio.to_thread(front.access.record, failed)
        return _form(request, wanted, fault="wrong", status=401)
    device = await asyncio.to_thread(front.attempts.succeeded, attempt, person.pseudonym)
    if device:
        visit.headers.append(front.cookies.header("device", device, DEVICE_S))
    return await welcome(request, person, wanted, "password")


async def welcome(request: Request, person: Person, wanted: str, by: str) -> Response:
    """Begin a session of a person who has just been recognised; its id is new, whatever the browser carried."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    user = person.user()
    if visit.session:
        await asyncio.to_thread(front.sessions.end, hash=visit.session.hash)
    logged_in = Event(user.pseudonym, "LOGIN", written_roles(user.roles), address=visit.address, detail={"by": by})
    await asyncio.to_thread(front.access.record, logged_in)
    await set_session(request, user)
    return redirect(request, wanted)


async def set_session(request: Request, user: User) -> None:
    """A new session in the database and its cookie with the answer."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    agent = request.headers.get("user-agent", "")
    value = await asyncio.to_thread(front.sessions.begin, user, agent, visit.address)
    visit.headers.append(front.cookies.header("session", value))
    visit.headers.append(front.cookies.header("visit", "", 0))


@public
async def logout(request: Request) -> Response:
    """End this session; the browser forgets what it keeps of our pages."""
    front, visit = front_of(request.scope), visit_of(request.scope)
    if visit.session:
        await accessed(request, "LOGOUT")
        await asyncio.to_thread(front.sessions.end, hash=visit.session.hash)
    visit.headers.append(front.cookies.header("session", "", 0))
    visit.headers.append((b"clear-site-data", b'"cache", "storage"'))
    return RedirectResponse("/login?out", status_code=303)


@public
async def language(request: Request) -> Response:
    """Choose the language: a preference of the browser, nothing else changes; and back to the page."""
    chosen = request.path_params["language"]
    if chosen not in LANGUAGES:
        refuse(404)
    front = front_of(request.scope)
    visit_of(request.scope).headers.append(front.cookies.header("language", chosen, LANGUAGE_S))
    back = own_path(request.query_params.get("next", ""), front.site.home)
    if urlsplit(back).path.startswith("/language"):
        back = front.site.home
    return redirect(request, back)


def _form(
    request: Request,
    wanted: str,
    *,
    fault: str = "",
    minutes: int = 0,
    out: bool = False,
    elsewhere: str = "",
    status: int = 200,
) -> Response:
    if wants_json(request):
        refuse(status if status != 200 else 401)
    front = front_of(request.scope)
    context = {
        "wanted": own_path(wanted, ""), "fault": fault, "minutes": minutes, "out": out, "elsewhere": elsewhere,
        "local": front.web.local_accounts, "provider": front.provider is not None,
    }  # fmt: skip
    return render(request, "login.html.j2", context, status)
