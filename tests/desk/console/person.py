"""A coder at a real browser, without a mouse: counts the keys, and keeps what the server sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Response
from starlette.applications import Starlette
from web.shared import PASSWORD, people

from stream.settings import REPOSITORY
from stream.web.users import Role

AXE = REPOSITORY / "tests/web/vendor/axe-core/axe.min.js"
READY = "#task[data-ready='1']"
PATIENCE_S = 15.0
QUIET_S = 0.4
"""A little more than `QUIET_MS` of task.js."""
DECIDING = ("Enter", "o", "Control+Enter")

_ALL = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
_CONTRAST = "{type: 'rule', values: ['color-contrast']}"


class Person:
    """Presses keys.

    Attributes:
        page: the browser's page.
        keys: pressed so far.
        sent: every answer of the server, where that is kept.
        hosts: whoever the browser asked.
    """

    def __init__(self, page: Page, url: str, *, keeps: bool = False) -> None:
        self.page, self.url = page, url
        self.keys = 0
        self.sent: list[str] = []
        self.hosts: set[str] = set()
        self.faults: list[str] = []
        self._came: list[Response] = []
        self._ready_at = 0.0
        if keeps:
            page.on("response", self._came_in)
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.on("pageerror", lambda fault: self.faults.append(str(fault)))
        page.on("console", self._console)

    def _console(self, line: ConsoleMessage) -> None:
        # Chromium tells of every refusal of ours as if it were a fault.
        if line.type == "error" and "409" not in line.text:
            self.faults.append(line.text)

    def _came_in(self, response: Response) -> None:
        self._came.append(response)

    def collect(self) -> None:
        """Read what has come since: outside of the browser's events, where nothing may be asked of it."""
        came, self._came = self._came, []
        for response in came:
            kind = response.headers.get("content-type", "")
            if response.status < 300 and kind.startswith(("text/html", "application/json")):
                with suppress(Error):  # the browser has gone on, and let go of it
                    self.sent.append(f"{response.url}\n{response.text()}")

    def log_in(self, login: str) -> None:
        self.page.goto(f"{self.url}/login")
        self.page.fill("[name=login]", login)
        self.page.fill("[name=password]", PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/queue")
        self.collect()

    def press(self, *keys: str) -> None:
        for key in keys:
            if key in DECIDING:
                self.quiet()
            self.page.keyboard.press(key)
            self.keys += 1

    def type(self, words: str) -> None:
        self.page.keyboard.type(words)
        self.keys += len(words)

    def until(self, holds: Callable[[], Any], what: str = "") -> None:
        """Wait for something to hold in the browser or in the database."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with suppress(Error):  # asked while the browser was on its way to another page
                if holds():
                    return
            assert time.monotonic() < deadline, what or "it does not come"
            self.page.wait_for_timeout(20)

    def quiet(self) -> None:
        """Wait until a key may decide: one that was held from the last certificate must not."""
        left = self._ready_at + QUIET_S - time.monotonic()
        if left > 0:
            self.page.wait_for_timeout(left * 1000)

    def task(self) -> str:
        """The certificate on the screen, once its script runs; single keys are listened to."""
        self.page.wait_for_selector(READY)
        self._ready_at = time.monotonic()
        self.collect()
        return self.page.inner_text(".which .mono").strip()

    def after(self, key: str, *more: str) -> None:
        """Press keys that edit, and wait until the server has answered."""
        with self.page.expect_response(lambda r: r.url.endswith("/edit")):
            self.press(key, *more)
        self.page.wait_for_timeout(50)
        self.collect()

    def find(self, words: str) -> None:
        """Type into the open search, and take the first hit."""
        self.page.wait_for_selector("#typed:focus")
        with self.page.expect_response(lambda r: r.url.endswith("/search") and words in (r.request.post_data or "")):
            self.type(words)
        self.page.wait_for_selector("#hit-0")
        self.after("Enter")

    def codes(self, row: int) -> list[str]:
        return [c.inner_text() for c in self.page.query_selector_all(f"[data-row='{row}'] .chip:not(.gap) .code")]

    def cause(self) -> str:
        found = self.page.query_selector("#cause .cause-code .mono")
        return found.inner_text() if found else ""

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.dataset.cell ?? document.activeElement.id"))

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 A and AA on the page as it stands, and of its contrast in the other scheme."""
        dark = self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        found = self._violations(_ALL)
        self.page.emulate_media(color_scheme="light" if dark else "dark")
        # Colours that are on their way to others are neither.
        self.page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
        found += [f"other scheme: {one}" for one in self._violations(_CONTRAST)]
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        return found

    def _violations(self, rules: str) -> list[str]:
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], runOnly: {rules}}})")
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found["violations"] for node in one["nodes"]
        ]  # fmt: skip


@contextmanager
def person(browser: Browser, url: str, login: str, *, keeps: bool = False, **options: Any) -> Iterator[Person]:
    """Somebody who is logged in, at a browser of his own; `keeps` whatever the server sends."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **{"locale": "fr-FR", **options})
    context.set_default_timeout(PATIENCE_S * 1000)
    one = Person(context.new_page(), url, keeps=keeps)
    one.log_in(login)
    yield one
    # A test that failed leaves it to the browser's end: what it was waiting for may hold up the closing.
    context.close()
    assert not one.faults, one.faults
    assert one.hosts == {url.split("/")[2]}


def staff(app: Starlette) -> None:
    """Two coders and a senior."""
    for login, role in (("c1", Role.CODER), ("c2", Role.CODER), ("s1", Role.SENIOR)):
        people(app, role, login=login)
