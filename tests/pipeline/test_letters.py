"""No record that we make is larger than its topic takes: what would be is told, and left out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from stream.certificate import Certificate, Line, certificate_record
from stream.coding import Correction, DecisionKind, Modality, Origin, Underlying, correction_record, dead_letter_record
from stream.errors import InvalidCertificate
from stream.pipeline import letters
from stream.pipeline.core import Core
from stream.pipeline.letters import KEY_MAX, ROOM, TAKES, dead_letter, too_large
from stream.pipeline.record import Incoming, Outgoing, Received
from stream.sealing import Keyring
from stream.settings import Settings
from stream.topics import declared

from .core import NOW, ORIGIN, SEALING, WIRE, coded, framed, run

MOST = TAKES["dead-letters"] - ROOM
FAULT = InvalidCertificate("part1: missing")


def test_the_limits_are_those_of_the_topics() -> None:
    found = {topic.subject: int(topic.config["max.message.bytes"]) for topic in declared(Settings())}
    assert {subject: found[subject] for subject in TAKES} == TAKES


@pytest.mark.parametrize("seals", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize(
    ("value", "key", "kept"),
    [
        (b"z" * (MOST - 2), b"k", (True, True)),
        (b"z" * (MOST - 1), b"k", (False, True)),
        (b"z" * 18_000_000, None, (False, True)),
        (b"zz", b"k" * (KEY_MAX + 1), (True, False)),
        (b"z" * MOST, b"k" * 9_000_000, (True, False)),
        (b"z" * (MOST + 1), b"k" * 9_000_000, (False, False)),
    ],
    ids=["fits", "one byte more", "compressed", "long key", "both, one fits", "both"],
)
def test_what_no_topic_takes_is_told_by_length_and_digest(
    value: bytes, key: bytes | None, kept: tuple[bool, bool], seals: bool
) -> None:
    ring = Keyring((SEALING if seals else Settings()).sealing)
    letter = dead_letter(Received(Incoming(value, key, ORIGIN), None), FAULT, NOW, ring)
    assert (letter.payload is not None, letter.key == key) == kept and letter.origin == ORIGIN
    assert letter.error == "INVALID_CERTIFICATE" and letter.detail.startswith("part1: missing")
    for part, whole in zip((value, key), kept, strict=True):
        told = f"of {len(part or b'')} bytes" in letter.detail
        assert told is not whole and (hashlib.sha256(part or b"").hexdigest() in letter.detail) is told
    record = Outgoing("dead-letters", letter.key, WIRE.encode("dead-letters", dead_letter_record(letter)))
    assert len(record.value) + len(record.key or b"") + 4096 < TAKES["dead-letters"]


WRITTEN = b"pendaison, infarctus"


@pytest.mark.parametrize("seals", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize(
    ("key", "certificate", "kept"),
    [
        (b"A1", None, b"A1"),
        (b"B-7", Certificate("A1"), b"B-7"),
        (None, None, None),
        (b"", None, b""),
        (WRITTEN, None, b"record certificates/0/12"),
        (WRITTEN, Certificate("A1"), b"A1"),
        ("é".encode(), None, b"record certificates/0/12"),
        (b"x" * 129, None, b"record certificates/0/12"),
        (b"record certificates/0/12", None, b"record certificates/0/12"),
    ],
)
def test_a_key_that_may_be_text_is_not_kept_where_text_is_sealed(
    key: bytes | None, certificate: Certificate | None, kept: bytes | None, seals: bool
) -> None:
    """Where keys are set, a key that is no certificate_id stands neither in the letter nor, by a digest, in its detail."""
    received = Received(Incoming(None, key, replace(ORIGIN, topic="certificates", partition=0, offset=12)), certificate)
    letter = dead_letter(received, FAULT, NOW, Keyring((SEALING if seals else Settings()).sealing))
    assert letter.key == (kept if seals else key)
    told = f"; its key of {len(key or b'')} bytes is no certificate_id, and is left out"
    assert letter.detail == FAULT.message + (told if letter.key != key else "")


def test_a_detail_has_an_end() -> None:
    received = Received(Incoming(b"x", b"k", ORIGIN), None)
    letter = dead_letter(
        received, InvalidCertificate("part1.0.text: missing; " * 10_000), NOW, Keyring(SEALING.sealing)
    )
    assert len(letter.detail) == letters.DETAIL_MAX


def test_a_certificate_of_18_megabytes_is_one_small_dead_letter() -> None:
    record = certificate_record(Certificate("A1", (Line("x" * 18_000_000),)))
    value = WIRE.encode("certificates", record)
    decision = run(value)
    (written,) = decision.outgoing
    assert decision.letter is not None and decision.letter.error == "OVERSIZED_TEXT"
    assert decision.letter.payload is None and hashlib.sha256(value).hexdigest() in decision.letter.detail
    assert len(written.value) < 1000 and decision.incoming.value == value


@pytest.mark.parametrize("subject", ["coded", "manual"])
def test_a_result_that_its_topic_does_not_take_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    monkeypatch.setitem(TAKES, subject, ROOM + 100)
    value = framed(part1=["pendaison"])
    decision = run(value)
    assert decision.letter is not None and decision.coded is None
    assert decision.letter.error == "OVERSIZED_TEXT" and decision.letter.detail.startswith(f"{subject}: ")
    assert decision.letter.payload == value and [record.subject for record in decision.outgoing] == ["dead-letters"]


def test_a_persons_result_that_its_topic_does_not_take_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = coded(part1=["insuffisance cardiaque"])
    result = replace(machine, modality=Modality.HUMAN, coded_at=NOW, underlying=Underlying("I25.1", 1.0))
    correction = Correction(
        "d-1", DecisionKind.FIRST, "A1", 1, "p7", "coder", "R1", NOW, content_hash=machine.content_hash, result=result
    )
    value = WIRE.encode("corrections", correction_record(correction))
    core: Any = Core(WIRE, Settings())
    monkeypatch.setitem(TAKES, "coded", ROOM + 100)
    folded = core.fold(Incoming(value, b"A1", Origin("corrections", 0, 1)))
    assert isinstance(folded, Received) and folded.error is not None
    assert folded.error.code == "INVALID_CORRECTION" and folded.error.message.startswith("result: coded: ")


def test_a_record_within_its_limit_is_not_too_large() -> None:
    most = TAKES["coded"] - ROOM
    assert not too_large(Outgoing("coded", b"k", b"x" * (most - 1)))
    assert too_large(Outgoing("coded", b"k", b"x" * most)) == f"coded: {most + 1} bytes, more than {most}"
