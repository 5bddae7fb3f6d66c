"""Somebody without the right to small counts tries to find them out, by everything that is served."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta

import httpx
import numpy as np
import pytest
from scipy.optimize import linprog
from starlette.applications import Starlette

from stream.surveillance.counts import By, Query
from stream.surveillance.dashboard.choice import Choice
from stream.surveillance.dashboard.figures import Figures
from stream.surveillance.dashboard.rights import Rights
from stream.surveillance.dashboard.suppression import LEAST, ROUND, rounded
from stream.surveillance.detection.series import Step
from surveillance.dashboard.test_pages import logged_in

GROUPS = ("influenza", "suicide", "all_causes")
BY = ("age", "sex", "region", "department")


async def parts(client: httpx.AsyncClient, group: str, by: str, week: date, how: By) -> dict[str, float | None]:
    """What a table says: shown counts, None for hidden ones."""
    answer = await client.get(f"/groups/{group}/parts.csv?parts={by}&week={week}&by={how}")
    assert answer.status_code == 200, answer.text
    found = {}
    for row in csv.DictReader(io.StringIO(answer.text)):
        assert (row["deaths"] == "") == (row["hidden"] == "1")
        assert not row["z"]
        assert not row["p_value"]
        found[row["part"]] = float(row["deaths"]) if row["deaths"] else None
    return found


def truth(figures: Figures, group: str, week: date, how: By, as_of: date) -> dict[str, float]:
    """All cells of a week."""
    counts, end = figures.counts, week + timedelta(days=6)
    query = Query(group, how, as_of=as_of, start=week, end=end)
    places = ("FR", *figures.places.regions, *figures.places.departments)
    found = {place: float(series.counts[0] or 0) for place, series in counts.panel(query, places, Step.WEEK).items()}
    ages = counts.by_age(query, Step.WEEK)
    return found | {age: float(series.counts[0] or 0) for age, series in ages.items()}


@pytest.mark.parametrize("how", list(By))
@pytest.mark.parametrize("group", GROUPS)
async def test_tables_give_no_small_count_away(app: Starlette, figures: Figures, group: str, how: By) -> None:
    snapshot = figures.snapshot()
    assert snapshot is not None
    places = figures.places
    alone = [code for code, department in places.departments.items() if not department.region]
    tree = {"FR": [*places.regions, *alone, "UNKNOWN"]} | {code: list(places.within(code)) for code in places.regions}
    for back in (1, 6):
        week = snapshot - timedelta(days=7 * back - 1)
        real = truth(figures, group, week, how, snapshot)
        async with logged_in(app, "viewer") as client:
            tables = {by: await parts(client, group, by, week, how) for by in BY}
        shown = tables["region"] | tables["department"]
        shown["FR"] = shown.pop("TOTAL")
        for table in tables.values():
            for key, value in table.items():
                if value is not None and key in real:
                    assert real[key] >= LEAST
                    assert value == rounded(real[key])
        small = [key for key in shown if key in real and real[key] < LEAST]
        assert all(shown[key] is None for key in small)
        for key in small[::6]:
            low, high = told(tree, shown, key)
            assert low <= 1e-6, (key, low, high)
            assert high >= LEAST - 1 - 1e-6, (key, low, high)


def told(tree: dict[str, list[str]], shown: dict[str, float | None], cell: str) -> tuple[float, float]:
    """The least and the most that a cell can be, given all that is shown."""
    keys = sorted({*tree, *(part for kept in tree.values() for part in kept)})
    at = {key: i for i, key in enumerate(keys)}
    equal = np.zeros((len(tree), len(keys)))
    for row, (total, kept) in enumerate(tree.items()):
        equal[row, at[total]] = 1
        for part in kept:
            equal[row, at[part]] = -1
    half = ROUND // 2
    box = [(0, None) if (v := shown.get(key)) is None else (max(0.0, v - half), v + half) for key in keys]
    found = []
    for sign in (1, -1):
        goal = np.zeros(len(keys))
        goal[at[cell]] = sign
        result = linprog(goal, A_eq=equal, b_eq=np.zeros(len(tree)), bounds=box)
        assert result.status in (0, 3), result.message
        found.append(np.inf if result.status == 3 else float(sign * result.fun))
    return found[0], found[1]


@pytest.mark.parametrize(
    "smuggled",
    ["step=day", "as_of=2026-02-03", "age=85%2B&place=33", "sex=F&place=R-84", "age=85%2B&sex=F", "source=PAPER",
     "status=FINAL"],
)  # fmt: skip
async def test_an_address_opens_nothing(app: Starlette, figures: Figures, smuggled: str) -> None:
    """What is asked for beyond the right is left out of the answer, not looked up."""
    async with logged_in(app, "viewer") as client:
        answer = await client.get(f"/groups/influenza/series.csv?{smuggled}")
        page = await client.get(f"/groups/influenza?{smuggled}")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["as_of"] for row in table} == {str(figures.snapshot())}
    assert {row["source"] for row in table} == {""}
    assert {row["status"] for row in table} == {"ALL"}
    assert all(
        date.fromisoformat(row["last_day"]) - date.fromisoformat(row["first_day"]) == timedelta(6) for row in table
    )
    assert all(sum(bool(value) for value in (row["age"], row["sex"], row["place"] != "FR")) <= 1 for row in table)
    assert page.status_code == 200


async def test_the_chart_of_a_page_holds_no_small_count(app: Starlette, figures: Figures) -> None:
    async with logged_in(app, "viewer") as client:
        page = (await client.get("/groups/suicide?place=R-84")).text
    found = re.search(r'<script type="application/json" id="series-data">(.*?)</script>', page, re.DOTALL)
    assert found
    drawn = json.loads(found[1])
    assert drawn["hidden"], "the tests' France is too large"
    for i in drawn["hidden"]:
        assert all(drawn[name][i] is None for name in ("count", "estimate", "low", "high", "expected", "threshold"))
    assert all(value is None or (value >= LEAST and value % ROUND == 0) for value in drawn["count"])
    # The same weeks in the table below the chart.
    assert page.count('class="hidden-count"') >= len(drawn["hidden"])


async def test_crossed_tables_are_not_there(app: Starlette) -> None:
    async with logged_in(app, "viewer") as client:
        for query in ("parts=age&place=33", "parts=sex&place=R-84", "parts=region&age=85%2B", "parts=sex&age=85%2B"):
            assert (await client.get(f"/groups/all_causes/parts.csv?{query}")).status_code == 404
        page = (await client.get("/groups/all_causes?place=R-84")).text
    assert 'id="by-age"' not in page


async def test_alerts_add_no_number_of_their_own(app: Starlette, figures: Figures) -> None:
    async with logged_in(app, "viewer") as client:
        table = list(csv.DictReader(io.StringIO((await client.get("/alerts.csv?state=all")).text)))
        page = (await client.get("/alerts")).text
    assert all(row["kind"] == "STATISTICAL" for row in table)
    assert "Rougeole" not in re.sub(r"<select.*?</select>", "", page, flags=re.DOTALL)
    for row in table:
        assert not {"score", "p_value", "z", "coded_versions"} & set(row)
        assert float(row["observed"]) % ROUND == 0
        assert float(row["observed"]) >= LEAST


async def test_completeness_of_few_certificates_is_not_told(app: Starlette) -> None:
    async with logged_in(app, "viewer") as client:
        page = (await client.get("/groups/all_causes?place=48")).text
    table = page.rsplit("<table>", 1)[1]
    assert "%" not in table


def test_memory_keeps_the_two_rights_apart(figures: Figures) -> None:
    choice = Choice("suicide", "33")
    seen = figures.curve(choice, Rights(small=True))
    hidden = figures.curve(choice, Rights(small=False))
    assert any(point.count is not None and 0 < point.count < LEAST for point in seen.points)
    assert all(point.hidden for point in hidden.points if point.count is None)
    assert not any(point.count is not None and point.count < LEAST for point in hidden.points)
