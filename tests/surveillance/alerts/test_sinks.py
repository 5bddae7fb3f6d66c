from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from security.authority import Authority
from sqlalchemy import Engine

from stream.database import prepare, writing
from stream.errors import InvalidSettings
from stream.services import Mail
from stream.surveillance.alerts import sinks, store
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind
from stream.surveillance.alerts.clauses import Hearing
from stream.surveillance.alerts.mail import MailSink
from stream.surveillance.alerts.signature import check, sign
from stream.surveillance.alerts.sinks import Message, NotTaken, Refused, claim, feed, occasion, settle
from stream.surveillance.alerts.tables import FORM, TABLES
from stream.surveillance.alerts.webhook import Webhook
from stream.surveillance.alerts.words import body
from surveillance.alerts.made import NOW, SMALL, database, rules
from surveillance.alerts.test_register import alert

RULES = rules()
KEY = "0123456789abcdef"


def case(**values: object) -> Alert:
    given: dict[str, object] = {
        "kind": Kind.SINGLE_CASE,
        "level": 8,
        "certificates": ("cert-17",),
        "score": 8.0,
        **values,
    }
    return replace(alert("measles.33.2026-01-19"), **given)  # type: ignore[arg-type]


# What gives occasion


def test_an_alert_gives_each_occasion_once() -> None:
    hearing, told = Hearing(), dict[str, Alert]()
    steps = [
        (case(), "RAISED"), (case(), None), (case(verified=True), "VERIFIED"), (case(verified=True), None),
        (case(level=9, verified=True), "ESCALATED-9"), (case(level=9, verified=True), None),
        (case(open=False, status=AlertStatus.ENDED), "ENDED"), (case(open=False, status=AlertStatus.ENDED), None),
    ]  # fmt: skip
    for revision, expected in steps:
        found = occasion(revision, told, hearing)
        assert found == expected
        if found is not None:
            told[found] = revision


@pytest.mark.parametrize(
    ("revision", "hearing"),
    [
        (case(held=True), Hearing()),
        (case(muted="mt: known"), Hearing()),
        (case(level=6), Hearing(level=7)),
        (case(), Hearing(unverified=False)),
        (case(open=False, status=AlertStatus.ENDED), Hearing()),
        (case(), Hearing(occasions=("ENDED",))),
    ],
)
def test_what_a_sink_does_not_hear_of(revision: Alert, hearing: Hearing) -> None:
    assert occasion(revision, {}, hearing) is None


def test_what_was_held_is_told_once_it_is_let_go() -> None:
    assert occasion(case(revision=3), {}, Hearing()) == "RAISED"
    assert occasion(case(verified=True), {}, Hearing(unverified=False)) == "RAISED"


def test_whoever_heard_of_it_hears_that_it_is_over() -> None:
    over = case(open=False, status=AlertStatus.ENDED, muted="mt: known")
    assert occasion(over, {"RAISED": case()}, Hearing()) == "ENDED"


# Who is told when


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = database()
    prepare(engine, TABLES, service="alerts", version=FORM)
    yield engine
    engine.dispose()


def put(engine: Engine, *alerts: Alert) -> None:
    with writing(engine) as connection:
        store.put(connection, alerts)


def fed(engine: Engine, *names: str) -> None:
    with writing(engine) as connection:
        feed(connection, names, RULES, NOW)


def claimed(engine: Engine, sink: str, later: timedelta = timedelta()) -> list[Message]:
    with writing(engine) as connection:
        return claim(connection, sink, 10, NOW + later)


def settled(engine: Engine, messages: list[Message], fault: Any = None, later: timedelta = timedelta()) -> None:
    with writing(engine) as connection:
        settle(connection, messages, fault, NOW + later)


def test_a_message_is_claimed_once_and_sent_once(engine: Engine) -> None:
    put(engine, case(), case(revision=2))
    fed(engine, "duty", "other")
    (message,) = claimed(engine, "duty")
    assert message.id == "duty:measles.33.2026-01-19:RAISED" and message.attempt == 1
    assert claimed(engine, "duty") == []
    settled(engine, [message])
    fed(engine, "duty")
    put(engine, case(revision=3))
    fed(engine, "duty")
    assert claimed(engine, "duty", timedelta(days=2)) == []
    assert len(claimed(engine, "other")) == 1, "each sink by itself"


def test_what_a_kill_cut_off_is_sent_again_under_the_same_id(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    (first,) = claimed(engine, "duty")
    assert claimed(engine, "duty", timedelta(seconds=60)) == []
    (again,) = claimed(engine, "duty", timedelta(seconds=100))
    assert again.id == first.id and again.attempt == 2 and again.alert == first.alert


def test_a_late_answer_of_an_earlier_try_changes_nothing(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    (first,), (again,) = claimed(engine, "duty"), claimed(engine, "duty", timedelta(seconds=95))
    settled(engine, [first], NotTaken("ReadTimeout"), timedelta(seconds=96))
    assert claimed(engine, "duty", timedelta(seconds=110)) == [], "the second try is under way"
    settled(engine, [again], None, timedelta(seconds=111))
    for late in (first, again):
        settled(engine, [late], NotTaken("ReadTimeout"), timedelta(seconds=112))
    assert claimed(engine, "duty", timedelta(seconds=500)) == []


def test_a_sink_hears_the_end_behind_the_beginning(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    settled(engine, claimed(engine, "duty"), NotTaken("HTTP 503"))
    put(engine, case(revision=2, status=AlertStatus.ENDED, open=False))
    fed(engine, "duty", "other")
    assert claimed(engine, "duty") == []
    later = timedelta(seconds=3)
    (raised,) = claimed(engine, "duty", later)
    assert raised.occasion == "RAISED" and claimed(engine, "duty", later) == []
    settled(engine, [raised], None, later)
    assert [message.occasion for message in claimed(engine, "duty", later)] == ["ENDED"]


def test_a_message_that_was_given_up_holds_none_back(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    settled(engine, claimed(engine, "duty"), Refused("HTTP 400"))
    put(engine, case(revision=2, status=AlertStatus.ENDED, open=False))
    fed(engine, "duty")
    assert [message.occasion for message in claimed(engine, "duty")] == ["ENDED"]


def test_a_message_that_is_not_taken_comes_again_later_and_is_given_up_in_the_end(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    later = timedelta()
    tries = 0
    while messages := claimed(engine, "duty", later):
        tries += 1
        settled(engine, messages, NotTaken("HTTP 503"), later)
        assert claimed(engine, "duty", later + timedelta(seconds=0.9)) == []
        later += timedelta(seconds=900)
    assert later > timedelta(hours=23) and tries > 20


def test_a_message_that_is_refused_is_given_up(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    settled(engine, claimed(engine, "duty"), Refused("HTTP 400"))
    assert claimed(engine, "duty", timedelta(days=1)) == []


def test_a_sink_waits_as_long_as_its_receiver_asks(engine: Engine) -> None:
    put(engine, case())
    fed(engine, "duty")
    settled(engine, claimed(engine, "duty"), NotTaken("HTTP 429", again_s=120))
    assert claimed(engine, "duty", timedelta(seconds=119)) == []
    assert len(claimed(engine, "duty", timedelta(seconds=121))) == 1


def test_waits_grow_and_have_an_end() -> None:
    waits = [sinks.wait_s(n) for n in range(1, 60)]
    assert 1 <= waits[0] <= 2 and all(450 <= wait <= 900 for wait in waits[12:])


def test_rules_choose_what_a_sink_hears_of(engine: Engine) -> None:
    made = rules(SMALL.replace("duty: {level: 7}", "duty: {groups: [sepsis]}"))
    put(engine, case())
    with writing(engine) as connection:
        feed(connection, ["duty", "all"], made, NOW)
    assert claimed(engine, "duty") == [] and len(claimed(engine, "all")) == 1


# The webhook


class Receiver(BaseHTTPRequestHandler):
    """Answers as the test says, then with 200."""

    answers: ClassVar[list[tuple[int, dict[str, str]]]] = []
    got: ClassVar[list[tuple[Mapping[str, str], bytes]]] = []

    def do_POST(self) -> None:
        read = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), read))
        status, headers = self.answers.pop(0) if self.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.answers, Receiver.got = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/alerts?token=secret"
    server.shutdown()
    server.server_close()


def hook(url: str, key: str | None = KEY) -> Webhook:
    return Webhook("duty", SecretStr(url), SecretStr(key) if key else None, timeout_s=2)


async def test_a_webhook_is_signed_and_can_be_checked(receiver: str) -> None:
    sink = hook(receiver)
    await sink.send([Message("duty", case(), "RAISED")])
    await sink.close()
    ((headers, sent),) = Receiver.got
    stamp = int(headers["Causa-Timestamp"])
    assert check(KEY.encode(), headers, sent, stamp + 10)
    # As a receiver in another language does it.
    signature = hmac.new(KEY.encode(), f"{stamp}.".encode() + sent, hashlib.sha256).hexdigest()
    assert headers["Causa-Signature"] == f"v1={signature}"
    assert headers["Causa-Delivery"] == "duty:measles.33.2026-01-19:RAISED"
    told = json.loads(sent)
    assert (
        told["occasion"] == "RAISED" and told["alert"]["group"] == "measles" and told["id"] == headers["Causa-Delivery"]
    )


def test_what_was_changed_or_is_old_or_from_another_is_not_taken() -> None:
    sent, stamp = b'{"a":1}', 1_800_000_000
    good = {"causa-timestamp": str(stamp), "causa-signature": sign(KEY.encode(), stamp, sent)}
    assert check(KEY.encode(), good, sent, stamp + 299)
    assert not check(KEY.encode(), good, sent, stamp + 301) and not check(KEY.encode(), good, sent, stamp - 301)
    assert not check(KEY.encode(), good, sent + b" ", stamp) and not check(b"other", good, sent, stamp)
    assert not check(KEY.encode(), {**good, "causa-timestamp": str(stamp + 1)}, sent, stamp)
    for broken in ({}, {"causa-timestamp": "x"}, {**good, "causa-signature": "é"}, {"causa-timestamp": "9" * 40}):
        assert not check(KEY.encode(), broken, sent, stamp)


@given(st.binary(max_size=200), st.integers(0, 10**11), st.binary(min_size=1, max_size=64))
def test_any_body_signed_is_taken(sent: bytes, stamp: int, key: bytes) -> None:
    assert check(key, {"CAUSA-TIMESTAMP": str(stamp), "Causa-signature": sign(key, stamp, sent)}, sent, stamp)


async def test_answers_tell_whether_to_send_again(receiver: str) -> None:
    sink = hook(receiver, None)
    Receiver.answers = [
        (503, {"Retry-After": "7"}),
        (404, {}),
        (302, {"Location": "/elsewhere"}),
        (400, {}),
        (410, {}),
        (200, {}),
    ]
    for expected in (NotTaken, NotTaken, NotTaken, Refused, Refused):
        with pytest.raises(expected) as fault:
            await sink.send([Message("duty", case(), "RAISED")])
        assert "secret" not in str(fault.value)
        if fault.value.message == "HTTP 503":
            assert fault.value.again_s == 7  # type: ignore[attr-defined]
    await sink.send([Message("duty", case(), "RAISED")])
    assert len(Receiver.got) == 6 and len({sent for _, sent in Receiver.got}) == 1
    assert "Causa-Signature" not in Receiver.got[0][0]
    await sink.close()


async def test_nobody_there_is_no_end() -> None:
    sink = hook("http://127.0.0.1:9/")
    with pytest.raises(NotTaken, match="ConnectError"):
        await sink.send([Message("duty", case(), "RAISED")])
    await sink.close()


@pytest.mark.parametrize("url", ["", "ftp://host/", "https://", "nothing", "http://[::1"])
def test_what_is_no_address_is_told(url: str) -> None:
    with pytest.raises(InvalidSettings):
        hook(url)


# E-mail


class Inbox:
    """Takes mail after a login behind STARTTLS; refuses as the test says."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.answers: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        self.got.append(envelope.content)
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority", "alerts")


@pytest.fixture
def inbox(authority: Authority) -> Iterator[tuple[Inbox, Mail]]:
    handler = Inbox()
    signed = authority.sign("localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.certificate, signed.key)
    with socket.socket() as free:  # aiosmtpd looks itself up under the port that it was given
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        handler, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True, auth_required=True,
        authenticator=handler.login,
    )  # fmt: skip
    controller.start()
    yield handler, Mail(
        host="localhost", port=port, ca_file=authority.file, username="causa", password=SecretStr("right"),
        sender="Causa <causa@example.fr>", to={"duty": ["a@example.fr", "b@example.fr"]}, timeout_s=5,
    )  # fmt: skip
    controller.stop()


def mailing(settings: Mail, **hearing: Any) -> MailSink:
    return MailSink("duty", settings, Hearing(**hearing), RULES, "https://surveillance.example.fr/alerts/{id}")


WAVE = replace(alert("influenza.R-75.2026-01-13"), estimate=40.0, low=33.0, high=48.0, notes=("COVERAGE: x",), level=4)


async def test_mail_goes_behind_starttls_and_login(inbox: tuple[Inbox, Mail]) -> None:
    handler, settings = inbox
    sink = mailing(settings)
    await sink.send([Message("duty", WAVE, "RAISED"), Message("duty", case(), "RAISED")])
    assert handler.logins == [(b"causa", b"right")]
    read = message_from_bytes(handler.got[0], policy=policy.default)
    assert read["To"] == "a@example.fr, b@example.fr" and read["Auto-Submitted"] == "auto-generated"
    assert read["Subject"] == "[Causa 8] Alerte : Rougeole, Gironde (33), un décès, à vérifier (et 1 de plus)"
    text = read.get_body().get_content()  # type: ignore[union-attr]
    assert "30 décès" in text and "40 (33–48)" in text and "la part des certificats reçus a changé" in text
    assert "https://surveillance.example.fr/alerts/influenza.R-75.2026-01-13" in text
    assert "cert-17" not in text, "no certificate is named"


async def test_the_same_messages_have_the_same_id(inbox: tuple[Inbox, Mail]) -> None:
    handler, settings = inbox
    sink = mailing(settings)
    for _ in range(2):
        await sink.send([Message("duty", case(), "RAISED")])
    await sink.send([Message("duty", case(), "ENDED")])
    ids = [message_from_bytes(raw)["Message-ID"] for raw in handler.got]
    assert ids[0] == ids[1] != ids[2] and ids[0].endswith("@example.fr>")


async def test_what_a_mail_server_answers(inbox: tuple[Inbox, Mail]) -> None:
    handler, settings = inbox
    handler.answers = ["451 later", "554 never"]
    for expected in (NotTaken, Refused):
        with pytest.raises(expected):
            await mailing(settings).send([Message("duty", case(), "RAISED")])
    with pytest.raises(NotTaken):  # smtplib tries each way to log in, until the server hangs up
        await mailing(settings.model_copy(update={"password": SecretStr("wrong")})).send(
            [Message("duty", case(), "RAISED")]
        )
    with pytest.raises(NotTaken):
        await mailing(settings.model_copy(update={"ca_file": None})).send([Message("duty", case(), "RAISED")])
    with pytest.raises(NotTaken):
        await mailing(settings.model_copy(update={"security": "plain"})).send([Message("duty", case(), "RAISED")])
    assert handler.got == []


@pytest.mark.parametrize("change", [{"sender": ""}, {"to": {}}, {"to": {"duty": []}}])
def test_mail_needs_a_sender_and_an_address(change: dict[str, Any]) -> None:
    settings = Mail(host="h", sender="a@b", to={"duty": ["c@d"]}).model_copy(update=change)
    with pytest.raises(InvalidSettings):
        mailing(settings)


def test_who_is_told_without_details_learns_no_place_and_no_number() -> None:
    text = body([Message("duty", WAVE, "RAISED")], Hearing(details=False, lang="en"), RULES)
    assert "Influenza" in text and "30" not in text.replace("2026-01-13", "") and "Nouvelle" not in text


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize("occasion", ["RAISED", "VERIFIED", "ESCALATED-9", "ENDED"])
def test_every_occasion_has_words(lang: Any, occasion: str) -> None:
    for one in (WAVE, case(verified=True), case(place="FR")):
        assert len(body([Message("duty", one, occasion)], Hearing(lang=lang), RULES).splitlines()) > 2


async def test_a_slow_server_does_not_hold_the_loop(inbox: tuple[Inbox, Mail]) -> None:
    _, settings = inbox
    turned = 0

    async def turning() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(turning())
    await mailing(settings).send([Message("duty", case(), "RAISED")])
    task.cancel()
    assert turned > 3
