"""Pages over HTTP, and what they say of a process."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from prometheus_client import REGISTRY

from stream import metrics, pages
from stream.health import LIVE_S, Health, beating
from stream.pages import Answer, Page


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(("broker", "group"), clock)


def asked(health: Health, path: str) -> tuple[int, dict[str, Any]]:
    answer = health.pages()[path]("")
    assert answer.kind == "application/json"
    body: dict[str, Any] = json.loads(answer.body)
    return answer.status, body


def test_nothing_holds_before_it_is_known(health: Health) -> None:
    status, body = asked(health, "/health/ready")
    assert status == 503 and not body["ready"] and body["live"]
    assert body["checks"]["broker"] == {"holds": False, "why": "not known yet"}
    assert asked(health, "/health/live")[0] == 200
    assert REGISTRY.get_sample_value("causa_ready", {"check": "broker"}) == 0


def test_it_is_ready_when_all_holds_and_says_why_not(health: Health) -> None:
    health.tell("broker")
    assert not health.ready
    health.tell("group")
    assert asked(health, "/health/ready") == (
        200, {"ready": True, "live": True, "checks": {"broker": {"holds": True}, "group": {"holds": True}}},
    )  # fmt: skip
    assert REGISTRY.get_sample_value("causa_ready", {"check": "broker"}) == 1
    health.tell("broker", "it does not answer")
    status, body = asked(health, "/health/ready")
    assert (status, body["checks"]["broker"]["why"]) == (503, "it does not answer")
    assert asked(health, "/health/live")[0] == 200, "what holds must not be started again"


def test_a_loop_that_does_not_turn_is_dead(health: Health, clock: Clock) -> None:
    health.tell("broker")
    health.tell("group")
    clock.now += LIVE_S
    assert asked(health, "/health/live") == (503, {"live": False, "loop_turned_s": LIVE_S})
    assert asked(health, "/health/ready")[0] == 503
    health.beat()
    assert asked(health, "/health/live")[0] == 200 and health.ready


async def test_the_loop_beats(monkeypatch: pytest.MonkeyPatch, health: Health, clock: Clock) -> None:
    monkeypatch.setattr("stream.health.BEAT_S", 0.0)
    clock.now += LIVE_S + 1
    task = asyncio.create_task(beating(health))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert health.live
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def served(found: Mapping[str, Page]) -> Iterator[http.client.HTTPConnection]:
    server = pages.serve(0, found, "127.0.0.1")
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    yield connection
    connection.close()
    server.shutdown()
    server.server_close()


def test_pages_by_path(health: Health) -> None:
    for connection in served({**health.pages(), "/echo": lambda accepted: Answer(418, "text/x", accepted.encode())}):
        connection.request("GET", "/echo?x=1", headers={"Accept": "tea"})
        answer = connection.getresponse()
        assert (answer.status, answer.read(), answer.getheader("Content-Type")) == (418, b"tea", "text/x")
        assert answer.getheader("Server", "").strip() == "causa", "no version of Python for strangers"
        for path, status in {"/health/ready": 503, "/health/live": 200, "/": 404, "/%00": 404, "/../etc": 404}.items():
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (path, answer.status) == (path, status) and answer.read()


def test_an_asker_that_hangs_up_costs_nothing(health: Health, capfd: pytest.CaptureFixture[str]) -> None:
    for connection in served(health.pages()):
        for said in (b"", b"GET", b"\x16\x03\x01\x00", b"GET /health/live HTTP/1.1\r\n"):
            with socket.create_connection((connection.host, connection.port)) as rude:
                rude.sendall(said)
        connection.request("GET", "/health/live")
        assert connection.getresponse().status == 200
    assert capfd.readouterr().err == ""


def test_metrics_in_the_form_that_is_asked_for() -> None:
    plain, openmetrics = metrics._page("text/plain"), metrics._page("application/openmetrics-text; version=1.0.0")
    assert plain.kind.startswith("text/plain") and b"causa_coded_total" in plain.body
    assert openmetrics.kind.startswith("application/openmetrics-text") and openmetrics.body.endswith(b"# EOF\n")
    assert b"process_resident_memory_bytes" in plain.body


def test_what_has_not_happened_yet_is_told() -> None:
    for end in ("committed", "begun again", "refused"):
        assert REGISTRY.get_sample_value("causa_transactions_total", {"end": end}) is not None
    for error in ("CORE_FAILED", "MODEL_REJECTED", "BAD_AVRO"):  # `increase` does not see a counter that begins with 1
        assert REGISTRY.get_sample_value("causa_dead_letters_total", {"error": error}) is not None
