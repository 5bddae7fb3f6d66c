from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import PartitionMetadata, TopicPartition
from pipeline.core import WIRE, coded

from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Method,
    Modality,
    Origin,
    Underlying,
    correction_record,
    read_coded,
    supersedes,
)
from stream.errors import RegistryUnavailable
from stream.pipeline.core import Core
from stream.pipeline.record import Decision, Incoming
from stream.settings import Settings
from stream.worker.folding import ByTopic, Folder

AT = datetime(2026, 1, 17, 9, 30, tzinfo=UTC)
CORE = Core(WIRE, Settings())
MACHINE = coded(part1=["insuffisance cardiaque"], version=2)


def decided(**changes: Any) -> Correction:
    """A first decision on the machine's record: another underlying cause."""
    result = replace(
        MACHINE, status=CodedStatus.FINAL, modality=Modality.HUMAN, coded_at=AT,
        underlying=Underlying("I25.1", 1.0, Method.HUMAN),
    )  # fmt: skip
    return Correction(
        "d-1", changes.pop("kind", DecisionKind.FIRST), MACHINE.certificate_id, MACHINE.version, "p7", "coder", "R1", AT,
        content_hash=MACHINE.content_hash, result=replace(result, **changes) if changes is not None else None,
    )  # fmt: skip


def incoming(correction: Correction, key: bytes | None = None, offset: int = 4) -> Incoming:
    value = WIRE.encode("corrections", correction_record(correction))
    return Incoming(value, key or correction.certificate_id.encode(), Origin("corrections", 1, offset))


async def fold(*came: Incoming) -> list[Decision]:
    return await Folder(CORE, clock=lambda: AT, hold_s=0.001).process(came)


async def test_a_decision_becomes_a_final_record_of_a_person_with_its_own_origin() -> None:
    correction = decided()
    (decision,) = await fold(incoming(correction))
    (out,) = decision.outgoing
    assert (out.subject, out.key) == ("coded", MACHINE.certificate_id.encode())
    written = read_coded(WIRE.decode("coded", out.value))
    assert correction.result is not None
    assert written == replace(correction.result, origin=Origin("corrections", 1, 4))
    assert decision.coded == written
    assert supersedes(written, MACHINE)
    later = replace(MACHINE, revision=3, coded_at=AT + timedelta(days=9))
    assert supersedes(written, later), "no machine's result replaces a person's"
    assert supersedes(replace(MACHINE, version=3), written), "an amendment does"


async def test_the_same_decision_twice_ends_in_the_same_state() -> None:
    first, second = await fold(incoming(decided()), incoming(decided(), offset=5))
    assert first.coded is not None
    assert second.coded is not None
    assert replace(first.coded, origin=Origin()) == replace(second.coded, origin=Origin())


async def test_an_undo_gives_the_certificate_back_and_stands_above_what_it_undoes() -> None:
    undo = decided(kind=DecisionKind.UNDO, status=CodedStatus.PROVISIONAL, coded_at=AT + timedelta(minutes=1))
    undo = replace(undo, decided_at=AT + timedelta(minutes=1), supersedes="d-1")
    (before,), (after,) = await fold(incoming(decided())), await fold(incoming(undo, offset=5))
    assert before.coded is not None
    assert after.coded is not None
    assert after.coded.status is CodedStatus.PROVISIONAL
    assert supersedes(after.coded, before.coded)


async def test_a_second_opinion_moves_the_offset_and_nothing_else() -> None:
    second = replace(decided(kind=DecisionKind.SECOND), result=None)
    (decision,) = await fold(incoming(second))
    assert (decision.outgoing, decision.coded, decision.letter) == ((), None, None)


def entity_of(code: str) -> dict[str, Any]:
    (line,) = MACHINE.part1
    return {"part1": (replace(line, entities=(replace(line.entities[0], code=code),)),)}


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        ({"certificate_id": "another"}, None, "result.certificate_id"),
        ({"version": 3}, None, "result.version"),
        ({"content_hash": "other"}, None, "result.content_hash"),
        ({"modality": Modality.RULES}, None, "result.modality"),
        ({"status": CodedStatus.PROVISIONAL}, None, "result.status"),
        ({"status": CodedStatus.WITHDRAWN}, None, "result.status"),
        ({"coded_at": AT + timedelta(days=1)}, None, "result.coded_at"),
        ({"underlying": Underlying("X99.99", 1.0)}, None, "result.underlying"),
        ({"underlying": Underlying(None, 0.0)}, None, "result.underlying"),
        (entity_of("ZZZ"), None, "result.entities"),
        ({"kind": DecisionKind.SECOND}, None, "kind"),
        ({}, b"another", "key"),
    ],
)
async def test_what_a_decision_may_not_make_is_a_dead_letter(
    changes: dict[str, Any], key: bytes | None, told: str
) -> None:
    good = incoming(decided(), offset=6)
    rejected, neighbour = await fold(incoming(decided(**changes), key), good)
    assert rejected.letter is not None
    assert (rejected.letter.error, rejected.letter.detail) == ("INVALID_CORRECTION", told)
    assert [out.subject for out in rejected.outgoing] == ["dead-letters"]
    assert neighbour.coded is not None


async def test_bytes_that_are_no_decision_are_dead_letters() -> None:
    places = [Origin("corrections", 0, offset) for offset in range(3)]
    values = [None, b"nonsense", b"\0\0\0\0\4abc"]
    decisions = await fold(*(Incoming(value, b"k", at) for value, at in zip(values, places, strict=True)))
    assert [d.letter.error for d in decisions if d.letter] == ["BAD_FRAME", "BAD_FRAME", "BAD_AVRO"]


async def test_a_registry_that_is_away_holds_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [RegistryUnavailable("away")] * 3
    real = Core.fold

    def flaky(core: Core, record: Incoming) -> Any:
        if failures:
            raise failures.pop()
        return real(core, record)

    monkeypatch.setattr(Core, "fold", flaky)
    (decision,) = await fold(incoming(decided()))
    assert decision.coded is not None
    assert not failures


async def test_each_topic_has_its_processor() -> None:
    class Told:
        def __init__(self) -> None:
            self.batches: list[int] = []

        async def process(self, batch: Any) -> list[Decision]:
            self.batches.append(len(batch))
            return [Decision(one, ()) for one in batch]

    a, b = Told(), Told()
    by_topic = ByTopic({"a": a, "b": b})
    await by_topic.process([Incoming(b"", None, Origin("b", 0, 0))] * 3)
    assert (a.batches, b.batches) == ([], [3])


@pytest.mark.parametrize("members", [1, 2, 3, 5])
def test_partitions_of_one_number_go_to_one_worker(members: int) -> None:
    cluster = ClusterMetadata()
    for topic in ("certificates", "corrections"):
        cluster._partitions[topic] = {n: PartitionMetadata(topic, n, 0, [], [], None) for n in range(4)}
    asked = {f"m{i}": RangePartitionAssignor.metadata({"certificates", "corrections"}) for i in range(members)}
    given = RangePartitionAssignor.assign(cluster, asked)
    owner = {TopicPartition(t, p): m for m, one in given.items() for t, parts in one.assignment for p in parts}
    assert len(owner) == 8
    for number in range(4):
        assert owner[TopicPartition("certificates", number)] == owner[TopicPartition("corrections", number)]


def test_the_machines_record_is_what_the_tests_think() -> None:
    assert isinstance(MACHINE, CodedCertificate)
    assert MACHINE.part1[0].entities
