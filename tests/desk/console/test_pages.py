"""The console's answers without a browser: who may come, what blind tasks send, refusals, filters, figures."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from web.shared import browser, signed_in

from desk.console.office import PANCREAS, Office, office, sample, unseen
from stream.certificate import Source
from stream.coding import Reason
from stream.desk.console.queries import read_filters, written_filters
from stream.desk.drafts import Draft, draft_json
from stream.desk.life import Stage
from stream.desk.values import Filters, Order
from stream.web.application import front_of_app
from stream.web.users import Role


@pytest.fixture
async def coder(desk_office: Office) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(desk_office.app, Role.CODER) as client:
        yield client


async def taken(client: httpx.AsyncClient, certificate_id: str = "P1") -> str:
    """A certificate taken from the list: the address of its task."""
    answer = await client.post("/take", data={"certificate_id": certificate_id})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/task/"), answer.headers["location"]
    return str(answer.headers["location"])


def kept(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="draft">(.*?)</script>', page, re.DOTALL)
    assert found
    mapping: dict[str, Any] = json.loads(found[1])
    return mapping


PATHS = (("GET", "/queue"), ("POST", "/next"), ("POST", "/take"), ("GET", "/task/x"), ("POST", "/task/x/edit"),
         ("POST", "/task/x/search"), ("POST", "/task/x/beat"), ("POST", "/task/x/decide"), ("GET", "/decisions"),
         ("POST", "/decisions/x/undo"), ("POST", "/second"), ("POST", "/revoke"), ("POST", "/task/x/refresh"),
         ("POST", "/task/x/skip"), ("POST", "/task/x/escalate"), ("POST", "/task/x/back"), ("POST", "/task/x/release"))  # fmt: skip


async def test_nobody_comes_to_a_page_without_its_role(desk_office: Office) -> None:
    async with browser(desk_office.app) as nobody:
        for _, path in [p for p in PATHS if p[0] == "GET"]:
            assert (await nobody.get(path)).headers["location"].startswith("/login")
    async with signed_in(desk_office.app, Role.AUDITOR, login="a1") as auditor:
        for method, path in PATHS:
            assert (await auditor.request(method, path)).status_code == 403, path
        assert (await auditor.get("/supervisor")).status_code == 200
        assert (await auditor.get("/")).headers["location"] == "/supervisor"
    async with signed_in(desk_office.app, Role.CODER, login="c9") as coder:
        for method, path in (("GET", "/supervisor"), ("POST", "/revoke"), ("POST", "/task/x/back")):
            assert (await coder.request(method, path)).status_code == 403, path


async def test_a_task_shows_the_certificate_its_codes_and_why_and_is_written_in_the_access_log(
    desk_office: Office, coder: httpx.AsyncClient
) -> None:
    desk_office.came(PANCREAS)
    page = (await coder.get(await taken(coder))).text
    for words in ("adénocarcinome du pancréas", "C25.9", "Tumeur maligne du pancréas", "3 jours", "78 ans", "SP3 :",
                  "lexique ch02:", "zxqv", "confiance insuffisante", "mort naturelle"):  # fmt: skip
        assert words in page, words
    seen = [e for e in front_of_app(desk_office.app).access.entries(certificate_id="P1") if e.act == "CERTIFICATE_SEEN"]
    assert len(seen) == 1
    assert "pancr" not in repr(seen).lower()


async def test_an_edit_is_kept_answered_by_the_core_and_there_again_after_a_reload(
    desk_office: Office, coder: httpx.AsyncClient
) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    draft = kept((await coder.get(task)).text)["kept"]
    draft["part1"][2]["codes"] = [{"code": "C61"}]
    answer = (await coder.post(f"{task}/edit", json={"draft": draft, "auto": True})).json()
    assert (answer["underlying"], answer["changed"]) == ("C61", True)
    assert "SP3 : C61 peut expliquer" in answer["cause"] and "au lieu" not in answer["lines"]
    again = kept((await coder.get(task)).text)
    assert again["kept"]["underlying"] == "C61" and again["changed"] and not again["own"]
    draft["underlying"] = "J96.0"
    answer = (await coder.post(f"{task}/edit", json={"draft": draft, "auto": False})).json()
    assert answer["underlying"] == "J96.0" and "choisie par vous" in answer["cause"]
    assert "mal définie ou intermédiaire" in answer["cause"]  # what the chosen cause breaks, not the rules'
    assert kept((await coder.get(task)).text)["own"]


async def test_the_proposal_as_it_is_needs_no_reason_and_leads_to_the_next(
    desk_office: Office, coder: httpx.AsyncClient
) -> None:
    coded = desk_office.came(PANCREAS, sample(0))
    task = await taken(coder)
    answer = await coder.post(f"{task}/decide", json={"draft": draft_json(Draft.of(coded[0]))})
    assert answer.status_code == 200, answer.text
    assert (await coder.get(answer.json()["next"])).status_code == 200
    assert "s0001" in (await coder.get(answer.json()["next"])).text


async def test_while_the_topics_are_read_the_queue_says_so(desk_office: Office, coder: httpx.AsyncClient) -> None:
    coded = desk_office.came(PANCREAS)
    task = await taken(coder)
    desk_office.desk.rebuild()
    desk_office.came(PANCREAS)
    answer = await coder.post("/next", data={})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queue?said=NOT_READY")
    assert "lit encore les flux" in (await coder.get(answer.headers["location"])).text
    # A decision is written all the same, and its coder is not told that it failed.
    answer = await coder.post(f"{task}/decide", json={"draft": draft_json(Draft.of(coded[0]))})
    assert (answer.status_code, answer.json()["next"]) == (200, "/queue?said=NOT_READY")


async def test_a_change_needs_a_reason_and_a_broken_edit_a_word(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    draft = kept((await coder.get(task)).text)["kept"]
    draft["part1"][2]["codes"], draft["underlying"] = [{"code": "C56"}], "C56"
    answer = await coder.post(f"{task}/decide", json={"draft": draft})
    assert (answer.status_code, answer.json()["refusal"]) == (409, "REASON_MISSING")
    assert "obligatoire" in answer.json()["text"]
    answer = await coder.post(f"{task}/decide", json={"draft": {**draft, "reason": "TERM_MISREAD"}})
    warnings = answer.json()["warnings"]
    assert answer.json()["refusal"] == "UNCONFIRMED"
    assert {"SEX_FEMALE", "reject"} <= {*(w["id"] for w in warnings), *(w["severity"] for w in warnings)}
    sure = {**draft, "reason": "TERM_MISREAD", "confirmed": [w["id"] for w in warnings]}
    assert (await coder.post(f"{task}/decide", json={"draft": sure})).json()["next"].startswith("/queue?said=EMPTY")


@pytest.mark.parametrize(
    "body", [{}, {"draft": 3}, {"draft": {"part1": "x"}}, {"draft": {"part1": [{"codes": [{}]}]}}, []]
)
async def test_a_broken_browser_is_told_so(desk_office: Office, coder: httpx.AsyncClient, body: Any) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    for path in ("edit", "decide"):
        assert (await coder.post(f"{task}/{path}", json=body)).status_code in (400, 409), path


async def test_a_draft_of_other_lines_does_not_break_the_screen(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    answer = await coder.post(
        f"{task}/edit", json={"draft": {"part1": [{"codes": [{"code": "I10"}]}] * 9}, "auto": True}
    )
    assert answer.status_code == 200 and answer.json()["underlying"]


async def test_the_search_of_a_task_knows_the_person(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    hits = (await coder.post(f"{task}/search", json={"typed": "cancer ovaire"})).json()["hits"]
    assert hits and hits[0]["unfit"]
    hits = (await coder.post(f"{task}/search", json={"typed": "pneumopatie"})).json()["hits"]
    assert (hits[0]["codes"], hits[0]["label"]) == (["J18.9"], "Pneumopathie, sans précision")
    assert (await coder.post(f"{task}/search", json={"typed": 3})).json()["hits"] == []


async def test_who_lost_the_claim_is_told_at_once(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    page = kept((await coder.get(task)).text)
    async with signed_in(desk_office.app, Role.SENIOR, login="s1") as senior:
        answer = await senior.post("/revoke", data={"certificate_id": "P1"})
        assert answer.headers["location"] == "/queue?said=REVOKED"
    for path, body in (("beat", {"idle_s": 0}), ("edit", {"draft": page["kept"]}), ("decide", {"draft": page["kept"]})):
        answer = await coder.post(f"{task}/{path}", json=body)
        assert (answer.status_code, answer.json()["refusal"]) == (409, "CLAIM_LOST"), path
    assert (await coder.get(task)).headers["location"] == "/queue?said=CLAIM_LOST"


async def test_an_amendment_shows_at_the_next_heartbeat(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    task = await taken(coder)
    draft = kept((await coder.get(task)).text)["kept"]
    assert (await coder.post(f"{task}/beat", json={"idle_s": 2})).json()["banner"] is None
    desk_office.came({**PANCREAS, "version": 2, "status": "AMENDED", "part2": ["HTA"]})
    banner = (await coder.post(f"{task}/beat", json={"idle_s": 2})).json()["banner"]
    assert (banner["kind"], banner["version"]) == ("AMENDED", 2) and "version 2" in banner["text"]
    refused = await coder.post(f"{task}/decide", json={"draft": draft})
    assert refused.json()["refusal"] == "SUPERSEDED" and refused.json()["banner"]["kind"] == "AMENDED"
    there = (await coder.post(f"{task}/refresh", json={})).json()["next"]
    assert "version 2" in (await coder.get(there)).text
    desk_office.came({"certificate_id": "P1", "version": 3, "status": "VOID"})
    banner = (await coder.post(f"{there}/beat", json={})).json()["banner"]
    assert banner["kind"] == "VOIDED"
    assert (await coder.post(f"{there}/refresh", json={})).json()["next"] == "/queue?said=EMPTY"


def blind_office(folder: Path) -> Office:
    """An office whose audit draws every certificate."""
    return office(folder, core=unseen())


async def test_nothing_of_the_machines_is_in_any_answer_for_a_blind_task(tmp_path: Path) -> None:
    blind = blind_office(tmp_path)
    coded = blind.came(PANCREAS)[0]
    assert coded.targeting.audit
    codes = {e.code for e in coded.entities()} | {coded.underlying.code or ""}
    assert {"C25.9", "J96.0"} <= codes
    told: list[str] = []
    async with signed_in(blind.app, Role.CODER) as client:
        for path in ("/queue", "/queue?audit=1", "/queue?reasons=LOW_CONFIDENCE", "/decisions"):
            told.append((await client.get(path)).text)
        task = await taken(client)
        page = (await client.get(task)).text
        draft = kept(page)["kept"]
        told += [page, (await client.post(f"{task}/beat", json={"idle_s": 1})).text]
        draft["part1"][0]["codes"] = [{"code": "R09.2"}]
        told.append((await client.post(f"{task}/edit", json={"draft": draft, "auto": True})).text)
        told.append((await client.post(f"{task}/search", json={"typed": "arret respiratoire"})).text)
        draft["underlying"] = "R09.2"
        answer = await client.post(f"{task}/decide", json={"draft": draft})
        told.append(answer.text)
        warnings = [w["id"] for w in answer.json()["warnings"]]
        told.append((await client.post(f"{task}/decide", json={"draft": {**draft, "confirmed": warnings}})).text)
        told += [(await client.get(path)).text for path in ("/queue", "/decisions")]
    assert told[-3].startswith('{"next"'), told[-3]
    for sent in told:
        for code in codes:
            assert code not in sent, (code, sent[:300])
        assert "mots non reconnus" not in sent
        assert f"{round(coded.underlying.confidence * 100)}\u202f%" not in sent
        for reason in coded.targeting.reasons:
            assert f'value="{reason}"' not in sent


async def test_an_adjudication_shows_both_sides_and_begins_with_what_they_share(tmp_path: Path) -> None:
    both = office(tmp_path)
    coded = both.came(PANCREAS)[0]
    first = draft_json(Draft.of(coded))
    second = json.loads(json.dumps(first))
    second["part1"][2]["codes"][0]["code"], second["underlying"] = "C25.0", "C25.0"
    async with signed_in(both.app, Role.CODER, login="c1") as one:
        task = await taken(one)
        assert (await one.post(f"{task}/decide", json={"draft": {**first, "second": True}})).status_code == 200
    async with signed_in(both.app, Role.CODER, login="c2") as two:
        task = await taken(two)
        page = (await two.get(task)).text
        assert "second avis" in page
        answer = await two.post(f"{task}/decide", json={"draft": {**second, "reason": "CODE_TOO_VAGUE"}})
        assert answer.status_code == 200, answer.text
    async with signed_in(both.app, Role.SENIOR, login="s1") as senior:
        assert "arbitrage" in (await senior.get("/queue")).text
        task = await taken(senior)
        page = (await senior.get(task)).text
        assert "Les deux codages" in page and "C25.0" in page
        mapping = kept(page)
        assert [[code["code"] for code in side] for side in mapping["sides"][2]] == [["C25.9"], ["C25.0"]]
        assert not mapping["kept"]["part1"][2]["codes"]
        assert [code["code"] for code in mapping["kept"]["part1"][0]["codes"]]
        answer = await senior.post(f"{task}/decide", json={"draft": {**second, "reason": "CODE_TOO_VAGUE"}})
        assert answer.status_code == 200, answer.text
        figures = (await senior.get("/supervisor", headers={"accept": "application/json"})).json()
        assert figures["adjudicated"]["all"] == 1
        assert "1 arbitrage (" in (await senior.get("/supervisor")).text
    both.engine.dispose()


async def test_undo_gives_the_certificate_back_with_its_codes(desk_office: Office, coder: httpx.AsyncClient) -> None:
    coded = desk_office.came(PANCREAS)[0]
    task = await taken(coder)
    await coder.post(f"{task}/decide", json={"draft": draft_json(Draft.of(coded))})
    page = (await coder.get("/decisions")).text
    decision = re.search(r'action="/decisions/([^/]+)/undo"', page)
    assert decision and "Proposition acceptée" in page
    answer = await coder.post(f"/decisions/{decision[1]}/undo", data={"why": "NONSENSE"})
    assert answer.headers["location"] == "/decisions?said=REASON_MISSING"
    answer = await coder.post(f"/decisions/{decision[1]}/undo", json={"why": "SLIP"})
    assert "C25.9" in (await coder.get(answer.json()["next"])).text
    assert "annulée" in (await coder.get("/decisions")).text


async def test_skip_escalate_and_release(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS, sample(0))
    answer = await coder.post(f"{await taken(coder)}/skip", json={"why": "LATER", "note": ""})
    assert answer.json()["next"].startswith("/task/")
    assert (await coder.post(f"{answer.json()['next']}/release", json={})).json()["next"] == "/queue"
    task = await taken(coder)
    assert (await coder.post(f"{task}/escalate", json={"why": ""})).json()["refusal"] == "REASON_MISSING"
    answer = await coder.post(f"{task}/escalate", json={"why": "DIFFICULT", "note": "siège douteux"})
    assert answer.status_code == 200
    async with signed_in(desk_office.app, Role.SENIOR, login="s1") as senior:
        page = (await senior.get(await taken(senior))).text
        assert "siège douteux" in page and "Difficile" in page and 'data-act="back"' in page


async def test_the_queue_filters_and_keeps_its_filters(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(*map(sample, range(12)), PANCREAS)
    page = (await coder.get("/queue?departments=33&order=OLDEST")).text
    assert "P1" in page and "s0001" not in page
    answer = await coder.post("/next?departments=33", data={})
    assert answer.headers["location"].endswith("?departments=33")
    assert "P1" in (await coder.get(answer.headers["location"])).text
    assert (await coder.get("/queue?reasons=NOTHING&page=zz&older=x&audit=7")).status_code == 200


async def test_pages_speak_english_too(desk_office: Office, coder: httpx.AsyncClient) -> None:
    desk_office.came(PANCREAS)
    await coder.get("/language/en")
    page = (await coder.get(await taken(coder))).text
    for words in ("Underlying cause", "78 years", "SP3: C25.9 can explain", "not confident enough", "natural death"):
        assert words in page, words
    assert "{" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


FILTERS = st.builds(
    Filters,
    stages=st.lists(st.sampled_from(Stage), unique=True).map(tuple),
    reasons=st.lists(st.sampled_from(Reason), unique=True).map(tuple),
    groups=st.lists(st.text(min_size=1, max_size=20), max_size=3).map(tuple),
    sources=st.lists(st.sampled_from(Source), unique=True).map(tuple),
    departments=st.lists(st.sampled_from(["33", "2A", "974"]), unique=True).map(tuple),
    audit=st.none() | st.booleans(),
    older_than=st.none() | st.integers(1, 5_000).map(lambda hours: timedelta(hours=hours)),
    free=st.booleans(),
    order=st.sampled_from(Order),
)


@given(FILTERS)
def test_filters_are_the_same_from_an_address(filters: Filters) -> None:
    assert read_filters(QueryParams(written_filters(filters))) == filters


@given(st.text(max_size=200))
def test_no_address_breaks_the_filters(query: str) -> None:
    written_filters(read_filters(QueryParams(query)))
