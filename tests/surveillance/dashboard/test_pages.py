"""Pages, downloads and acts, as each role sees them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from web.shared import browser, log_in, token_in

from stream.surveillance.alerts.register import Choice as Asked
from stream.surveillance.dashboard.choice import Choice
from stream.surveillance.dashboard.figures import Figures
from stream.surveillance.dashboard.rights import Rights
from stream.web.application import front_of_app
from surveillance.dashboard.filling import NOW

PAGES = (
    "/", "/groups", "/groups/influenza", "/groups/influenza?place=R-75", "/groups/suicide?place=33&by=UNDERLYING",
    "/groups/all_causes?age=85%2B", "/map", "/map?group=influenza", "/alerts", "/alerts?state=all", "/help",
)  # fmt: skip


@asynccontextmanager
async def logged_in(app: Starlette, login: str) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        answer = await log_in(client, login, "soixante lampes au grenier")
        assert answer.status_code == 303, answer.text
        client.headers["x-csrf-token"] = token_in((await client.get("/account")).text)
        yield client


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("login", ["viewer", "epi", "admin"])
@pytest.mark.parametrize("language", ["fr", "en"])
async def test_all_pages_answer(app: Starlette, login: str, language: str) -> None:
    async with logged_in(app, login) as client:
        await client.get(f"/language/{language}")
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert f'<html lang="{language}">' in answer.text
            assert "dashboard." not in re.sub(r'(href|src)="[^"]*"', "", answer.text), path  # a text that is missing
            assert not re.search(r"style=|<style|onclick|https?://", answer.text), path


async def test_nobody_sees_anything_without_a_login(app: Starlette) -> None:
    async with browser(app) as client:
        for path in (*PAGES, "/groups/influenza/series.csv", "/alerts.csv"):
            answer = await client.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "path",
    ["/groups/nobody", "/groups/influenza?place=R-99", "/groups/influenza?age=12", "/map?group=x", "/alerts/none",
     "/alerts?group=x", "/groups/influenza/parts.csv?parts=weekday", "/groups/influenza?as_of=soon"],
)  # fmt: skip
async def test_what_there_is_not(app: Starlette, path: str) -> None:
    async with logged_in(app, "epi") as client:
        assert (await client.get(path)).status_code == 404


async def test_the_overview_names_what_is_unusual(app: Starlette) -> None:
    async with logged_in(app, "epi") as client:
        page = (await client.get("/")).text
    assert "Grippe" in page
    assert "Nouvelle-Aquitaine" in page
    assert "Rougeole" in page
    assert "▲" in page


async def test_a_download_is_what_the_page_shows(app: Starlette) -> None:
    async with logged_in(app, "epi") as client:
        page = (await client.get("/groups/influenza?place=R-75&by=UNDERLYING")).text
        answer = await client.get("/groups/influenza/series.csv?place=R-75&by=UNDERLYING")
        picture = await client.get("/groups/influenza/series.png?place=R-75&by=UNDERLYING")
    found = re.search(r'<script type="application/json" id="series-data">(.*?)</script>', page, re.DOTALL)
    assert found
    drawn = json.loads(found[1])
    table = rows(answer.text)
    assert [float(row["deaths"]) for row in table] == drawn["count"]
    assert {row["place"] for row in table} == {"R-75"}
    assert {row["by"] for row in table} == {"UNDERLYING"}
    assert answer.headers["content-disposition"] == 'attachment; filename="influenza.R-75.csv"'
    assert picture.content.startswith(b"\x89PNG")


async def test_downloads_stand_in_the_access_log(app: Starlette) -> None:
    log = front_of_app(app).access
    async with logged_in(app, "epi") as client:
        before = len(list(log.entries()))
        await client.get("/groups/influenza/series.csv")
        await client.get("/alerts.csv")
    new = list(log.entries())[before:]
    assert [entry.act for entry in new if entry.act == "EXPORTED"] == ["EXPORTED", "EXPORTED"]


async def test_certificates_ids_are_shown_by_right_and_on_record(app: Starlette, figures: Figures) -> None:
    single = next(alert for alert in figures.register.alerts(Asked(open=True)) if alert.certificates)
    log = front_of_app(app).access
    async with logged_in(app, "epi") as client:
        page = (await client.get(f"/alerts/{single.alert_id}")).text
    assert single.certificates[0] in page
    assert any(entry.certificate_id == single.certificates[0] for entry in log.entries())
    async with logged_in(app, "viewer") as client:
        assert (await client.get(f"/alerts/{single.alert_id}")).status_code == 404


async def test_an_epidemiologist_acts_and_a_viewer_does_not(app: Starlette, figures: Figures) -> None:
    alert = next(a for a in figures.register.alerts(Asked(open=True)) if a.group == "influenza" and a.place == "R-75")
    path = f"/alerts/{alert.alert_id}/acts"
    async with logged_in(app, "viewer") as client:
        assert (await client.post(path, data={"what": "acknowledge", "why": "vu"})).status_code == 403
    async with logged_in(app, "epi") as client:
        assert (await client.post(path, data={"what": "acknowledge", "why": ""})).status_code == 400
        assert (await client.post(path, data={"what": "dance", "why": "vu"})).status_code == 400
        assert (await client.post(path, data={"what": "escalate", "why": "vu", "level": "x"})).status_code == 400
        answer = await client.post(path, data={"what": "acknowledge", "why": "appel à l'ARS"})
        assert answer.status_code == 303
        until = (NOW + timedelta(days=3)).isoformat()
        assert (await client.post(path, data={"what": "mute", "why": "connu", "until": until})).status_code == 303
        assert (await client.post(path, data={"what": "escalate", "why": "grave", "level": "8"})).status_code == 303
        page = (await client.get(f"/alerts/{alert.alert_id}")).text
    assert "appel à l&#39;ARS" in page
    assert "8 / 9" in page
    after = figures.register.alert(alert.alert_id)
    assert after is not None
    assert after.level == 8
    assert after.muted


async def test_another_day_of_knowledge(app: Starlette) -> None:
    then = (NOW - timedelta(days=10)).isoformat()
    async with logged_in(app, "epi") as client:
        now_rows = rows((await client.get("/groups/all_causes/series.csv")).text)
        then_rows = rows((await client.get(f"/groups/all_causes/series.csv?as_of={then}")).text)
        page = (await client.get(f"/groups/all_causes?as_of={then}")).text
    assert max(row["last_day"] for row in then_rows) <= then
    now_by_day = {row["first_day"]: float(row["deaths"]) for row in now_rows}
    assert float(then_rows[-1]["deaths"]) < now_by_day[then_rows[-1]["first_day"]]
    assert "Revenir" in page


async def test_days(app: Starlette) -> None:
    async with logged_in(app, "epi") as client:
        table = rows((await client.get("/groups/all_causes/series.csv?step=day&span=26")).text)
    assert len(table) == 26 * 7
    assert table[-1]["last_day"] == NOW.isoformat()
    assert float(table[-1]["share_here"]) < 0.5
    assert float(table[-1]["estimate"]) > float(table[-1]["deaths"])


def test_an_alarm_of_the_chart_is_above_its_threshold(figures: Figures) -> None:
    points = figures.curve(Choice("influenza", "R-75"), Rights(small=True)).points
    assert any(point.alarm for point in points[-3:])
    for point in points:
        if point.threshold is not None and point.count is not None and point.share:
            assert point.alarm == (point.count / point.share > point.threshold + 1e-9)


def test_a_week_is_not_finished_before_its_deaths_arrive(figures: Figures) -> None:
    newest = figures.curve(Choice(), Rights(small=True)).points[-1]
    assert newest.share < 0.98
    assert newest.low is not None
    assert newest.count is not None
    assert newest.estimate is not None
    assert newest.high is not None
    assert newest.count <= newest.low <= newest.estimate <= newest.high
