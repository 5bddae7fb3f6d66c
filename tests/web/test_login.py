"""Logins by password and the sessions that they begin, attacked."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy import Engine
from starlette.applications import Starlette
from structlog.testing import capture_logs

from stream.database import open_database, reading, writing
from stream.services import Database, Web
from stream.web import attempts, passwords, tables
from stream.web.application import front_of_app
from stream.web.front import AT_ONCE
from stream.web.sessions import Sessions
from stream.web.users import Role
from web.conftest import DESK, Clock
from web.shared import PASSWORD, browser, log_in, people, signed_in, token_in


async def test_login_and_logout(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        assert (await client.get("/")).headers["location"] == "/login"
        answer = await log_in(client, "C1 ", wanted="/?word=a")
        assert (answer.status_code, answer.headers["location"]) == (303, "/?word=a")
        page = (await client.get("/")).text
        assert "Poste de codage" in page
        assert (await client.get("/login")).status_code == 303, "who is logged in goes on"
        session = client.cookies["desk-session"]
        answer = await client.post("/logout", data={"csrf": token_in(page)})
        assert answer.headers["clear-site-data"]
        assert (await client.get("/")).status_code == 303
        client.cookies.set("desk-session", session)
        assert (await client.get("/")).status_code == 303, "the old id is worth nothing"
    acts = [entry.act for entry in front_of_app(app).access.entries()]
    assert acts == ["LOGIN", "LOGOUT"]


async def test_the_id_is_kept_as_its_hash_alone(app: Starlette, engine: Engine) -> None:
    async with signed_in(app, Role.CODER) as client:
        value = client.cookies["desk-session"]
        assert len(value) == 43
        with reading(engine) as connection:
            kept = [str(row) for table in tables.metadata.sorted_tables for row in connection.execute(sa.select(table))]
        assert not [row for row in kept if value in row or PASSWORD in row]
        assert [row for row in kept if "$argon2id$" in row]


async def test_a_planted_id_never_becomes_a_session(app: Starlette) -> None:
    planted = "A" * 43
    people(app, Role.CODER)
    async with browser(app) as victim, browser(app) as attacker:
        for client in (victim, attacker):
            client.cookies.set("desk-session", planted)
            client.cookies.set("desk-visit", planted)
        await log_in(victim)
        assert victim.cookies.get("desk-session", domain="127.0.0.1.local") != planted
        assert (await attacker.get("/")).status_code == 303
    assert front_of_app(app).sessions.find(planted) is None


async def test_a_login_draws_a_new_id_and_ends_the_old_session(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        first = client.cookies["desk-session"]
        token = client.headers["x-csrf-token"]
        answer = await client.post("/login", data={"login": "c1", "password": PASSWORD})
        assert answer.status_code == 303
        assert client.cookies["desk-session"] != first
        assert front_of_app(app).sessions.find(first) is None
        assert (await client.post("/act", json={}, headers={"x-csrf-token": token})).status_code == 403


@pytest.mark.parametrize("value", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "é", "' OR 1=1 --", "A" * 43 + "\n"])
def test_ids_that_are_none(app: Starlette, value: str) -> None:
    assert front_of_app(app).sessions.find(value) is None


async def test_sessions_end_when_nobody_uses_them(app: Starlette, clock: Clock) -> None:
    async with signed_in(app, Role.CODER) as client:
        clock.put_on(1_700)
        assert (await client.get("/")).status_code == 200
        clock.put_on(1_700)
        assert (await client.get("/", headers={"x-background": "1"})).status_code == 200
        clock.put_on(200)
        assert (await client.get("/")).status_code == 303, "what a page asks by itself kept it not"


async def test_a_session_is_found_though_its_use_cannot_be_written_down(
    app: Starlette, engine: Engine, clock: Clock, tmp_path: Path
) -> None:
    async with signed_in(app, Role.CODER) as client:
        value = client.cookies["desk-session"]
    clock.put_on(60)
    impatient = open_database(Database(timeout_s=0.1), tmp_path / "desk.sqlite")
    sessions = Sessions(impatient, DESK, 1_800, 43_200, lambda: clock().timestamp())
    with writing(engine):
        assert sessions.find(value) is not None
    impatient.dispose()


async def test_sessions_end_after_half_a_day_used_or_not(app: Starlette, clock: Clock) -> None:
    async with signed_in(app, Role.CODER) as client:
        for _ in range(28):
            clock.put_on(1_500)
            assert (await client.get("/")).status_code == 200
        clock.put_on(1_500)
        assert (await client.get("/")).status_code == 303


async def test_sessions_are_listed_and_ended(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as first, browser(app) as second, browser(app) as stranger:
        people(app, Role.CODER, login="c2")
        await log_in(stranger, "c2")
        second.headers["user-agent"] = "Mozilla/5.0 (X11; Linux) <b>Firefox/140</b>"
        await log_in(second)
        page = (await first.get("/account")).text
        assert "Firefox, Linux" in page
        sessions = front_of_app(app).sessions
        theirs = sessions.of(front_of_app(app).people.find("c2").pseudonym)[0].hash
        await first.post("/account/sessions", data={"session": theirs})
        assert (await stranger.get("/")).status_code == 200, "another person's session is not one's own to end"
        await first.post("/account/sessions", data={"session": "others"})
        assert (await second.get("/")).status_code == 303
        assert (await first.get("/")).status_code == 200


async def test_roles_and_disabling_work_at_once(app: Starlette) -> None:
    front = front_of_app(app)
    async with signed_in(app, Role.CODER) as client:
        front.people.set_roles("c1", frozenset({Role.AUDITOR}))
        assert (await client.get("/")).status_code == 403
        front.people.set_roles("c1", frozenset({Role.CODER}))
        assert (await client.get("/")).status_code == 200
        front.people.set_disabled("c1", True)
        assert (await client.get("/")).status_code == 303
        del client.headers["x-csrf-token"]
        assert (await log_in(client)).status_code == 401
        front.people.set_disabled("c1", False)
        assert (await log_in(client)).status_code == 303


async def test_wrong_passwords_and_unknown_logins_answer_alike(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        wrong, unknown = await log_in(client, "c1", "wrong"), await log_in(client, "nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(token_in(wrong.text), "") == unknown.text.replace(token_in(unknown.text), "")


def test_unknown_logins_cost_the_same_hash(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Counted(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            asked.append(str(hash).rsplit("$", 2)[0])
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_HASHER", Counted(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()
    people(app, Role.CODER)
    front = front_of_app(app)
    for login in ("c1", "nobody", ""):
        assert front.people.logged_in(login, "wrong") is None
    assert len(asked) == 3
    assert len(set(asked)) == 1, "one algorithm, one set of parameters"


async def test_guessing_is_stopped_and_locks_nobody_out(app: Starlette, clock: Clock) -> None:
    people(app, Role.CODER)
    async with browser(app, "10.0.0.1") as owner, browser(app, "10.0.0.2") as guesser:
        await log_in(owner)
        await owner.post("/logout", data={"csrf": token_in((await owner.get("/account")).text)})
        for _ in range(attempts.BY_BOTH):
            assert (await log_in(guesser, password="guess")).status_code == 401
        assert (await log_in(guesser, password="guess")).status_code == 429
        stopped = await log_in(guesser)
        assert stopped.status_code == 429, "not even the right one is tried"
        assert "minutes" in stopped.text
        assert (await log_in(owner)).status_code == 303, "a browser that the account knows"
        clock.put_on(2 * attempts.WINDOW_S)
        assert (await log_in(guesser)).status_code == 303


async def test_guesses_that_come_together_pass_no_limit(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app, "10.0.0.2") as guesser:
        token = token_in((await guesser.get("/login")).text)
        forms = [{"csrf": token, "login": "c1", "password": f"guess {i}", "next": ""} for i in range(30)]
        answers = await asyncio.gather(*(guesser.post("/login", data=form) for form in forms))
    found = Counter(answer.status_code for answer in answers)
    assert attempts.BY_BOTH <= found[401] <= attempts.BY_BOTH + AT_ONCE
    assert found[429] == 30 - found[401]


async def test_many_addresses_do_not_help_and_the_owner_goes_on(app: Starlette) -> None:
    front = front_of_app(app)
    person = people(app, Role.CODER)
    async with browser(app, "10.0.0.1") as owner, browser(app, "10.9.9.9") as fresh:
        await log_in(owner)
        device = owner.cookies["desk-device"]
        del owner.cookies["desk-session"]
        for i in range(attempts.BY_STRANGERS):
            front.attempts.failed(attempts.Attempt("c1", f"10.1.{i}.1"), person.pseudonym)
        assert (await log_in(fresh)).status_code == 429
        assert (await log_in(owner)).status_code == 303
        stolen = attempts.Attempt("c1", "10.3.3.3", device)
        for _ in range(attempts.BY_DEVICE):
            assert not front.attempts.wait_s(stolen, person.pseudonym)
            front.attempts.failed(stolen, person.pseudonym)
        assert front.attempts.wait_s(stolen, person.pseudonym), "a stolen device cookie has its own limit"


async def test_one_address_tries_few_accounts(app: Starlette) -> None:
    front = front_of_app(app)
    for i in range(attempts.BY_ADDRESS):
        front.attempts.failed(attempts.Attempt(f"c{i}", "2001:db8::1"), "")
    assert front.attempts.wait_s(attempts.Attempt("other", "2001:db8::2"), ""), "the same customer of a provider"
    assert not front.attempts.wait_s(attempts.Attempt("other", "2001:db8:0:1::2"), "")


async def test_another_account_of_one_browser_is_not_known(app: Starlette) -> None:
    people(app, Role.CODER, login="c2")
    async with signed_in(app, Role.CODER) as client:
        own = front_of_app(app).people.find("c2").pseudonym
        attempt = attempts.Attempt("c2", "10.0.0.1", client.cookies["desk-device"])
        for _ in range(attempts.BY_BOTH):
            front_of_app(app).attempts.failed(attempt, own)
        assert front_of_app(app).attempts.wait_s(attempt, own)


async def test_a_given_password_must_be_changed(app: Starlette, clock: Clock) -> None:
    front = front_of_app(app)
    front.people.add("c7", PASSWORD, frozenset({Role.CODER}))
    async with browser(app) as client:
        await log_in(client, "c7")
        assert (await client.get("/")).headers["location"] == "/account"
        page = await client.get("/account")
        assert "choisi pour vous" in page.text
        token = token_in(page.text)
        assert (await client.post("/act", json={}, headers={"x-csrf-token": token})).status_code == 403
        form = {"csrf": token, "current": PASSWORD, "new": "un kayak dans le salon", "again": "un kayak dans le salon"}
        before = client.cookies["desk-session"]
        assert (await client.post("/account/password", data=form)).status_code == 303
        assert client.cookies["desk-session"] != before
        assert (await client.get("/")).status_code == 200
    front.people.set_password("c7", "la pomme du voisin", own=False)
    clock.put_on(8 * 86_400)
    async with browser(app) as client:
        assert (await log_in(client, "c7", "la pomme du voisin")).status_code == 401, "a week has gone by"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"current": "wrong"}, "pas le bon"),
        ({"again": "un autre mot de passe"}, "pas les mêmes"),
        ({"new": PASSWORD, "again": PASSWORD}, "est l’ancien"),
        ({"new": "court", "again": "court"}, "12 caractères"),
        ({"new": "password123456", "again": "password123456"}, "essaie en premier"),
        ({"new": "xx c1 poste desk", "again": "xx c1 poste desk"}, "contient"),
    ],
)
async def test_passwords_that_are_not_taken(app: Starlette, fields: dict[str, str], word: str) -> None:
    async with signed_in(app, Role.CODER) as client:
        form = {"current": PASSWORD, "new": "un kayak dans le salon", "again": "un kayak dans le salon", **fields}
        answer = await client.post("/account/password", data=form)
        assert answer.status_code == 422
        assert word in answer.text


async def test_changing_the_password_ends_other_sessions(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client, browser(app) as other:
        await log_in(other)
        form = {"current": PASSWORD, "new": "un kayak dans le salon", "again": "un kayak dans le salon"}
        assert (await client.post("/account/password", data=form)).status_code == 303
        assert (await other.get("/")).status_code == 303
        assert (await client.get("/")).status_code == 200


async def test_no_password_reaches_a_log(app: Starlette) -> None:
    secret = "Xylophone-sous-la-pluie"
    people(app, Role.CODER)
    async with browser(app) as client:
        with capture_logs() as logs:
            for login in ("c1", secret):
                await log_in(client, login, secret)
    entries = [str(entry) for entry in front_of_app(app).access.entries()]
    assert len(entries) == 2
    assert secret.lower() not in (json.dumps(logs, default=str) + str(entries)).lower()


async def test_local_accounts_may_be_off(make: Callable[..., Starlette]) -> None:
    app = make(Web(local_accounts=False))
    people(app, Role.CODER)
    async with browser(app) as client:
        page = await client.get("/login")
        assert 'name="password"' not in page.text
        answer = await client.post("/login", data={"csrf": token_in(page.text), "login": "c1", "password": PASSWORD})
        assert answer.status_code == 404


async def test_two_services_on_one_host_do_not_share_sessions(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        value = client.cookies["desk-session"]
    async with browser(app) as other:
        other.cookies.set("dashboard-session", value)
        assert (await other.get("/")).status_code == 303


async def test_languages(app: Starlette) -> None:
    async with browser(app) as client:
        assert '<html lang="fr">' in (await client.get("/login")).text
        assert (
            '<html lang="en">' in (await client.get("/login", headers={"accept-language": "de,en;q=0.7,fr;q=0.2"})).text
        )
        answer = await client.get("/language/en?next=/login%3Fnext%3D/figures")
        assert answer.headers["location"] == "/login?next=/figures"
        page = (await client.get("/login", headers={"accept-language": "fr"})).text
        assert '<html lang="en">' in page
        assert "Log in" in page
        assert (await client.get("/language/de")).status_code == 404
