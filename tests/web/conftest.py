from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from security import postgres
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.database import open_database
from stream.services import Database, Pages, Web
from stream.web import passwords
from stream.web.application import create_app
from stream.web.requests import (
    accessed,
    form_of,
    json_answer,
    json_of,
    public,
    redirect,
    refuse,
    render,
    require,
    texts_of,
    user_of,
)  # fmt: skip
from stream.web.site import MenuItem, Site
from stream.web.users import Role
from web.shared import folders

DESK = (Role.CODER, Role.SENIOR, Role.AUDITOR, Role.ADMIN)


class Clock:
    """A clock that stands until it is put on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 16, 8, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def put_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes of passwords that take no time; test_passwords.py looks at ours as they are."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._nobody.cache_clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(Database(), tmp_path / "desk.sqlite")
    yield engine
    engine.dispose()


@require(Role.CODER, Role.SENIOR)
async def home(request: Request) -> Response:
    return render(request, "page.html.j2", {"word": request.query_params.get("word", "")})


@require(Role.CODER)
async def act(request: Request) -> Response:
    if request.headers.get("content-type", "").startswith("application/json"):
        return json_answer({"got": await json_of(request)})
    form = await form_of(request)
    await accessed(
        request, "DECIDED", certificate_id="2026-1", version=1, detail={"word": len(str(form.get("word", "")))}
    )
    return redirect(request, str(form.get("to", "/")))


@require(Role.ADMIN)
async def figures(request: Request) -> Response:
    return json_answer({"language": texts_of(request).language, "who": user_of(request).pseudonym})


@public
async def broken(request: Request) -> Response:
    raise RuntimeError("carcinome du pancréas " + request.url.query)


@public
async def gone(_request: Request) -> Response:
    refuse(410)


def routes() -> list[Route]:
    return [
        Route("/", home, methods=["GET"]),
        Route("/act", act, methods=["POST"]),
        Route("/figures", figures, methods=["GET"]),
        Route("/broken", broken, methods=["GET"]),
        Route("/gone", gone, methods=["GET"]),
    ]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    templates, texts, static = folders(tmp_path / "site")
    menu = (MenuItem("/", "desk.menu", (Role.CODER,), "g"), MenuItem("/figures", "desk.act", (Role.ADMIN,)))
    return Site("desk", DESK, routes(), templates, texts, static, menu)


Maker = Callable[..., Starlette]


@pytest.fixture
def make(site: Site, engine: Engine, clock: Clock) -> Maker:
    def made(web: Web | None = None, pages: Pages | None = None, **more: object) -> Starlette:
        given: Site = more.get("site", site)  # type: ignore[assignment]
        return create_app(given, web or Web(), pages or Pages(), engine, clock=clock)

    return made


@pytest.fixture
def app(make: Maker) -> Starlette:
    return make()


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    """The real provider of package oidc-provider-mock, as a process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    people = [
        {"sub": "dupont", "name": "Anne Dupont", "roles": ["coder", "cook"]},
        {"sub": "nobody", "name": "No Body"},
    ]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    for person in people:
        command += ["--user-claims", json.dumps(person)]
    with (tmp_path / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "NO_COLOR": "1"})
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    httpx.get(f"{url}/.well-known/openid-configuration")
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # whoever the server runs as must reach its own folder in it
        with postgres.running(Path(folder) / "server") as url:
            engine = open_database(Database(url=url, password=SecretStr(postgres.PASSWORD)), Path("unused"))
            yield engine
            engine.dispose()
