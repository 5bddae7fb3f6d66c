"""Files in, answers out: in order, one for each line, bad lines in their place, with text that is the owner's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from stream.cli.code import COLUMNS, csv_row
from stream.coder.model import LineAnswer, LineRequest, MemoryModel
from stream.errors import EmptyCertificate, ModelUnavailable
from stream.nomenclature import icd10
from stream.offline import answers
from stream.offline.answers import code_rows, error_answer
from stream.offline.files import Row, read
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import Settings
from stream.underlying.ranking import MemoryRanker, SilentRanker

CORE = Core(None, Settings())


def certificate(identifier: str, *part1: Any, **fields: Any) -> str:
    return json.dumps({"certificate_id": identifier, "part1": part1, **fields}, ensure_ascii=False)


def rows(*lines: str) -> Iterator[Row]:
    return read(io.BytesIO("\n".join(lines).encode()), form="jsonl")


async def answered(
    source: Iterable[Row], model: MemoryModel | None = None, ranker: MemoryRanker | None = None
) -> list[dict[str, Any]]:
    models = Models(model or MemoryModel({}), ranker or SilentRanker())
    return [answer async for answer in code_rows(source, CORE, models)]


async def test_answers_come_in_the_order_of_the_lines_with_bad_ones_in_their_place() -> None:
    found = await answered(
        rows(
            certificate("A", "OAP"),
            "{",
            certificate("B", "HTA"),
            "",
            '{"certificate_id": "C"}',
            certificate("D", "sepsis"),
        )
    )
    assert [answer.get("certificate_id", answer.get("line")) for answer in found] == ["A", 2, "B", 5, "D"]
    assert [answer["error"]["code"] for answer in found if "error" in answer] == [
        "INVALID_CERTIFICATE",
        "EMPTY_CERTIFICATE",
    ]
    json.dumps(found)


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
async def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    lines = [certificate(f"A{k}", "OAP sur HTA") if k % 4 else "nonsense" for k in range(13)]
    whole = await answered(rows(*lines), ranker=MemoryRanker())
    monkeypatch.setattr(answers, "BATCH", batch)
    model, ranker = MemoryModel({}), MemoryRanker()
    parts = await answered(rows(*lines), model, ranker)
    assert len(model.calls) == len(ranker.calls) == -(-13 // batch)
    for one, other in zip(whole, parts, strict=True):
        assert {**one, "coded_at": None} == {**other, "coded_at": None}


async def test_nothing_in_nothing_out() -> None:
    assert await answered(rows()) == []


async def test_only_a_few_batches_are_under_way_and_reading_stays_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BATCH", 1)
    taken = 0

    def counted() -> Iterator[Row]:
        nonlocal taken
        for row in rows(*(certificate(f"A{k}", "OAP") for k in range(50))):
            taken += 1
            yield row

    coded = code_rows(counted(), CORE, Models(MemoryModel({}), SilentRanker()))
    assert (await anext(coded))["certificate_id"] == "A0"
    assert taken <= answers.IN_FLIGHT
    assert [answer["certificate_id"] async for answer in coded] == [f"A{k}" for k in range(1, 50)]


class Noting(MemoryModel):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__({"sepsis": "A41.9"})
        self.asked: list[LineRequest] = []

    async def ask(self, requests: Sequence[LineRequest]) -> list[LineAnswer]:
        self.asked += requests
        return await super().ask(requests)


async def test_lines_of_a_batch_go_in_one_request_and_bad_rows_ask_nothing() -> None:
    model = Noting()
    found = await answered(
        rows(certificate("A", "OAP", "sepsis"), "{", certificate("B", "HTA", part2=["sepsis"])), model
    )
    assert model.calls == [4] and [r.text.split()[0] for r in model.asked] == [
        "oedeme",
        "sepsis",
        "hypertension",
        "sepsis",
    ]
    assert found[0]["part1"][1]["entities"][0]["method"] == "BOTH"


async def test_a_model_that_fails_ends_the_run() -> None:
    model = MemoryModel({})
    model.failures = [ModelUnavailable("down")]
    with pytest.raises(ModelUnavailable):
        await answered(rows(certificate("A", "OAP")), model)
    ranker = MemoryRanker()
    ranker.failures = [ModelUnavailable("down")]
    with pytest.raises(ModelUnavailable):
        await answered(rows(certificate("A", "OAP sur HTA")), ranker=ranker)


async def test_the_underlying_cause_is_that_of_rules_and_ranker() -> None:
    heart = certificate("A", "insuffisance cardiaque sur HTA")
    (answer,) = await answered(rows(heart), ranker=MemoryRanker({"I10": "I110"}))
    assert answer["underlying"]["method"] == "BOTH" and answer["underlying"]["code"] == "I11.0"
    assert answer["versions"]["underlying"] == f"{CORE.versions.underlying}+memory-1"


async def test_readable_answers_hold_text_and_labels() -> None:
    (answer,) = await answered(
        rows(
            certificate(
                "A", "Œdème aigu du poumon, xyzzy", {"text": "pas de fièvre, HTA", "interval": "3 j"}, part2=["diabète"]
            )
        )
    )
    first, second = answer["part1"]
    assert first["text"] == "Œdème aigu du poumon, xyzzy"
    assert [(e["text"], e["code"]) for e in first["entities"]] == [("Œdème aigu du poumon", "J81")]
    assert first["entities"][0]["label"] == icd10.load().label("J81") != ""
    assert [(u["text"], u["why"]) for u in first["uncoded"]] == [("xyzzy", "UNKNOWN_WORDS")]
    assert ("fièvre", "NEGATED") in [(u["text"], u["why"]) for u in second["uncoded"]]
    assert second["interval"] == {"days": 3.0, "approximate": False}
    assert answer["underlying"]["label"] == icd10.load().label(answer["underlying"]["code"])
    assert answer["versions"]["coder"] == "memory-1" and answer["origin"] == {
        "topic": "",
        "partition": -1,
        "offset": -1,
    }


@pytest.mark.parametrize("part1", [[], ["OAP"], ["OAP", "HTA"]])
async def test_a_void_certificate_has_an_answer_whatever_it_repeats(part1: list[str]) -> None:
    before, void, after = await answered(
        rows(certificate("A", "OAP"), certificate("B", *part1, status="VOID"), certificate("C", "OAP"))
    )
    assert void["status"] == "WITHDRAWN" and void["part1"] == [] and "label" not in void["underlying"]
    assert before["status"] != "WITHDRAWN" and after["certificate_id"] == "C"


async def test_a_certificate_without_a_cause_has_no_label() -> None:
    (answer,) = await answered(rows(certificate("A", "xyzzy plugh")))
    assert answer["underlying"]["code"] is None and "label" not in answer["underlying"]


async def test_sealed_text_without_its_key_is_an_error_of_its_line() -> None:
    sealed = {"text": {"key_id": "k", "nonce": "AAAA", "ciphertext": "AAAA"}}
    found = await answered(rows(certificate("A", sealed), certificate("B", "OAP")))
    assert found[0]["error"]["code"] == "SEALED_UNREADABLE" and found[1]["certificate_id"] == "B"


# CSV


async def test_csv_rows_have_the_codes_line_by_line() -> None:
    good, bad, void = await answered(
        rows(
            certificate("A", "OAP sur HTA", "xyzzy", part2=["diabète de type 2"], version=3),
            "{",
            certificate("V", "OAP", status="VOID"),
        )
    )
    row = csv_row(good)
    assert set(row) <= set(COLUMNS)
    assert (row["certificate_id"], row["version"], row["part1"], row["part2"]) == ("A", 3, "J81 I10 | ", "E11.9")
    assert row["underlying"] == good["underlying"]["code"] and row["route"] in ("AUTO", "MANUAL")
    assert row["reasons"].split() == good["targeting"]["reasons"]
    told = csv_row(bad)
    assert told["line"] == 2 and told["error"].startswith("INVALID_CERTIFICATE: ") and set(told) <= set(COLUMNS)
    assert csv_row(void)["underlying"] == "" and csv_row(void)["part1"] == ""


def test_error_answer_has_code_message_and_line() -> None:
    assert error_answer(EmptyCertificate("no text"), 7) == {
        "error": {"code": "EMPTY_CERTIFICATE", "message": "no text"},
        "line": 7,
    }
