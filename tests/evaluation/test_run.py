"""Gold through the core: in order, as any shell would code it, and without the answers in sight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from stream.certificate import certificate_json, read_certificate
from stream.coder.model import LineModel, MemoryModel, SilentModel
from stream.coding import CodedCertificate
from stream.errors import InvalidData, ModelFault, ModelUnavailable, RegistryUnavailable
from stream.evaluation import plots
from stream.evaluation import run as running
from stream.evaluation.gold import Gold, of
from stream.evaluation.report import page
from stream.evaluation.run import run
from stream.evaluation.score import Score, score
from stream.pipeline.core import Core, Prepared, Worded
from stream.pipeline.models import Models
from stream.sealing import Keyring
from stream.settings import Sealing, Settings
from stream.underlying.ranking import MemoryRanker, RankModel, SilentRanker

from . import record

SEALING = Sealing.model_validate({"keys": {"k1": "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="}, "active": "k1"})
OAP = {"part1": [["J81"]], "underlying": "J81"}
CORE = Core(None, Settings(sealing=SEALING))


def row(name: str, *part1: Any, **fields: Any) -> dict[str, Any]:
    return {"certificate_id": name, "part1": list(part1), "gold": {"underlying": "J81"}, **fields}


def coded(
    *rows: dict[str, Any], model: LineModel | None = None, ranker: RankModel | None = None
) -> list[tuple[Gold, CodedCertificate | None]]:
    async def all_of_it() -> list[tuple[Gold, CodedCertificate | None]]:
        return [
            pair async for pair in run(map(of, rows), CORE, Models(model or SilentModel(), ranker or SilentRanker()))
        ]

    return asyncio.run(all_of_it())


def codes(result: CodedCertificate | None) -> list[str] | None:
    return [entity.code for entity in result.entities()] if result else None


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_certificates_come_in_order_whatever_the_batch(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(running, "BATCH", size)
    model = MemoryModel({"xyzzy": "A27.9"})
    rows = [row("A", "OAP"), row("B", ""), row("C", "xyzzy"), row("D", "OAP", part2=["xyzzy"]), row("E", "OAP")]
    found = coded(*rows, model=model)
    assert [gold.id for gold, _ in found] == ["A", "row 0", "C", "D", "E"]
    assert [codes(result) for _, result in found] == [["J81"], None, ["A27.9"], ["J81", "A27.9"], ["J81"]]
    assert all(result is None or result.certificate_id == gold.id for gold, result in found)
    assert sum(model.calls) == 5 and len(model.calls) == -(-len(rows) // size)


REFUSED: dict[str, dict[str, Any]] = {
    "no text": row("B", "", " "),
    "no line": row("B"),
    "no id": {"part1": ["OAP"], "gold": {"underlying": "J81"}},
    "an unknown field": row("B", "OAP", colour="red"),
    "an age below zero": row("B", "OAP", age={"value": -1}),
    "a line too long": row("B", "OAP " * 1_000),
    "too many lines": row("B", *["OAP"] * 31),
    "sealed under a lost key": row("B", {"text": {"key_id": "k9", "nonce": "AAAA", "ciphertext": "AAAA"}}),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_certificate_that_the_core_refuses_gives_none_and_the_others_go_on(refused: dict[str, Any]) -> None:
    found = coded(row("A", "OAP"), refused, row("C", "OAP"))
    assert [codes(result) for _, result in found] == [["J81"], None, ["J81"]]
    scored = score(found)
    assert (scored.unreadable, scored.underlying.right, scored.underlying.total) == (1, 2, 3)


@pytest.mark.parametrize("place", ["prepare_certificate", "worded", "code"])
@pytest.mark.parametrize("fault", [ZeroDivisionError(), KeyError("x"), RecursionError()], ids=repr)
def test_a_fault_of_the_core_gives_none_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, place: str, fault: Exception
) -> None:
    sound = getattr(CORE, place)

    def faulty(first: Any, *others: Any) -> Any:
        prepared = first.prepared if isinstance(first, Worded) else first
        certificate = prepared.received if isinstance(prepared, Prepared) else prepared
        if certificate.certificate_id == "B":
            raise fault
        return sound(first, *others)

    monkeypatch.setattr(CORE, place, faulty)
    found = coded(*(row(name, "OAP", gold=OAP) for name in "ABC"))
    assert [codes(result) for _, result in found] == [["J81"], None, ["J81"]]
    scored = score(found)
    assert (scored.unreadable, scored.exact.right, scored.exact.expected) == (1, 2, 3)
    assert [miss.steps for miss in scored.misses] == [(), ("CORE_FAILED",)]


def test_a_server_that_fails_the_core_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: Any) -> Prepared:
        raise RegistryUnavailable("down")

    monkeypatch.setattr(CORE, "prepare_certificate", down)
    with pytest.raises(RegistryUnavailable):
        coded(row("A", "OAP"))


def test_an_unreadable_certificate_asks_nothing_of_the_model() -> None:
    model = MemoryModel({})
    coded(row("A", "OAP", colour="red"), row("B", "OAP"), model=model)
    assert model.calls == [1]


def test_what_was_wrong_with_an_unreadable_certificate_is_told() -> None:
    found = score(coded(row("A", "OAP", colour="red"), row("B", " ")))
    assert [(m.line, m.steps) for m in found.misses] == [
        (None, ("INVALID_CERTIFICATE",)),
        (None, ("EMPTY_CERTIFICATE",)),
    ]


def test_a_certificate_whose_seal_does_not_open_is_told_as_such() -> None:
    found = score(coded(REFUSED["sealed under a lost key"]))
    assert found.misses[-1].steps == ("SEALED_UNREADABLE",)


def test_nothing_gives_nothing_and_asks_nothing() -> None:
    model, ranker = MemoryModel({}), MemoryRanker()
    assert coded(model=model, ranker=ranker) == [] and model.calls == ranker.calls == []


def test_gold_is_read_no_further_than_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BATCH", 2)
    taken: list[str] = []

    def rows() -> Iterator[Gold]:
        for name in "ABCDE":
            taken.append(name)
            yield of(row(name, "OAP"))

    async def first() -> str:
        results = run(rows(), CORE, Models(SilentModel(), SilentRanker()))
        gold, _ = await anext(results)
        await results.aclose()  # type: ignore[attr-defined]
        return gold.id

    assert asyncio.run(first()) == "A" and taken == ["A", "B"]


def test_the_core_sees_neither_gold_nor_comment() -> None:
    told = {"part1": [["A27.9"]], "underlying": "A27.9"}
    ((_, with_gold), (_, without)) = coded(row("A", "OAP", gold=told, comment="A27.9"), row("A", "OAP"))
    assert with_gold is not None and without is not None
    assert with_gold.content_hash == without.content_hash and codes(with_gold) == ["J81"]


def test_results_name_the_model() -> None:
    ranker = MemoryRanker(version="memory-8")
    ((_, result),) = coded(row("A", "OAP"), model=MemoryModel({}, version="memory-7"), ranker=ranker)
    assert result is not None and result.versions.coder == "memory-7"
    assert result.versions.underlying.endswith("+memory-8")


@pytest.mark.parametrize("fault", [ModelUnavailable("down"), ModelFault("nonsense")], ids=lambda fault: fault.code)
def test_a_model_that_does_not_answer_ends_the_run(fault: Exception) -> None:
    model = MemoryModel({})
    model.failures = [fault]
    with pytest.raises(type(fault)):
        coded(row("A", "OAP"), model=model)
    ranker = MemoryRanker()
    ranker.failures = [fault]
    with pytest.raises(type(fault)):
        coded(row("A", "OAP", "HTA"), ranker=ranker)


# From a row to the page


def measured(gold: dict[str, Any]) -> Score | None:
    """What `causa evaluate` does with a row: None where it is told to be bad."""
    try:
        of(gold)
    except InvalidData:
        return None
    found = score(coded(gold))
    told = record(found)
    json.dumps(told, allow_nan=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("reliability", "coverage", "chapters"):  # they take a while and show no text
            patch.setattr(plots, name, lambda *_: "")
        page(told, found, texts=True).encode()
    return found


def sealed(cause: str) -> dict[str, Any]:
    plain = read_certificate({"certificate_id": "A", "part1": ["OAP"]})
    told = {"part1": [[cause]], "underlying": cause}
    return {**certificate_json(Keyring(SEALING).seal(plain)), "gold": told}


def test_a_right_and_a_wrong_certificate() -> None:
    right, wrong = measured(row("A", "OAP", gold=OAP)), measured(row("A", "HTA"))
    assert right is not None and (right.exact.right, right.underlying.right, right.misses) == (1, 1, [])
    assert wrong is not None and (wrong.exact.proposed, wrong.exact.expected, wrong.underlying.right) == (1, 0, 0)


def test_a_sealed_certificate_that_opens_is_coded() -> None:
    found = measured(sealed("J81"))
    assert found is not None and (found.exact.right, found.underlying.right, found.unreadable) == (1, 1, 0)


ANY = {
    "a withdrawn version": row("A", "OAP", status="VOID"),
    "a line without text": row("A", {"interval": "3 j"}),
    "sealed and wrong": sealed("I10"),
    "half a character": row("A", "OAP \ud800", gold=OAP),
    "half a character in the id": row("\ud800", "OAP", gold=OAP),
    "a line that is null": row("A", None),
    "a line that is a number": row("A", 3),
    "a line that is a list": row("A", ["OAP"]),
    "no line": row("A"),
    "an id that is a list": {**row("A"), "certificate_id": ["A"]},
}


@pytest.mark.parametrize("gold", ANY.values(), ids=ANY)
def test_whatever_a_row_holds_it_is_told_to_be_bad_or_counted(gold: dict[str, Any]) -> None:
    found = measured(gold)
    assert (found is None) == (gold.get("status") == "VOID")
    assert found is None or (found.certificates.total, found.underlying.right) == (1, 0)
