"""The pages in a real browser: what a script draws, the keyboard, the rules of accessibility, both languages and themes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from surveillance.dashboard.site_of_tests import PASSWORD, served

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).parents[2] / "web" / "vendor" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium")
_LEFT = ("net::ERR_ABORTED",)
"""What becomes of a request whose page was left."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PAGES = ("/", "/groups", "/groups/influenza", "/map?group=influenza", "/alerts", "/help")


@pytest.fixture(scope="module")
def url(app: Starlette) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def enter(chromium: Any, url: str, faults: list[str]) -> Iterator[Any]:
    """A page of somebody who is logged in."""
    contexts = []

    def made(login: str = "epi", **options: Any) -> Any:
        context = chromium.new_context(base_url=url, **({"locale": "fr-FR"} | options))
        contexts.append(context)
        # Nothing may be asked of anybody else: the pages work without the internet.
        context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(url) else route.abort())
        page = context.new_page()
        page.on(
            "requestfailed", lambda failed: None if failed.failure in _LEFT else faults.append(f"refused {failed.url}")
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto("/login")
        page.fill("[name=login]", login)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(f"{url}/")
        return page

    yield made
    for context in contexts:
        context.close()
    assert not faults


@pytest.mark.parametrize(("scheme", "width", "locale"), [("light", 1360, "fr-FR"), ("dark", 390, "en-GB")])
def test_the_rules_of_accessibility_hold(enter: Any, scheme: str, width: int, locale: str) -> None:
    page = enter(color_scheme=scheme, locale=locale, viewport={"width": width, "height": 900})
    for path in PAGES:
        page.goto(path)
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
        assert [(one["id"], [node["html"] for node in one["nodes"]][:2]) for one in found["violations"]] == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is wider than the window"


def test_a_chart_is_drawn_and_walked_through_by_keys(enter: Any) -> None:
    page = enter()
    page.goto("/groups/influenza")
    page.wait_for_selector(".chart canvas")
    chart, readout = page.locator(".chart"), page.locator(".readout")
    last = readout.inner_text()
    chart.focus()
    page.keyboard.press("ArrowLeft")
    before = readout.inner_text()
    assert before != last
    page.keyboard.press("End")
    assert readout.inner_text() == last
    page.keyboard.press("Home")
    assert readout.inner_text() not in (last, before)
    playwright.expect(page.locator("#live")).not_to_be_empty()


def test_the_chart_follows_the_theme_and_the_window(enter: Any) -> None:
    page = enter(color_scheme="light")
    page.goto("/groups/influenza")
    page.wait_for_selector(".chart canvas")
    light = page.locator(".chart canvas").evaluate("canvas => canvas.toDataURL()")
    page.click("#theme")
    dark = page.locator(".chart canvas").evaluate("canvas => canvas.toDataURL()")
    assert light != dark
    page.set_viewport_size({"width": 500, "height": 900})
    for _ in range(50):
        if page.locator(".uplot").bounding_box()["width"] <= 500:
            break
        page.wait_for_timeout(100)
    else:
        pytest.fail("the chart stays as wide as it was")


def test_all_by_keyboard(enter: Any) -> None:
    """From the overview to an alert, without a mouse."""
    page = enter()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    for _ in range(60):
        page.keyboard.press("Tab")
        if "/alerts/" in (page.evaluate("document.activeElement.getAttribute('href')") or ""):
            break
    else:
        pytest.fail("no alert is reached by Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/*")
    assert page.locator("h1").count() == 1


def test_the_table_of_departments_is_sorted(enter: Any) -> None:
    page = enter()
    page.goto("/map")
    page.click("table.sortable th:nth-child(2) button")
    head = page.locator("table.sortable th:nth-child(2)")
    assert head.get_attribute("aria-sort") == "descending"
    values = page.locator("table.sortable tbody td:nth-child(2)").evaluate_all(
        "cells => cells.map(cell => +cell.dataset.value)"
    )
    assert values == sorted(values, reverse=True)
    page.click("table.sortable th:nth-child(2) button")
    assert head.get_attribute("aria-sort") == "ascending"


def test_groups_are_found_without_accents(enter: Any) -> None:
    page = enter()
    page.goto("/groups")
    page.fill("#find", "meningo")
    shown = page.locator("#families li:visible").count()
    assert 0 < shown < 20
    assert str(shown) in page.locator("#found").inner_text()


def test_without_scripts_the_figures_are_there(enter: Any) -> None:
    page = enter(java_script_enabled=False)
    page.goto("/groups/influenza")
    assert page.locator("img.chart-image").count() == 1
    assert page.locator("details.data tbody tr").count() > 40
    page.goto("/map")
    assert page.locator(".tilemap a").count() == 107


def test_a_tile_says_what_it_shows(enter: Any) -> None:
    page = enter(locale="en-GB")
    page.goto("/map?group=all_causes")
    words = page.locator('.tilemap a[href*="place=33"]').text_content()
    assert words.startswith("33 Gironde (33):")
    assert "deaths known" in words


def test_a_viewer_is_told_what_is_hidden(enter: Any) -> None:
    page = enter("viewer")
    page.goto("/groups/suicide?place=48")
    assert page.locator(".notice.info").first.is_visible()
    assert page.locator("#age").count() == 1
    assert page.locator("#as_of").count() == 0
    assert page.locator("abbr.hidden-count").count() > 20
