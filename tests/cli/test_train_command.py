"""`causa train` as a person meets it: what to install where torch is not, and a tiny run that promotes nothing."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli import train as command
from stream.cli.main import app
from stream.coder import confidence
from stream.errors import InvalidData, SetupError
from stream.settings import REPOSITORY
from stream.targeting import certainty

TORCH = importlib.util.find_spec("torch") is not None
HELD_OUT = {"expression", "combination", "noise"}
QUIET = pytest.mark.filterwarnings("ignore")
"""The exporter warns of its own old age."""


def served() -> dict[Path, str]:
    """Digest of every file that promoting writes, and of those beside it."""
    paths = [*(REPOSITORY / "model_repo").rglob("*"), confidence.WEIGHTS, certainty.WEIGHTS]
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def certificate(number: int) -> dict[str, Any]:
    return {
        "certificate_id": f"office-{number}", "sex": "F", "age": {"value": 80 + number % 10},
        "part1": ["OAP sur FA", "zygoma bleu"], "part2": ["HTA"],
        "gold": {"part1": [["J81", "I48.9"], ["C34.9"]], "part2": [["I10"]], "underlying": "I48.9"},
    }  # fmt: skip


# Without torch


@pytest.mark.skipif(TORCH, reason="torch is installed")
def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli.main", "train", "--out", str(tmp_path / "run")],
        capture_output=True, text=True, check=False, timeout=120, cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    fault, hint = done.stderr.splitlines()
    assert fault.startswith("SETUP: training needs torch") and hint == "hint: make install-train"
    assert not (tmp_path / "run").exists()


def test_whatever_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command, "NEEDS", ("json", "no_such_torch", "no_such_onnx"))
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, SetupError)
    assert result.exception.message == "training needs no_such_torch, no_such_onnx"
    assert result.exception.hint == "make install-train" and not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [("--steps", "0"), ("--rows", "10"), ("--steps", "many")])
def test_what_makes_no_training_is_refused(wrong: tuple[str, str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "run"), *wrong])
    assert result.exit_code == 2 and wrong[0] in result.output and not (tmp_path / "run").exists()


# With torch


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with sub-words, and measures of a few lines."""
    for name in command.NEEDS:
        pytest.importorskip(name, reason="the extra `train` is not installed")
    from itertools import islice

    from training import compare, written
    from training.corpus import Corpus
    from training.tokens import train_tokenizer

    few = written.load("dev")[:12]
    monkeypatch.setattr(compare, "LINES", 20)
    monkeypatch.setattr(written, "load", lambda part: few)
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [example.text.lower() for example in islice(Corpus(5, certificates=()), 500)]
    train_tokenizer(lines).save(str(folder / "tokenizer.json"))
    return folder


@QUIET
def test_a_run_that_promotes_nothing_leaves_what_is_served_as_it_was(tiny: Path) -> None:
    from training.recipe import Recipe, cook
    from training.train import Plan

    before = served()
    told: list[str] = []
    measured = cook(Recipe(Plan(tiny, 2, 200, width=64, layers=1), promote=False), told.append)
    assert served() == before
    assert json.loads((tiny / "metrics.json").read_text(encoding="utf-8")) == measured
    assert set(measured) == HELD_OUT | {"development"}
    names = {path.name for path in (tiny / "served").iterdir()}
    assert names >= {"encoder.onnx", "head.onnx", "labels.json", "tokenizer.json", "model.py"}
    assert (tiny / "model.pt").exists() and told[0].startswith("training: 2 steps, 200 lines")
    assert not any("promoting" in line for line in told)


@QUIET
def test_an_office_file_makes_the_served_model_the_offices_own(tiny: Path, tmp_path: Path) -> None:
    (tiny / "tokenizer.json").unlink()  # the served model brings its own
    office = tmp_path / "coded.jsonl"
    office.write_text("".join(json.dumps(certificate(n)) + "\n" for n in range(10)), encoding="utf-8")
    from stream.evaluation import gold
    from training import checkpoint
    from training.recipe import apart

    kept = [row.id for row in gold.read(office) if apart(row)]
    assert 0 < len(kept) < 10

    before = served()
    arguments = ["--fine-tune", str(office), "--steps", "1", "--rows", "200", "--no-promote"]
    result = CliRunner().invoke(app, ["train", "--out", str(tiny), *arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exception is None, result.exception
    assert served() == before
    assert result.stdout == f"{tiny / 'metrics.json'}\n"

    measured = json.loads((tiny / "metrics.json").read_text(encoding="utf-8"))
    assert set(measured) == HELD_OUT | {"development", "office_before", "office_after", "office_lines"}
    assert measured["office_lines"] == {"used": 3 * (10 - len(kept)), "without_place": 0}
    source = f"{zlib.crc32(office.read_bytes()):08x}"  # rows of one file's lines are not taken for another's
    assert [path.name.split("-")[2::2] for path in tiny.glob("rows-*")] == [["200", f"{source}.npz"]]
    assert checkpoint.load(tiny / "model.pt").note["source"] == source
    own, begun = checkpoint.load(tiny / "model.pt"), checkpoint.load(REPOSITORY / "model_repo" / "coder" / "1")
    assert (own.shape.width, own.shape.layers, own.shape.heads) == (
        begun.shape.width, begun.shape.layers, begun.shape.heads,
    )  # fmt: skip
    close = [float((own.encoder[name] - begun.encoder[name]).abs().max()) for name in begun.encoder]
    assert 0 < max(close) < 1e-3
    assert "zygoma" not in result.stdout + result.stderr + json.dumps(measured)


def test_an_office_file_that_is_not_there_is_told_before_anything_is_trained(tiny: Path, tmp_path: Path) -> None:
    arguments = ["--fine-tune", str(tmp_path / "none.jsonl"), "--no-promote"]
    result = CliRunner().invoke(app, ["train", "--out", str(tiny), *arguments])
    assert isinstance(result.exception, InvalidData) and "none.jsonl" in result.exception.message
    assert not list(tiny.glob("rows-*"))
