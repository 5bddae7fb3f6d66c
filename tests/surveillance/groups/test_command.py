"""`causa groups` and the measurement of groups on gold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bench.groups import by_codes, compare, summary
from stream import log
from stream.cli.main import app
from stream.coding import coded_json
from stream.errors import InvalidSettings
from stream.evaluation import gold
from stream.surveillance.groups import load

from .test_matcher import coded


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "configure", lambda *_: None)


def causa(*arguments: object, **more: Any) -> Result:
    return CliRunner().invoke(app, ["groups", *map(str, arguments)], env={"COLUMNS": "200", "TERM": "dumb"}, **more)


def test_groups_are_listed_by_family_and_language() -> None:
    found = causa("--family", "notifiable", "--lang", "fr")
    assert found.exit_code == 0
    assert "Infection invasive à méningocoque" in found.output and "influenza" not in found.output


def test_one_group_is_explained() -> None:
    found = causa("meningococcal", "--lang", "fr")
    assert "A39  Infection à méningocoques" in found.output and "gravité 9/9" in found.output
    assert json.loads(causa("heat", "--json").output)["any"]["ranges"] == ["P81.0", "T67", "X30"]
    assert isinstance(causa("nothing").exception, InvalidSettings)
    assert isinstance(causa("--family", "nothing").exception, InvalidSettings)


def test_all_groups_in_json_bear_the_version() -> None:
    told = json.loads(causa("--json").output)
    assert told["version"] == load().version and len(told["groups"]) == len(load())


def test_groups_of_coded_records(tmp_path: Path) -> None:
    path = tmp_path / "coded.jsonl"
    record = coded_json(coded("A39.2", "A39.2")) | {"text": "an answer has more fields"}
    path.write_text(f"{json.dumps(record)}\n\nno JSON\n", encoding="utf-8")
    found = causa("--of", path)
    told, error = map(json.loads, found.output.splitlines())
    assert "meningococcal" in told["due"] and "meningococcal" in told["mentioned"]
    assert error == {"error": "no coded record", "line": 3}
    assert found.exit_code == 1
    assert causa("--of", "-", input=json.dumps(record)).exit_code == 0
    assert isinstance(causa("--of", tmp_path / "none").exception, InvalidSettings)


def test_groups_are_held_against_gold() -> None:
    record = {"certificate_id": "G1", "part1": ["a"], "gold": {"part1": [["A41.9"]], "underlying": "A41.9"}}
    row = gold.of(record)
    right, wrong = coded("A41.9", "A41.9"), coded("J18.9", "J18.9")
    counts = compare([(row, right)] * 4 + [(row, wrong), (row, None)], load())
    of = counts["of"]
    assert (of.recall("sepsis"), of.precision("sepsis")) == (4 / 6, 1.0)
    assert (of.recall("pneumonia"), of.precision("pneumonia")) == (None, 0.0)
    assert not of.good("sepsis") and not of.good("pneumonia")
    told = summary(load(), counts)["syndromic, of"]
    judged = {group.id for group in of.judged(by_codes(load()))}
    assert "sepsis" in judged and "pneumonia" not in judged and told["good"] == 0
