"""The console put together: its routes, and who may come to each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.desk.console import words
from stream.desk.console.entry import Entry
from stream.desk.console.live import Live
from stream.desk.console.review import Review
from stream.desk.console.search import Search
from stream.desk.console.work import Work
from stream.desk.desk import Desk
from stream.web.requests import require
from stream.web.site import Check, MenuItem, Site
from stream.web.users import Role

FOLDER = Path(__file__).parent
CODERS = (Role.CODER, Role.SENIOR)
SUPERVISORS = (Role.SENIOR, Role.AUDITOR, Role.ADMIN)
ROLES = (Role.CODER, Role.SENIOR, Role.AUDITOR, Role.ADMIN)


def site(desk: Desk, search: Search, live: Live, checks: Mapping[str, Check] | None = None) -> Site:
    """The desk's pages.

    Args:
        desk: the queue and its decisions.
        search: the ICD's.
        live: the core.
        checks: of the page that tells whether the service is ready.
    """
    entry, work, review = Entry(desk), Work(desk, search, live), Review(desk)

    def get(path: str, page: Callable[[Request], Awaitable[Response]], *roles: Role) -> Route:
        return Route(path, require(*roles)(page), methods=["GET"])

    def post(path: str, page: Callable[[Request], Awaitable[Response]], *roles: Role) -> Route:
        return Route(path, require(*roles)(page), methods=["POST"])

    task = "/task/{claim_id}"
    return Site(
        name="desk",
        roles=ROLES,
        routes=[
            get("/", entry.home),
            get("/queue", entry.queue, *CODERS),
            post("/next", entry.next, *CODERS),
            post("/take", entry.take, *CODERS),
            post("/revoke", review.revoke, Role.SENIOR),
            get(task, work.task, *CODERS),
            post(f"{task}/edit", work.edit, *CODERS),
            post(f"{task}/search", work.find, *CODERS),
            post(f"{task}/beat", work.beat, *CODERS),
            post(f"{task}/refresh", work.refresh, *CODERS),
            post(f"{task}/decide", work.decide, *CODERS),
            post(f"{task}/skip", work.skip, *CODERS),
            post(f"{task}/escalate", work.escalate, *CODERS),
            post(f"{task}/back", work.send_back, Role.SENIOR),
            post(f"{task}/release", work.release, *CODERS),
            get("/decisions", review.decisions, *CODERS),
            post("/decisions/{decision_id}/undo", review.undo, *CODERS),
            post("/second", review.second, *CODERS),
            get("/supervisor", review.supervisor, *SUPERVISORS),
        ],
        templates=FOLDER / "templates",
        texts=FOLDER / "texts",
        static=FOLDER / "static",
        menu=(
            MenuItem("/queue", "desk.menu.queue", CODERS),
            MenuItem("/decisions", "desk.menu.decisions", CODERS),
            MenuItem("/supervisor", "desk.menu.supervisor", SUPERVISORS),
        ),
        checks=checks or {},
        filters=words.FILTERS,
    )
