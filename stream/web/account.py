"""A person's own page: where the person is logged in, and another password."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from stream.errors import InvalidSettings, WeakPassword
from stream.web.attempts import Attempt
from stream.web.login import set_session
from stream.web.requests import accessed, form_of, redirect, refuse, render, require, user_of
from stream.web.users import Origin
from stream.web.visit import front_of, visit_of

_FIELDS = ("current", "new", "again")


def routes() -> list[BaseRoute]:
    """Our pages of this module."""
    return [
        Route("/account", account, methods=["GET"]),
        Route("/account/password", password, methods=["POST"]),
        Route("/account/sessions", end_session, methods=["POST"]),
    ]


@require()
async def account(request: Request) -> Response:
    """The page."""
    return await _page(request, done=request.query_params.get("done", ""))


@require()
async def password(request: Request) -> Response:
    """Change the password: the current one is asked for, and all other sessions end."""
    front, visit, user = front_of(request.scope), visit_of(request.scope), user_of(request)
    if user.origin is not Origin.LOCAL:
        refuse(404)
    form = await form_of(request)
    current, new, again = (str(form.get(name, "")) for name in _FIELDS)
    person = await asyncio.to_thread(front.people.find, user.pseudonym)
    attempt = Attempt(person.login, visit.address, visit.cookies.get("device", ""))
    wait_s, known = await front.tried(attempt, user.pseudonym, current)
    if wait_s:
        refuse(429)
    if known is None:
        return await _page(request, fault="current", status=422)
    if new != again or new == current:
        return await _page(request, fault="again" if new != again else "same", status=422)
    try:
        changed = await asyncio.to_thread(front.people.set_password, user.pseudonym, new, own=True)
    except WeakPassword as weak:
        return await _page(request, fault=weak.reason, status=422)
    except InvalidSettings:
        refuse(409)
    await accessed(request, "PASSWORD_CHANGED")
    await set_session(request, changed.user())
    return redirect(request, "/account?done=password")


@require()
async def end_session(request: Request) -> Response:
    """End one of the person's sessions, or all but this one."""
    front, visit, user = front_of(request.scope), visit_of(request.scope), user_of(request)
    assert visit.session is not None
    wanted = str((await form_of(request)).get("session", ""))
    own = await asyncio.to_thread(front.sessions.of, user.pseudonym)
    chosen = [one.hash for one in own if wanted in ("others", one.hash) and one.hash != visit.session.hash]
    for one in chosen:
        await asyncio.to_thread(front.sessions.end, hash=one, pseudonym=user.pseudonym)
    await accessed(request, "SESSIONS_ENDED", detail={"count": len(chosen)})
    return redirect(request, "/account?done=sessions")


async def _page(request: Request, *, fault: str = "", done: str = "", status: int = 200) -> Response:
    front, visit, user = front_of(request.scope), visit_of(request.scope), user_of(request)
    assert visit.session is not None
    sessions = [
        {
            "hash": one.hash, "browser": one.browser, "address": one.address, "own": one.hash == visit.session.hash,
            "made": datetime.fromtimestamp(one.made, UTC), "seen": datetime.fromtimestamp(one.seen, UTC),
        }
        for one in await asyncio.to_thread(front.sessions.of, user.pseudonym)
    ]  # fmt: skip
    context = {
        "sessions": sessions, "local": user.origin is Origin.LOCAL, "least": front.web.password_chars, "fault": fault,
        "done": done if done in ("password", "sessions") else "",
    }  # fmt: skip
    return render(request, "account.html.j2", context, status)
