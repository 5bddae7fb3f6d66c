"""All that the pages of one service share, put together once."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Engine

from stream.services import Pages, Web
from stream.web import tables
from stream.web.access import AccessLog
from stream.web.address import Place, place
from stream.web.attempts import Attempt, Attempts
from stream.web.cookies import Cookies
from stream.web.language import Translator
from stream.web.oidc import Provider
from stream.web.people import People, Person
from stream.web.rates import Rates
from stream.web.sessions import Sessions
from stream.web.site import Site

FOLDER = Path(__file__).parent
AT_ONCE = 2
"""Passwords that are checked at once."""
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file that anybody may have: its bytes, kind of content and hash."""

    content: bytes
    kind: str
    hash: str


@dataclass(frozen=True)
class Front:
    """Parts of a service's pages; see the modules that they come from."""

    site: Site
    web: Web
    place: Place
    cookies: Cookies
    translator: Translator
    templates: Environment
    files: Mapping[str, File]
    people: People
    sessions: Sessions
    attempts: Attempts
    rates: Rates
    access: AccessLog
    provider: Provider | None
    engine: Engine
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def tried(self, attempt: Attempt, pseudonym: str, password: str) -> tuple[float, Person | None]:
        """Try a password under the limits of guessing (`stream.web.attempts`); a failure is counted.

        A few are tried at once, for each takes 64 MiB and a core for a moment.

        Args:
            attempt: the try.
            pseudonym: whose login it is; empty for nobody's.
            password: as typed.

        Returns:
            Seconds until it may be tried, 0 where it was; and who it is, None for nobody.
        """
        if wait_s := await asyncio.to_thread(self.attempts.wait_s, attempt, pseudonym):
            return wait_s, None
        async with self.hashing:
            # Asked again, and counted before the next one's turn: what comes together has seen none of the others fail.
            if wait_s := await asyncio.to_thread(self.attempts.wait_s, attempt, pseudonym):
                return wait_s, None
            person = await asyncio.to_thread(self.people.logged_in, attempt.login, password)
            if person is None:
                await asyncio.to_thread(self.attempts.failed, attempt, pseudonym)
        return 0.0, person

    def file_url(self, name: str) -> str:
        """URL of a file such as `desk/queue.js`, with its hash: a browser may keep it for good."""
        return f"/static/{name}?v={self.files[name].hash}"


def build(site: Site, web: Web, pages: Pages, engine: Engine, clock: Callable[[], datetime]) -> Front:
    """Put the parts together and make the tables.

    Raises:
        InvalidSettings: settings that contradict one another, or tables of another form.
        InvalidData: texts that are not complete.
        DatabaseUnavailable: the database is away.
    """
    where = place(web, pages)
    tables.make(engine)

    def seconds() -> float:
        return clock().timestamp()

    return Front(
        site=site,
        web=web,
        place=where,
        cookies=Cookies(site.name, where.secure),
        translator=Translator([FOLDER / "texts", site.texts], web.language, web.zone),
        templates=_templates(site),
        files=_files({"web": FOLDER / "static", **({site.name: site.static} if site.static else {})}),
        people=People(engine, site.roles, web.password_chars, site.name, seconds),
        sessions=Sessions(engine, site.roles, web.idle_s, web.absolute_s, seconds),
        attempts=Attempts(engine, seconds),
        rates=Rates(web.requests_a_minute),
        access=AccessLog(engine, clock),
        provider=Provider(web.oidc, site.roles, seconds) if web.oidc.issuer else None,
        engine=engine,
    )


def _templates(site: Site) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([site.templates, FOLDER / "templates"]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= dict(site.filters)
    environment.globals |= dict(site.context)
    return environment


def _files(folders: Mapping[str, Path]) -> dict[str, File]:
    """What may be asked for, by name: a path that a browser sends is looked up here and never on the disk."""
    found: dict[str, File] = {}
    for prefix, folder in folders.items():
        for path in sorted(folder.rglob("*")):
            if path.suffix in KINDS and path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()[:16]
                found[f"{prefix}/{path.relative_to(folder).as_posix()}"] = File(content, KINDS[path.suffix], digest)
    return found


def flat(front: Front) -> dict[str, Any]:
    """Names that every template knows, whatever the request."""
    return {"site": front.site, "static": front.file_url}
