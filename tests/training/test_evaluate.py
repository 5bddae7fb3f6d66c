"""Scores on cases made by hand."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stream.coder.model import MemoryModel
from stream.coding import (
    CodedCertificate,
    CodedLine,
    CodedStatus,
    Entity,
    Method,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.pipeline.core import Core
from stream.settings import Settings
from training.evaluate import Score, Silent, read_gold, run, score


def line(*codes: str) -> CodedLine:
    return CodedLine(tuple(Entity(code, 0, 3, 0.9, Method.RULES, "x") for code in codes))


def coded(
    part1: list[CodedLine], cause: str | None, route: Route = Route.AUTO, part2: tuple[CodedLine, ...] = ()
) -> CodedCertificate:
    return CodedCertificate(
        "A", 1, "h", CodedStatus.FINAL, Modality.RULES, Underlying(cause, 0.9, steps=("SP1",)), Targeting(route), Versions(),
        datetime(2026, 1, 1, tzinfo=UTC), part1=tuple(part1), part2=part2,
    )  # fmt: skip


def gold(*part1: list[str], underlying: str = "J81", part2: list[list[str]] | None = None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "certificate_id": "A",
        "part1": ["abc"] * len(part1),
        "gold": {"part1": list(part1), "underlying": underlying},
    }
    if part2 is not None:
        row |= {"part2": [{"text": "abc"}] * len(part2)}
        row["gold"]["part2"] = part2
    return row


def counts(found: Score) -> tuple[int, int, int]:
    return found.right, found.proposed, found.expected


def test_all_right() -> None:
    report = score(
        [gold(["J81", "I10"], [], part2=[["E11.9"]])],
        [coded([line("I10", "J81"), line()], "J81", part2=(line("E11.9"),))],
    )
    assert counts(report.exact) == counts(report.three) == (3, 3, 3)
    assert report.exact.f1 == 1.0 and report.errors == []
    assert (
        report.certificates,
        report.underlying,
        report.underlying_three,
        report.automatic,
        report.automatic_right,
    ) == (1, 1, 1, 1, 1)


def test_lines_are_compared_as_bags_each_for_itself() -> None:
    swapped = score([gold(["J81"], ["I10"])], [coded([line("I10"), line("J81")], "J81")])
    assert counts(swapped.exact) == (0, 2, 2) and len(swapped.errors) == 2
    twice = score([gold(["J81"])], [coded([line("J81", "J81")], "J81")])
    assert counts(twice.exact) == (1, 2, 1)


def test_three_characters_forgive_the_fourth() -> None:
    report = score([gold(["I21.0", "I21.9"], underlying="I21.0")], [coded([line("I21.9", "I21.4")], "I21.4")])
    assert counts(report.exact) == (1, 2, 2) and counts(report.three) == (2, 2, 2)
    assert (report.underlying, report.underlying_three) == (0, 1)
    assert report.errors[-1]["found"] == "I21.4" and report.errors[-1]["lines"] == [["I21.9", "I21.4"]]


def test_chapters_count_what_was_missed_and_what_was_made_up() -> None:
    report = score([gold(["J81", "I10"])], [coded([line("J81", "C50.9")], "J81")])
    assert {name: counts(one) for name, one in report.chapters.items()} == {
        "X": (1, 1, 1),
        "IX": (0, 0, 1),
        "II": (0, 1, 0),
    }


def test_only_automatic_certificates_count_as_such() -> None:
    rows = [gold(["J81"])] * 4
    results = [
        coded([line("J81")], "J81"), coded([line("J81")], "I10"), coded([line("J81")], "J81", Route.MANUAL), coded([line("J81")], None)
    ]  # fmt: skip
    report = score(rows, results)
    assert (report.certificates, report.underlying, report.automatic, report.automatic_right) == (4, 2, 3, 1)


def test_scores_of_nothing_and_by_hand() -> None:
    assert Score().f1 == 0.0 and "n=0" in str(Score())
    found = Score()
    found.add(Counter(["a", "b", "b"]), Counter(["b", "c"]))
    assert counts(found) == (1, 3, 2) and found.f1 == 2 / 5
    assert str(found) == "P 0.3333  R 0.5000  F1 0.4000  (n=2)"


def test_run_codes_gold_certificates_in_order_without_seeing_the_gold(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    rows = [
        {"certificate_id": "A", "part1": ["OAP"], "gold": {"part1": [["J81"]], "underlying": "J81"}, "comment": "easy"},
        {"certificate_id": "B", "part1": ["xyzzy"], "gold": {"part1": [["A27.9"]], "underlying": "A27.9"}},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    core, read = Core(None, Settings()), read_gold(path)
    assert read == rows
    silent = score(read, asyncio.run(run(read, core, Silent())))
    assert counts(silent.exact) == (1, 1, 2) and silent.underlying == 1
    told = score(read, asyncio.run(run(read, core, MemoryModel({"xyzzy": "A27.9"}))))
    assert counts(told.exact) == (2, 2, 2) and told.underlying == 2
