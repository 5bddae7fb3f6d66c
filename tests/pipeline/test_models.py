"""A batch through the core with both models: in order, errors in their place, one request to each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.coder.model import MemoryModel
from stream.coding import CodedCertificate, CodedStatus, Method
from stream.errors import EmptyCertificate, InputError, ModelFault, ModelUnavailable, SealedUnreadable
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.models import Models, code
from stream.pipeline.record import Incoming
from stream.settings import Settings
from stream.underlying.ranking import MemoryRanker, SilentRanker

from .core import NOW, PLAIN

LINES = ("embolie pulmonaire", "xyzzy", "HTA")
EMPTY = EmptyCertificate("no text")


def prepared(name: str, *part1: str, **fields: Any) -> Prepared:
    certificate = PLAIN.certificate({"certificate_id": name, "part1": part1, **fields})
    return PLAIN.prepare_certificate(certificate, Incoming(None))


def models() -> tuple[MemoryModel, MemoryRanker]:
    return MemoryModel({"xyzzy": "A27.9"}), MemoryRanker({"A279": "A279"}, version="ranker-3")


async def coded(*items: Prepared | InputError, core: Core = PLAIN) -> list[CodedCertificate | InputError]:
    return await code(items, core, Models(*models()))


def named(results: Sequence[CodedCertificate | InputError]) -> list[str]:
    return [r.certificate_id if isinstance(r, CodedCertificate) else r.code for r in results]


async def test_certificates_come_in_order_with_errors_in_their_place() -> None:
    lost = SealedUnreadable("no key")
    items: list[Prepared | InputError] = [
        EMPTY,
        prepared("A", *LINES),
        prepared("B", "OAP"),
        lost,
        prepared("C", "OAP", status="VOID"),
        EMPTY,
    ]
    found = await coded(*items)
    assert named(found) == ["EMPTY_CERTIFICATE", "A", "B", "SEALED_UNREADABLE", "C", "EMPTY_CERTIFICATE"]
    assert found[0] is found[5] is EMPTY and found[3] is lost
    several, single, void = (one for one in found if isinstance(one, CodedCertificate))
    assert [e.code for e in several.entities()] == ["I26.9", "A27.9", "I10"]
    assert several.underlying.code == "A27.9" and several.underlying.method in (Method.BOTH, Method.MODEL)
    assert (single.underlying.code, single.underlying.method) == ("J81", Method.RULES)
    assert void.status is CodedStatus.WITHDRAWN and void.entities() == ()


async def test_results_name_both_models() -> None:
    for one in await coded(prepared("A", *LINES), prepared("B", "OAP"), prepared("C", status="VOID")):
        assert isinstance(one, CodedCertificate)
        assert one.versions.coder == "memory-1" and one.versions.underlying == f"{PLAIN.versions.underlying}+ranker-3"


async def test_one_request_to_each_model_for_a_batch() -> None:
    model, ranker = models()
    items: list[Prepared | InputError] = [
        prepared("A", *LINES),
        EMPTY,
        prepared("B", "OAP"),
        prepared("C", *LINES),
        prepared("D", status="VOID"),
    ]
    await code(items, PLAIN, Models(model, ranker))
    assert model.calls == [7] and ranker.calls == [2], "one code, or none, gives nothing to choose"


async def test_nothing_in_nothing_out() -> None:
    assert await coded() == []
    assert await coded(EMPTY, EMPTY) == [EMPTY, EMPTY]


@given(st.lists(st.sampled_from(["A", "B", "C", "error"]), max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_neighbours_change_nothing(names: list[str]) -> None:
    items: dict[str, Prepared | InputError] = {
        "A": prepared("A", *LINES),
        "B": prepared("B", "xyzzy", "OAP"),
        "C": prepared("C", "OAP"),
        "error": EMPTY,
    }
    together = await coded(*(items[name] for name in names))
    assert len(together) == len(names)
    for name, one in zip(names, together, strict=True):
        (alone,) = await coded(items[name])
        assert timeless(one) == timeless(alone)


def timeless(result: CodedCertificate | InputError) -> CodedCertificate | InputError:
    return replace(result, coded_at=NOW) if isinstance(result, CodedCertificate) else result


@pytest.mark.parametrize("step", ["worded", "code"])
async def test_a_fault_of_ours_stays_with_its_certificate(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    core = Core(None, Settings())
    sound = getattr(core, step)

    def faulty(item: Prepared | Worded, *others: Any) -> Any:
        read = item.prepared if isinstance(item, Worded) else item
        if read.received.certificate_id == "B":
            raise KeyError("xyzzy")
        return sound(item, *others)

    monkeypatch.setattr(core, step, faulty)
    found = await coded(prepared("A", *LINES), prepared("B", *LINES), prepared("C", *LINES), core=core)
    assert named(found) == ["A", "CORE_FAILED", "C"]
    assert isinstance(found[1], InputError) and "xyzzy" not in found[1].message


@pytest.mark.parametrize("fault", [ModelUnavailable("down"), ModelFault("nonsense")], ids=lambda fault: fault.code)
@pytest.mark.parametrize("side", [0, 1], ids=["coder", "ranker"])
async def test_a_model_that_does_not_answer_ends_the_batch(side: int, fault: Exception) -> None:
    both = models()
    both[side].failures = [fault]
    with pytest.raises(type(fault)):
        await code([prepared("A", *LINES)], PLAIN, Models(*both))


async def test_both_connections_are_let_go_of() -> None:
    closed: list[str] = []

    class Coder(MemoryModel):
        async def close(self) -> None:
            closed.append("coder")

    class Ranker(SilentRanker):
        async def close(self) -> None:
            closed.append("ranker")

    await Models(Coder({}), Ranker()).close()
    assert sorted(closed) == ["coder", "ranker"]
