"""The layers around the pages, attacked one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs

from stream.errors import DatabaseUnavailable, InvalidSettings
from stream.services import Pages, Web
from stream.web.application import front_of_app
from stream.web.requests import public
from stream.web.site import Site
from stream.web.users import Role
from web.shared import HOST, browser, log_in, people, signed_in, token_in

PUBLIC = Pages(public_url="https://desk.example.fr")
PROXY = Web(trusted_proxies=["10.0.0.1"])


async def raw(
    app: Starlette, scope: MutableMapping[str, Any], body: list[bytes]
) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Status and headers of a request that no client would send."""
    sent: list[MutableMapping[str, Any]] = []
    chunks = [{"type": "http.request", "body": part, "more_body": True} for part in body]

    async def receive() -> MutableMapping[str, Any]:
        return chunks.pop(0) if chunks else {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    base = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "query_string": b"",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1), "root_path": "", "headers": [(b"host", b"127.0.0.1")],
    }  # fmt: skip
    await app({**base, **scope}, receive, send)
    start = sent[0]
    return start["status"], list(start["headers"])


@pytest.mark.parametrize("path", ["/login", "/nowhere", "/broken", "/static/web/causa.css", "/health/live", "/"])
async def test_headers_are_on_every_answer(app: Starlette, path: str) -> None:
    async with browser(app) as client:
        headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in headers
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
    assert "server" not in headers


async def test_over_tls_there_is_hsts_and_cookies_belong_to_one_host(make: Callable[..., Starlette]) -> None:
    app = make(PROXY, PUBLIC)
    people(app, Role.CODER)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.fr") as client:
        answer = await log_in(client)
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
        cookies = answer.headers.get_list("set-cookie")
        assert len(cookies) == 3
        for cookie in cookies:
            assert re.match(r"__Host-desk-\w+=", cookie)
            assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
            assert "domain" not in cookie.lower()


async def test_on_the_loopback_cookies_do_without_tls(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        cookies = (await log_in(client)).headers.get_list("set-cookie")
    assert all(cookie.startswith("desk-") and "HttpOnly; SameSite=Lax" in cookie for cookie in cookies)
    assert not [cookie for cookie in cookies if "Secure" in cookie]


@pytest.mark.parametrize(
    ("web", "pages"),
    [
        (Web(), Pages(host="0.0.0.0")),
        (Web(), Pages(public_url="http://desk.example.fr")),
        (Web(), Pages(public_url="https://desk.example.fr")),
        (PROXY, Pages(public_url="https://desk.example.fr/desk")),
        (PROXY, Pages(public_url="ftp://desk.example.fr")),
        (PROXY, Pages(public_url="https://")),
        (Web.model_validate({"tls_cert": "cert.pem"}), Pages()),
        (Web(zone="Mars/Olympus"), Pages()),
    ],
)  # fmt: skip
def test_plain_http_is_for_the_loopback(make: Callable[..., Starlette], web: Web, pages: Pages) -> None:
    with pytest.raises(InvalidSettings):
        make(web, pages)


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PATCH", "CONNECT", "FROB"])
async def test_wrong_methods(app: Starlette, method: str) -> None:
    async with browser(app) as client:
        answer = await client.request(method, "/login")
    assert answer.status_code == 405
    assert answer.headers["allow"]


async def test_a_method_that_the_route_does_not_take(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        assert (await client.get("/act")).status_code == 405
        assert (await client.put("/act", json={})).status_code == 405


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "", "desk.example.fr"]
)
async def test_another_host_is_refused(app: Starlette, host: str) -> None:
    async with browser(app) as client:
        answer = await client.get("/login", headers={"host": host})
    assert answer.status_code == 421
    assert "evil" not in answer.text


async def test_health_answers_by_any_name(app: Starlette) -> None:
    async with browser(app) as client:
        assert (await client.get("/health/live", headers={"host": "10.0.0.3:8480"})).status_code == 200


async def test_two_hosts_are_refused(app: Starlette) -> None:
    headers = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    status, _ = await raw(app, {"method": "GET", "path": "/login", "headers": headers}, [])
    assert status == 421


@pytest.mark.parametrize(
    "forged", ["x-forwarded-host", "x-forwarded-proto", "x-original-url", "x-http-method-override"]
)
async def test_forged_headers_change_nothing(app: Starlette, forged: str) -> None:
    async with browser(app) as client:
        answer = await client.get("/", headers={forged: "evil.example"})
    assert answer.headers["location"] == "/login"


async def test_long_bodies_are_refused_told_or_not(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        assert (await client.post("/act", data={"word": "a" * 2_000_000})).status_code == 413
        token = client.headers["x-csrf-token"].encode()
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items()).encode()
    headers = [
        (b"host", b"127.0.0.1"), (b"x-csrf-token", token), (b"cookie", cookie), (b"content-type", b"application/json")
    ]  # fmt: skip
    scope = {"method": "POST", "path": "/act", "headers": headers}
    assert (await raw(app, scope, [b'"' + b"a" * 600_000, b"a" * 600_000]))[0] == 413
    assert (await raw(app, {**scope, "headers": [*headers, (b"content-length", b"-1")]}, [b"x"]))[0] == 400
    assert (await raw(app, {**scope, "headers": [*headers, (b"content-length", "²".encode())]}, [b"x"]))[0] == 400


async def test_long_addresses_are_refused(app: Starlette) -> None:
    async with browser(app) as client:
        assert (await client.get("/" + "a" * 3_000)).status_code == 414
        assert (await client.get("/", params={"q": "a" * 5_000})).status_code == 414


async def test_other_bodies_are_refused(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        for kind in ("text/plain", "application/xml", "", "application/json/x"):
            answer = await client.post("/act", content=b"<a/>", headers={"content-type": kind})
            assert answer.status_code == 415, kind
        assert (
            await client.post("/act", content=b"{", headers={"content-type": "application/json"})
        ).status_code == 400
        assert (
            await client.post("/act", content=b"3", headers={"content-type": "application/json"})
        ).status_code == 400
        broken = {"content-type": "multipart/form-data"}
        del client.headers["x-csrf-token"]
        assert (await client.post("/act", content=b"x", headers=broken)).status_code in (400, 403)


async def test_unsafe_requests_need_the_token(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client, browser(app) as other:
        good = client.headers.pop("x-csrf-token")
        people(app, Role.CODER, login="c2")
        await log_in(other, "c2")
        stranger = token_in((await other.get("/account")).text)
        json, form = {"json": {"a": 1}}, {"data": {"word": "a"}}
        for wrong in ("", "x", stranger, good[:-1], good.upper()):
            for body in (json, form, {"data": {"csrf": wrong, "word": "a"}}):
                answer = await client.post("/act", headers={"x-csrf-token": wrong}, **body)
                assert answer.status_code == 403, (wrong, body)
        assert (await client.post("/act", json={"csrf": good})).status_code == 403, "in JSON it stands in the header"
        assert (await client.post("/logout")).status_code == 403
        assert (await client.post(f"/act?csrf={good}")).status_code == 403
        assert (await client.post("/act", headers={"x-csrf-token": good}, **json)).json() == {"got": {"a": 1}}  # type: ignore[arg-type]
        assert (await client.post("/act", data={"csrf": good, "word": "a"})).status_code == 303
        files = {"csrf": (None, good), "word": (None, "a")}
        assert (await client.post("/act", files=files)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"}, {"origin": "null"}, {"origin": "http://127.0.0.1:81"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    ],
)  # fmt: skip
async def test_other_origins_are_refused_even_with_the_token(app: Starlette, headers: dict[str, str]) -> None:
    async with signed_in(app, Role.CODER) as client:
        assert (await client.post("/act", json={}, headers=headers)).status_code == 403
        assert (
            await client.post("/act", json={}, headers={"origin": HOST, "sec-fetch-site": "same-origin"})
        ).is_success


async def test_the_login_form_needs_the_token_too(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        answer = await client.post("/login", data={"login": "c1", "password": "x"})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\tevil", "/%0d%0ax: y\r\nx: y",
     "javascript:alert(1)", "evil", "/a\x00", "http:/evil", "///evil.example", "/" + "a" * 2_000, "/\u2028"],
)  # fmt: skip
async def test_nobody_is_sent_elsewhere(app: Starlette, wanted: str) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        answer = await log_in(client, wanted=wanted)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        for path in ("/login", "/language/fr"):
            assert (await client.get(path, params={"next": wanted})).headers["location"] == "/"
        assert (await client.get("/login", params={"next": "/figures?a=b"})).headers["location"] == "/figures?a=b"
        token = token_in((await client.get("/account")).text)
        answer = await client.post("/act", data={"csrf": token, "to": wanted})
        assert answer.headers["location"] == "/"


async def test_headers_cannot_be_injected(app: Starlette) -> None:
    people(app, Role.CODER)
    async with browser(app) as client:
        answer = await log_in(client, wanted="/x\r\nset-cookie: a=b")
        assert "a" not in client.cookies
        assert answer.headers["location"] == "/"
        answer = await client.get("/language/en%0d%0aset-cookie:%20a=b")
        assert answer.status_code == 404
        answer = await client.get("/nowhere%0d%0aset-cookie:%20a=b")
        assert "a" not in answer.cookies


@pytest.mark.parametrize(
    "path",
    ["/static/../secret.txt", "/static/desk/../secret.txt", "/static/desk/..%2fsecret.txt", "/static/desk/%2e%2e/secret.txt",
     "/static/desk/..%5csecret.txt", "/static/%2fetc%2fpasswd", "/static//etc/passwd", "/static/desk/", "/static/", "/static/web",
     "/static/desk/desk.js%00.css", "/static/desk/link.txt", "/static/desk/desk.py", "/static/web/../../application.py"],
)  # fmt: skip
async def test_static_files_are_the_ones_there_are(make: Callable[..., Starlette], site: Site, path: str) -> None:
    assert site.static
    (site.static / "link.txt").symlink_to(site.static.parent / "secret.txt")
    (site.static / "desk.py").write_text("not a kind that is served")
    app = make()
    status, _ = await raw(app, {"method": "GET", "path": httpx.URL(HOST + path).path, "raw_path": path.encode()}, [])
    assert status == 404
    assert (await raw(app, {"method": "GET", "path": path}, []))[0] == 404


async def test_files_keep_for_good_under_their_hash(app: Starlette) -> None:
    front = front_of_app(app)
    async with browser(app) as client:
        answer = await client.get(front.file_url("desk/desk.js"))
        assert answer.headers["cache-control"].endswith("immutable")
        assert answer.headers["content-type"].startswith("text/javascript")
        assert (await client.get("/static/desk/desk.js?v=other")).headers["cache-control"] == "no-cache"


async def test_errors_tell_nothing(app: Starlette) -> None:
    async with browser(app) as client:
        with capture_logs() as logs:
            answer = await client.get("/broken?pancr%C3%A9as")
        assert answer.status_code == 500
        json = await client.get("/broken?q", headers={"accept": "application/json", "accept-language": "en"})
        assert json.json() == {"error": {"code": "HTTP_500", "message": "Something went wrong"}}
        missing = await client.get("/certificat-42")
        assert "certificat-42" not in missing.text
        assert (await client.get("/gone")).status_code == 410
    for text in (answer.text, str(logs)):
        assert not re.search("pancr|carcinome|RuntimeError.*carc|Traceback", text)
    assert [log for log in logs if log.get("exception_type") == "RuntimeError"]


async def test_the_log_tells_pages_not_paths(app: Starlette) -> None:
    async with browser(app) as client:
        with capture_logs() as logs:
            await client.get("/?q=infarctus")
            await client.get("/infarctus")
            await client.request("INFARCTUS", "/")
    assert len(logs) == 3
    assert "infarctus" not in str(logs).lower()
    assert [log["stage"] for log in logs] == ["GET home", "GET -", "? -"]


async def test_a_database_that_is_away_is_told_as_such(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    async with signed_in(app, Role.CODER) as client:

        def away(*_: object, **__: object) -> None:
            raise DatabaseUnavailable("database: secret words")

        monkeypatch.setattr(front_of_app(app).sessions, "find", away)
        answer = await client.get("/")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "secret words" not in answer.text


async def test_what_cannot_be_logged_is_not_done(
    app: Starlette, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with signed_in(app, Role.CODER) as client:

        def away(*_: object) -> None:
            raise DatabaseUnavailable("away")

        monkeypatch.setattr(front_of_app(app).access, "record", away)
        assert (await client.post("/act", data={"word": "a"})).status_code == 503


async def test_too_many_requests(make: Callable[..., Starlette]) -> None:
    app = make(Web(requests_a_minute=20))
    async with browser(app) as client, browser(app, "10.0.0.7") as other:
        statuses = [(await client.get("/login")).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        answer = await client.get("/login")
        assert answer.headers["retry-after"]
        assert (await other.get("/login")).status_code == 200
        assert (await client.get("/static/web/causa.css")).status_code == 200
        assert (await client.get("/health/live")).status_code == 200


async def test_health(app: Starlette, monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(app) as client:
        assert (await client.get("/health/live")).json() == {"live": True}
        assert (await client.get("/health/ready")).json() == {"ready": True, "checks": {"database": {"holds": True}}}
        monkeypatch.setattr("stream.web.application._database", lambda _engine: "it does not answer")
        answer = await client.get("/health/ready")
        assert answer.status_code == 503


@public
async def _open(_request: Request) -> Response:
    return Response("")


async def _forgotten(_request: Request) -> Response:
    return Response("")


@pytest.mark.parametrize("route", [Route("/x", _forgotten), Route("/login/x", _open), Route("/static/x", _open)])
def test_a_route_says_who_may_come(make: Callable[..., Starlette], site: Site, route: Route) -> None:
    from dataclasses import replace

    with pytest.raises(InvalidSettings, match=route.path):
        make(site=replace(site, routes=[route]))


async def test_roles(app: Starlette) -> None:
    async with (
        signed_in(app, Role.CODER) as coder,
        signed_in(app, Role.ADMIN, login="a1") as admin,
        browser(app) as nobody,
    ):
        assert (await coder.get("/figures")).status_code == 403
        answer = await admin.get("/figures", headers={"accept-language": "en;q=0.5, de"})
        assert answer.json()["language"] == "en"
        assert (await admin.get("/")).status_code == 403
        assert (await nobody.get("/figures?a=1")).headers["location"] == "/login?next=/figures%3Fa%3D1"
        assert (await nobody.get("/figures", headers={"accept": "application/json"})).status_code == 401
        assert 'href="/figures"' not in (await coder.get("/")).text
    denied = [entry for entry in front_of_app(app).access.entries() if entry.act == "DENIED"]
    assert [entry.detail for entry in denied] == ['{"page":"figures"}', '{"page":"home"}']


async def test_what_is_shown_is_escaped(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client:
        page = (await client.get("/", params={"word": '"><script>alert(1)</script>'})).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


async def test_pages_have_nothing_inline(app: Starlette) -> None:
    async with signed_in(app, Role.CODER) as client, browser(app) as nobody:
        pages = [(await client.get(path)).text for path in ("/", "/account", "/nowhere")]
        pages.append((await nobody.get("/login")).text)
    for page in pages:
        for script in re.findall(r"<script([^>]*)>", page):
            assert "src=" in script or 'type="application/json"' in script
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
        assert page.startswith("<!doctype html>")
