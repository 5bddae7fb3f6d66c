"""The wire under fire: whatever the bytes, a certificate or a typed error."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core import NOW, PLAIN, SEALING, WIRE
from values import SEALED, WORDS, certificates

from stream.certificate import (
    Age,
    Certificate,
    Line,
    Neonatal,
    Place,
    Sealed,
    Surgery,
    certificate_record,
)
from stream.coding import Origin, read_dead_letter
from stream.errors import CoreFailed, InputError
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.registry import SUBJECTS
from stream.sealing import Keyring

from .campaign import MARK, inputs, timed, told
from .traps import dice, spoilt

RICH = Certificate(
    "A1-b_2", part1=(Line(f"choc {MARK}", "3 jours"), Line(Sealed("k1", b"n" * 12, b"c" * 40))), part2=(Line("HTA"),),
    received_at=datetime(2026, 1, 2, tzinfo=UTC), death_date=date(2026, 1, 1), age=Age(80), place=Place(department="33"),
    surgery=Surgery(True, "occlusion"), neonatal=Neonatal(900, 27, False, ("RPM", Sealed("k1", b"n" * 12, b"c" * 20))),
)  # fmt: skip
GOOD = [WIRE.encode("certificates", certificate_record(c)) for c in (RICH, Certificate("c", part1=(Line("sepsis"),)))]
KEYED = Core(WIRE, SEALING)
ORIGIN = Origin("certificates", 0, 7)


def received(value: bytes | None, core: Core = PLAIN) -> str:
    """What becomes of a record up to the models; its code where it is a dead letter."""
    incoming = Incoming(value, b"k", ORIGIN)
    with timed("wire"):
        found = core.receive(incoming)
        ready = core.prepare(found, NOW)
    assert (found.certificate is None) == (found.error is not None)
    if not isinstance(ready, Decision):
        told("wire", "read")
        return "read"
    letter = ready.letter
    assert letter is not None and letter.error != CoreFailed.code, letter and letter.detail
    assert MARK not in letter.detail and letter.origin == ORIGIN
    (record,) = ready.outgoing
    assert read_dead_letter(WIRE.decode("dead-letters", record.value)).error == letter.error
    told("wire", letter.error)
    return letter.error


@pytest.mark.parametrize("good", GOOD, ids=["rich", "least"])
def test_every_truncation(good: bytes) -> None:
    for length in range(len(good)):
        assert received(good[:length]) in ("BAD_FRAME", "BAD_AVRO")


def test_every_bit_of_a_rich_certificate() -> None:
    good = GOOD[0]
    for at in range(len(good)):
        for bit in random.Random(at).sample(range(8), 2):
            value = bytearray(good)
            value[at] ^= 1 << bit
            received(bytes(value))


@given(st.none() | st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: GOOD[0][:5] + body))
@inputs(200)
def test_random_bytes(value: bytes | None) -> None:
    received(value)


@given(certificates(WORDS | SEALED), dice)
@inputs(300)
def test_spoilt_certificates(certificate: Certificate, dice: random.Random) -> None:
    good = WIRE.encode("certificates", certificate_record(certificate))
    for _ in range(3):
        received(spoilt(good, dice))


@given(st.sampled_from(SUBJECTS), st.sampled_from(GOOD), dice)
@inputs(100)
def test_every_subject(subject: str, good: bytes, dice: random.Random) -> None:
    value = spoilt(good, dice)
    try:
        with timed("wire of any topic"):
            assert isinstance(WIRE.decode(subject, value), dict)
        told("wire of any topic", "read")
    except InputError as error:
        assert MARK not in error.message
        told("wire of any topic", error.code)


@given(
    st.builds(
        Sealed, st.sampled_from(["k1", "k2", "", "k" * 10_000, "\0"]), st.binary(max_size=200), st.binary(max_size=200)
    )
)
@inputs(50)
def test_sealed_text_of_any_shape(sealed: Sealed) -> None:
    value = WIRE.encode("certificates", certificate_record(Certificate("A1", part1=(Line(sealed),))))
    assert received(value, KEYED) == "SEALED_UNREADABLE"


@given(st.binary(max_size=60), st.sampled_from(["A1", "A2"]), st.sampled_from(["part1.0.text", "part1.1.text"]))
@inputs(50)
def test_sealed_bytes_that_open_and_are_no_text(plain: bytes, owner: str, field: str) -> None:
    keyring = Keyring(SEALING.sealing)
    sealed = keyring.seal_bytes(plain, owner, field)
    value = WIRE.encode("certificates", certificate_record(Certificate("A1", part1=(Line(sealed),))))
    outcome = received(value, KEYED)
    if (owner, field) != ("A1", "part1.0.text"):
        assert outcome == "SEALED_UNREADABLE"
