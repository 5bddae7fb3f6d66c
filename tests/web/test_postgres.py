"""People, sessions, failures and logins in a real PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from sqlalchemy import Engine
from starlette.applications import Starlette

from stream.database import reading, writing
from stream.services import Oidc, Pages, Web
from stream.web import tables
from stream.web.application import create_app, front_of_app
from stream.web.attempts import BY_BOTH, Attempt, Attempts
from stream.web.site import Site
from stream.web.users import Role
from web.conftest import Clock
from web.issuer import running
from web.shared import browser, log_in, people, signed_in

Maker = Callable[..., Starlette]


async def test_all_of_it(site: Site, postgresql: Engine, clock: Clock) -> None:
    with running() as issuer:
        issuer.change = lambda claims: claims.update(iat=clock().timestamp(), exp=clock().timestamp() + 60)
        web = Web(oidc=Oidc(issuer=issuer.url, client_id="desk"))
        app = create_app(site, web, Pages(), postgresql, clock=clock)
        front = front_of_app(app)
        async with signed_in(app, Role.CODER) as client, browser(app, "10.0.0.9") as other:
            assert (await client.post("/act", data={"word": "a"})).status_code == 303
            clock.put_on(60)
            assert (await client.get("/")).status_code == 200
            for _ in range(BY_BOTH):
                assert (await log_in(other, password="wrong")).status_code == 401
            assert (await log_in(other)).status_code == 429
            begun = await other.get("/login/oidc")
            assert (await other.get(issuer.answer(begun.headers["location"]))).status_code == 303
            assert (await other.get("/")).status_code == 200
            assert len(front.sessions.of()) == 2
            people(app, Role.SENIOR, login="c2")
            assert [person.login for person in front.people.all() if person.login != "u-1"]
            front.people.set_disabled("c1", True)
            assert (await client.get("/")).status_code == 303
            clock.put_on(3_600)
            assert (await other.get("/")).status_code == 303
    assert front.access.verify().holds


def test_two_failures_at_once_both_count(postgresql: Engine) -> None:
    tables.make(postgresql)
    attempts, attempt = Attempts(postgresql), Attempt("c9", "10.7.7.7")
    attempts.failed(attempt, "")
    with ThreadPoolExecutor(1) as pool:
        with writing(postgresql) as connection:
            connection.execute(tables.failures.update().values(count=BY_BOTH - 1))
            other = pool.submit(attempts.failed, attempt, "")
            blocked(postgresql, other.done)
        other.result()
    assert attempts.wait_s(attempt, "") > 0


def blocked(engine: Engine, ended: Callable[[], bool]) -> None:
    """Until somebody waits for a lock, or what should wait for one has ended."""
    ask = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while not ended():
        with reading(engine) as connection:
            if connection.execute(ask).scalar():
                return
        time.sleep(0.01)
