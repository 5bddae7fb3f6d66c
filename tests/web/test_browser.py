"""Pages in a real browser: what a person sees, and that nothing of it needs what the policy forbids."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr
from starlette.applications import Starlette

from stream.services import Oidc, Pages, Web
from stream.web.application import front_of_app
from stream.web.users import Role
from web.conftest import Clock
from web.shared import PASSWORD, people
from web.test_serving import served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
if not CHROMIUM.exists():
    pytest.skip("no chromium is installed", allow_module_level=True)
from playwright.async_api import Browser, BrowserContext, Page, async_playwright  # noqa: E402

# One browser for all tests of this file, and so one event loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def browsing(
    chromium: Browser, scheme: str = "light", language: str = "fr-FR"
) -> AsyncIterator[tuple[BrowserContext, list[str]]]:
    """A person's browser, and what its pages complain of."""
    said: list[str] = []
    context = await chromium.new_context(color_scheme=scheme, locale=language)  # type: ignore[arg-type]
    context.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context, said
    await context.close()


async def log_in(page: Page, url: str, login: str = "c1", password: str = PASSWORD) -> None:
    """By keyboard alone."""
    await page.goto(url)
    await page.keyboard.type(login)
    await page.keyboard.press("Tab")
    await page.keyboard.type(password)
    # The old page is loaded still: only the next one tells that the form was sent.
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def test_a_login_by_keyboard_and_the_account(chromium: Browser, app: Starlette) -> None:
    people(app, Role.CODER)
    async with served(app, Web(), Pages()) as url, browsing(chromium) as (context, said):
        page = await context.new_page()
        await log_in(page, url, password="wrong")
        assert "inexact" in await page.inner_text("[role=alert]")
        said.clear()  # Chromium tells of the 401
        await page.fill("#login", "c1")
        await page.fill("#password", PASSWORD)
        await page.click("button[data-x], button.primary")
        assert await page.inner_text("h1") == "Poste de codage"
        assert await page.get_attribute("nav a[aria-current]", "href") == "/"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("?")
        assert await page.inner_text("dialog h2") == "Raccourcis clavier"
        await page.keyboard.press("Escape")
        await page.wait_for_selector(
            "dialog", state="detached"
        )  # it goes with the event of its closing, a moment later
        await page.fill("[name=word]", "a?b")
        assert await page.locator("dialog").count() == 0, "keys rest while somebody types"
        await page.click("main button")
        assert page.url == f"{url}/"
        await page.click("text=English")
        assert await page.inner_text("h1") == "Coding desk"
        await page.goto(f"{url}/account")
        assert "this session" in await page.inner_text("table")
        await page.click("text=Log out")
        assert "logged out" in await page.inner_text("[role=status] >> nth=0")
        await page.goto(f"{url}/")
        assert page.url.endswith("/login")
        assert said == []


async def test_the_theme_is_kept(chromium: Browser, app: Starlette) -> None:
    async with served(app, Web(), Pages()) as url, browsing(chromium) as (context, said):
        page = await context.new_page()
        await page.goto(f"{url}/login")
        paper = "getComputedStyle(document.documentElement).backgroundColor"
        light = await page.evaluate(paper)
        await page.click("#theme")
        dark = await page.evaluate(paper)
        assert light != dark
        assert await page.get_attribute("#theme", "aria-pressed") == "true"
        await page.reload()
        assert await page.evaluate(paper) == dark
        assert said == []


async def test_injected_script_does_not_run(chromium: Browser, app: Starlette) -> None:
    """Even where a page would let markup through, the policy stops it."""
    async with served(app, Web(), Pages()) as url, browsing(chromium) as (context, said):
        page = await context.new_page()
        await page.goto(f"{url}/login")
        await page.evaluate(
            """() => {
                const script = document.createElement("script"); script.textContent = "window.evil = 1";
                document.body.append(script);
                document.body.insertAdjacentHTML("beforeend", '<img src=x onerror="window.evil = 2"><p id=p style="color:red">x</p>');
            }"""
        )
        await page.wait_for_timeout(200)
        assert await page.evaluate("window.evil") is None
        assert await page.evaluate("getComputedStyle(document.getElementById('p')).color") != "rgb(255, 0, 0)"
        assert [text for text in said if "Content Security Policy" in text]
        assert await page.evaluate("fetch('https://evil.example/').then(() => 'sent', () => 'stopped')") == "stopped"


async def test_another_site_can_neither_frame_nor_post(
    chromium: Browser, app: Starlette, make: Callable[..., Starlette]
) -> None:
    people(app, Role.CODER)
    async with served(app, Web(), Pages()) as url, browsing(chromium) as (context, _):
        page = await context.new_page()
        await log_in(page, url)
        evil = await context.new_page()
        await evil.route(
            "http://evil.example/**",
            lambda route: route.fulfill(
                content_type="text/html",
                body=f"<iframe src='{url}/'></iframe><form method=post action='{url}/act'><input name=word value=x><button>go",
            ),
        )
        await evil.goto("http://evil.example/")
        frame = evil.frames[-1]
        assert await frame.locator("header.top").count() == 0
        assert url not in frame.url, "Chromium shows a page of its own"
        await evil.click("button")
        await evil.wait_for_load_state("load")
        assert await evil.inner_text("h1") == "Accès refusé"
    assert not [entry for entry in front_of_app(app).access.entries() if entry.act == "DECIDED"]


async def test_a_login_at_a_real_provider(
    chromium: Browser, make: Callable[..., Starlette], provider: str, clock: Clock
) -> None:
    clock.now = datetime.now(UTC)  # the provider's clock goes
    web = Web(oidc=Oidc(issuer=provider, client_id="desk", client_secret=SecretStr("s")))
    async with served(make(web), web, Pages()) as url, browsing(chromium) as (context, _):
        page = await context.new_page()
        await page.goto(f"{url}/?word=b")
        await page.click("text=établissement")
        assert page.url.startswith(provider)
        await page.click("button:has-text('dupont')")
        assert page.url == f"{url}/?word=b"
        assert await page.input_value("[name=word]") == "b"
        assert "Anne Dupont" in await page.inner_text("header")


async def test_small_screens_do_not_scroll_sideways(chromium: Browser, app: Starlette) -> None:
    people(app, Role.CODER, Role.ADMIN)
    async with served(app, Web(), Pages()) as url, browsing(chromium) as (context, _):
        page = await context.new_page()
        await page.set_viewport_size({"width": 320, "height": 640})
        await log_in(page, url)
        for path in ("/", "/account", "/nowhere"):
            await page.goto(url + path)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
