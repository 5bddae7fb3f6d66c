from __future__ import annotations

import functools
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from values import certificates, coded

from stream.certificate import Certificate, Line
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    DeadLetter,
    Entity,
    ManualTask,
    Method,
    Modality,
    Origin,
    Route,
    Targeting,
    TaskState,
    Uncoded,
    Underlying,
    Versions,
    Why,
    coded_json,
    coded_record,
    conflict,
    dead_letter_record,
    read_coded,
    read_dead_letter,
    read_task,
    supersedes,
    task_record,
)
from stream.registry import LocalRegistry
from stream.settings import REPOSITORY
from stream.wire import Wire

WIRE = Wire(LocalRegistry(REPOSITORY / "schemas"))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = CodedCertificate(
    "c", 1, "hash", CodedStatus.FINAL, Modality.MODEL, Underlying("I50.9", 0.9), Targeting(Route.AUTO), Versions(), NOON
)
SAME_CERTIFICATE = coded(st.just("c"))


@given(SAME_CERTIFICATE)
def test_no_record_replaces_itself(a: CodedCertificate) -> None:
    assert not supersedes(a, a)


@given(SAME_CERTIFICATE, SAME_CERTIFICATE)
def test_one_direction_at_most(a: CodedCertificate, b: CodedCertificate) -> None:
    assert not (supersedes(a, b) and supersedes(b, a))


@given(SAME_CERTIFICATE, SAME_CERTIFICATE)
@example(ONE, replace(ONE, versions=Versions(coder="coder-2")))
def test_one_of_two_different_records_replaces_the_other(a: CodedCertificate, b: CodedCertificate) -> None:
    assert a == b or supersedes(a, b) or supersedes(b, a)


@given(SAME_CERTIFICATE, SAME_CERTIFICATE, SAME_CERTIFICATE)
def test_the_order_is_transitive(a: CodedCertificate, b: CodedCertificate, c: CodedCertificate) -> None:
    if supersedes(a, b) and supersedes(b, c):
        assert supersedes(a, c)


@example([ONE, replace(ONE, versions=Versions(coder="coder-2"))], random.Random(1))
@given(st.lists(SAME_CERTIFICATE, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_every_order_and_every_repetition_ends_in_the_same_state(
    records: list[CodedCertificate], rng: random.Random
) -> None:
    def fold(seen: list[CodedCertificate]) -> CodedCertificate:
        return functools.reduce(lambda kept, new: new if supersedes(new, kept) else kept, seen)

    shuffled = records + rng.choices(records, k=4)
    rng.shuffle(shuffled)
    assert fold(shuffled) == fold(records)


LATER = NOON + timedelta(hours=1)
HUMAN = replace(ONE, modality=Modality.HUMAN)
VOID = replace(ONE, status=CodedStatus.WITHDRAWN)


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (replace(ONE, version=2), replace(HUMAN, revision=9, coded_at=LATER)),
        (replace(ONE, version=2), VOID),
        (HUMAN, replace(ONE, revision=9, coded_at=LATER)),
        (VOID, replace(HUMAN, revision=9, coded_at=LATER)),
        (replace(ONE, revision=1), replace(ONE, coded_at=LATER)),
        (replace(ONE, coded_at=LATER), ONE),
        (replace(HUMAN, coded_at=LATER), HUMAN),
        (replace(HUMAN, revision=1), HUMAN),
    ],
    ids=["version over human", "version over void", "human over machine", "void over human", "revision over time",
         "later machine", "later human", "human revision"],
)  # fmt: skip
def test_who_wins(winner: CodedCertificate, loser: CodedCertificate) -> None:
    assert supersedes(winner, loser)
    assert not supersedes(loser, winner)


def test_conflicts() -> None:
    other = replace(ONE, content_hash="other")
    assert conflict(ONE, other)
    assert conflict(other, ONE)
    assert not conflict(ONE, ONE)
    assert not conflict(ONE, replace(other, version=2))
    assert not conflict(ONE, replace(other, certificate_id="d"))
    assert not conflict(ONE, replace(ONE, coded_at=LATER))


RICH = replace(
    ONE,
    part1=(
        CodedLine(
            (Entity("I50.9", 0, 5, 0.9, Method.BOTH, "x"), Entity("I10", 6, 9, 0.8, Method.MODEL, "m", due_to=0)),
            (Uncoded(10, 12, Why.NEGATED),),
        ),
    ),
    part2=(CodedLine((Entity("E11.9", 0, 3, 0.7, Method.RULES, "y"),)),),
    origin=Origin("certificates", 1, 42),
)


def test_entities_part_one_first() -> None:
    assert [e.code for e in RICH.entities()] == ["I50.9", "I10", "E11.9"]


@pytest.mark.parametrize("record", [ONE, RICH, replace(RICH, status=CodedStatus.WITHDRAWN, received_at=NOON)])
def test_coded_records_read_back(record: CodedCertificate) -> None:
    assert read_coded(coded_record(record)) == record
    assert read_coded(json.loads(json.dumps(coded_json(record)))) == record


@given(certificates())
def test_tasks_read_back(certificate: Certificate) -> None:
    task = ManualTask(certificate.certificate_id, 1, 0, TaskState.OPEN, certificate=certificate, proposal=RICH)
    assert read_task(WIRE.decode("manual", WIRE.encode("manual", task_record(task)))) == task


def test_dead_letters_read_back() -> None:
    for payload, key in ((b"\xff\x00", b"\x80"), (None, None), (b"", b"")):
        letter = DeadLetter("BAD_AVRO", "schema id 1", payload, key, Origin("certificates", 0, 7), NOON, "0.1")
        assert read_dead_letter(dead_letter_record(letter)) == letter


def test_a_coded_record_carries_no_text() -> None:
    texts = {f for kind in (CodedCertificate, CodedLine, Entity, Uncoded) for f in kind.__dataclass_fields__}
    assert not texts & set(Line.__dataclass_fields__) - {"interval"}
