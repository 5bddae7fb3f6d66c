"""A site of the tests, people in it, and browsers that are logged in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette

from stream.web.application import front_of_app
from stream.web.people import Person
from stream.web.users import Role

PASSWORD = "soixante lampes au grenier"
HOST = "http://127.0.0.1"


def people(app: Starlette, *roles: Role, login: str = "c1", password: str = PASSWORD) -> Person:
    """An account of the roles, whose password is the person's own."""
    return front_of_app(app).people.add(login, password, frozenset(roles), name=login.upper(), own=True)


def browser(app: Starlette, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    """A client that keeps cookies and follows no redirect."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=HOST, headers=headers)


def token_in(page: str) -> str:
    """The token against foreign requests in a page."""
    found = re.search(r'<meta name="csrf" content="([^"]+)"', page)
    assert found, "no token in the page"
    return found[1]


async def log_in(
    client: httpx.AsyncClient, login: str = "c1", password: str = PASSWORD, wanted: str = ""
) -> httpx.Response:
    """Fill in the form of the login page."""
    token = token_in((await client.get("/login")).text)
    return await client.post("/login", data={"csrf": token, "login": login, "password": password, "next": wanted})


@asynccontextmanager
async def signed_in(
    app: Starlette, *roles: Role, login: str = "c1", address: str = "127.0.0.1"
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of a person of the roles, with a session; its token goes along in a header."""
    people(app, *roles, login=login)
    async with browser(app, address) as client:
        answer = await log_in(client, login)
        assert answer.status_code == 303, answer.text
        client.headers["x-csrf-token"] = token_in((await client.get("/account")).text)
        yield client


def folders(base: Path) -> tuple[Path, Path, Path]:
    """Templates, texts and files of a small site."""
    templates, texts, static = (base / name for name in ("templates", "texts", "static"))
    for folder in (templates, texts, static):
        folder.mkdir(parents=True)
    (templates / "page.html.j2").write_text(
        '{% extends "base.html.j2" %}{% block content %}<h1>{{ t("desk.title") }}</h1>'
        '<form method="post" action="/act">{{ csrf_field() }}<input name="word" aria-label="word" value="{{ word }}">'
        "<button>{{ t('desk.act') }}</button></form>{% endblock %}"
    )
    (texts / "fr.yaml").write_text("desk:\n  title: Poste de codage\n  act: Agir\n  menu: Page\n")
    (texts / "en.yaml").write_text("desk:\n  title: Coding desk\n  act: Act\n  menu: Page\n")
    (static / "desk.js").write_text("export const desk = 1;\n")
    (base / "secret.txt").write_text("not for anybody")
    return templates, texts, static
