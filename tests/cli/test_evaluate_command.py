"""`causa evaluate` as a person meets it: a report in a folder, figures on the screen, errors of one line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from stream import log
from stream.cli import evaluate as module
from stream.cli import main
from stream.coder.model import MemoryModel
from stream.errors import CausaError, InvalidData, InvalidSettings
from stream.evaluation import plots
from stream.pipeline.core import Core
from stream.pipeline.models import Models
from stream.settings import REPOSITORY
from stream.underlying.ranking import MemoryRanker

NOWHERE = {"CAUSA_TRITON__URL": "127.0.0.1:1", "CAUSA_WORKER__RETRY__ATTEMPTS": "1", "CAUSA_TRITON__DEADLINE_S": "2"}
"""No model answers: the rules must do without, and the others are told so at once."""


LOST = "1 certificates could not be read: all their codes count as missed\n"


def row(name: str, *part1: Any, codes: list[list[str]], cause: str, **fields: Any) -> dict[str, Any]:
    return {"certificate_id": name, "part1": list(part1), "gold": {"part1": codes, "underlying": cause}, **fields}


GOLD = [
    row("right-1", "OAP", codes=[["J81"]], cause="J81"),
    row("right-2", {"text": "OAP", "interval": "2 h"}, "HTA", codes=[["J81"], ["I10"]], cause="I10", comment="easy"),
    row("wrong-3", "OAP <script>", codes=[["I219"]], cause="I21"),
    row("refused-4", "", codes=[["C34.9"]], cause="C34.9"),
]


def file(folder: Path, *rows: Any, name: str = "gold.jsonl") -> Path:
    path = folder / name
    told = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{row}\n" for row in told), encoding="utf-8")
    return path


ENVIRONMENT = {"COLUMNS": "200", "TERM": "dumb", **NOWHERE}


class Told(NamedTuple):
    """What a shell sees of a command."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def causa(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """The whole command, errors told as a shell sees them, without the seconds that a process of its own takes."""

    def called(*arguments: Path | str) -> Told:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(log, "configure", lambda *_: None)
        monkeypatch.setattr(sys, "argv", ["causa", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Told(code or 0, *capsys.readouterr())

    return called


def evaluate(*arguments: Path | str) -> Result:
    """The command without its drawings, which take a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("reliability", "coverage", "chapters"):
            patch.setattr(plots, name, lambda *_: "")
        return CliRunner().invoke(main.app, ["evaluate", *map(str, arguments)], env=ENVIRONMENT)


def fault(result: Result) -> CausaError:
    """The error that the command ends with; `main.run` tells it."""
    assert isinstance(result.exception, CausaError), result.exception
    assert result.stdout == ""
    return result.exception


def cells(output: str, name: str) -> list[str]:
    """Numbers in the row of a printed table."""
    (found,) = [line for line in output.splitlines() if re.match(rf"[│┃|]?\s*{re.escape(name)}\s+[│┃|]", line)]
    return [cell.strip() for cell in re.split("[│┃|]", found) if cell.strip()][1:]


# A report


def test_the_report_is_written_and_its_figures_are_printed(tmp_path: Path, causa: Callable[..., Told]) -> None:
    source, folder = file(tmp_path, *GOLD), tmp_path / "reports" / "rules"
    result = causa(source, "-o", folder, "--only", "rules")
    assert (result.status, result.stderr) == (1, LOST) and sorted(path.name for path in folder.iterdir()) == [
        "report.html",
        "report.json",
    ]
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    html = (folder / "report.html").read_text(encoding="utf-8")

    assert (told["source"], told["certificates"], told["coders"], told["unreadable"]) == ("gold.jsonl", 4, "rules", 1)
    assert told["versions"]["coder"] == "none" and told["versions"]["software"]
    exact = told["entities"]["exact"]
    assert (exact["right"], exact["proposed"], exact["expected"]) == (3, 4, 5)
    assert [told["lines_exact"][key] for key in ("right", "total")] == [3, 5]
    assert [told["certificates_exact"][key] for key in ("right", "total")] == [2, 4]
    assert [told["underlying"]["exact"][key] for key in ("right", "total")] == [2, 4]
    assert {"gold": "I21.9", "found": "J81", "n": 1} in told["confusions"]
    assert set(told["by_method"]) == {"RULES"} and told["by_shortlist"]["2.1.8"]["right"] == 0
    assert not re.search("OAP|HTA|script|right-1|wrong-3|refused-4|easy", json.dumps(told))

    assert html.startswith("<!doctype html>") and "4 certificates, 5 coded mentions" in html
    assert "1 could not be read" in html and "wrong-3" in html and "row 4" in html and "EMPTY_CERTIFICATE" in html
    assert html.count("<svg ") == 4
    assert "OAP &lt;script&gt;" in html and "<script" not in html

    assert cells(result.stdout, "exact") == [*(f"{exact[key]:.4f}" for key in ("precision", "recall", "f1")), "5"]
    share = told["underlying"]["exact"]
    low, high = share["interval95"]
    assert cells(result.stdout, "underlying cause") == [f"{share['rate']:.4f}", f"{low:.3f}–{high:.3f}", "4"]
    assert cells(result.stdout, "codes by RULES")[0] == f"{told['by_method']['RULES']['rate']:.4f}"
    assert f"entities {told['calibration']['entities']['calibration_error']:.4f}" in result.stdout
    assert result.stdout.splitlines()[-1] == str(folder / "report.html")
    assert not re.search("OAP|HTA|wrong-3", result.stdout)


def test_without_texts_the_report_holds_none(tmp_path: Path) -> None:
    result = evaluate(file(tmp_path, *GOLD), "-o", tmp_path / "out", "--only", "rules", "--no-texts")
    assert result.exit_code == 1
    for path in (tmp_path / "out").iterdir():
        assert not re.search("OAP|HTA|right-1|wrong-3|refused-4|row 4|easy", path.read_text(encoding="utf-8"))


def test_a_report_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for rows in (GOLD[:2], GOLD[:1]):
        result = evaluate(file(tmp_path, *rows), "-o", folder, "--only", "rules")
        assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["certificates"] == 1


def test_certificates_that_are_all_refused_still_make_a_report(tmp_path: Path) -> None:
    result = evaluate(file(tmp_path, GOLD[3]), "-o", tmp_path / "out", "--only", "rules")
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (result.exit_code, result.stderr) == (1, LOST)
    assert (told["unreadable"], told["versions"]) == (1, {})
    assert [told["underlying"]["exact"][key] for key in ("right", "total")] == [0, 1]


def test_certificates_that_could_not_be_read_show_in_the_exit_status(tmp_path: Path) -> None:
    rows = [GOLD[0], GOLD[3], row("B", "OAP", codes=[["J81"]], cause="J81", colour="red"), GOLD[1]]
    result = evaluate(file(tmp_path, *rows), "-o", tmp_path / "out", "--only", "rules")
    assert (result.exit_code, result.stderr) == (1, LOST.replace("1", "2"))
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (told["certificates"], told["unreadable"]) == (4, 2)
    exact = told["entities"]["exact"]
    assert (exact["right"], exact["proposed"], exact["expected"]) == (3, 3, 5)


def test_a_fault_of_the_core_counts_as_one_that_could_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: Any) -> Any:
        raise ZeroDivisionError("OAP")

    monkeypatch.setattr(Core, "code", faulty)
    result = evaluate(file(tmp_path, GOLD[0]), "-o", tmp_path / "out", "--only", "rules")
    assert (result.exit_code, result.stderr) == (1, LOST)
    assert "CORE_FAILED" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_gold_is_read_as_other_commands_read_certificates(tmp_path: Path) -> None:
    told = json.dumps(GOLD[0] | {"expected": {"underlying": "J81"}, "part1": ["OAP\u2028aigu"]}, ensure_ascii=False)
    source = file(tmp_path, f"\ufeff{told}\r", "\r", json.dumps(GOLD[1]))
    result = evaluate(source, "-o", tmp_path / "out", "--only", "rules")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["certificates"] == 2


@pytest.mark.parametrize(
    ("only", "coder"),
    [([], "memory-1"), (["--only", "model"], "memory-1"), (["--only", "rules"], "none")],
    ids=["both", "model", "rules"],
)
def test_the_model_is_made_on_the_loop_that_asks_it_and_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: list[str], coder: str
) -> None:
    made: list[Model | Ranker] = []

    class Model(MemoryModel):
        def __init__(self) -> None:
            super().__init__({"xyzzy": "A27.9"})
            self.loop, self.closed = asyncio.get_running_loop(), 0
            made.append(self)

        async def close(self) -> None:
            assert asyncio.get_running_loop() is self.loop
            self.closed += 1

    class Ranker(MemoryRanker):
        def __init__(self) -> None:
            super().__init__()
            self.loop, self.closed = asyncio.get_running_loop(), 0
            made.append(self)

        async def close(self) -> None:
            assert asyncio.get_running_loop() is self.loop
            self.closed += 1

    monkeypatch.setattr(module, "models", lambda *_: Models(Model(), Ranker()))
    rows = [GOLD[0], row("B", "xyzzy", codes=[["A27.9"]], cause="A27.9")]
    result = evaluate(file(tmp_path, *rows), "-o", tmp_path / "out", *only)
    assert (result.exit_code, result.stderr) == (0, "")
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (told["versions"]["coder"], told["coders"]) == (coder, only[1] if only else "both")
    assert [(model.closed, model.calls) for model in made] == ([] if coder == "none" else [(1, [2]), (1, [0])])
    assert set(told["by_method"]) == {"rules": {"RULES"}, "model": {"MODEL"}}.get(told["coders"], {"RULES", "MODEL"})


# Faults


def test_bad_gold_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    bad = row("B", "embolie secrète", codes=[["I26.7"]], cause="I26.9")
    source = file(tmp_path, GOLD[0], bad)
    result = subprocess.run(
        [sys.executable, "-m", "stream.cli.main", "evaluate", source, "-o", tmp_path / "out", "--only", "rules"],
        capture_output=True, text=True, check=False, timeout=200, cwd=REPOSITORY, env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "INVALID_DATA: gold.jsonl:2: gold names what is no code of the nomenclature\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["{"], "gold.jsonl:1: not JSON at character 2"),
        ([GOLD[0], "", {"certificate_id": "A", "part1": ["OAP"]}], "gold.jsonl:3: no gold beside the certificate"),
        ([row("A", "OAP", codes=[[], []], cause="J81")], "gold.jsonl:1: gold has 2 lists for the 1 lines of part1"),
        ([GOLD[0] | {"status": "VOID"}], "gold.jsonl:1: a VOID certificate has no codes"),
    ],
)
def test_the_row_at_fault_is_told_before_any_work(tmp_path: Path, rows: list[Any], told: str) -> None:
    error = fault(evaluate(file(tmp_path, *rows), "-o", tmp_path / "out"))
    assert isinstance(error, InvalidData) and error.message == told
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    error = fault(evaluate(tmp_path / "none.jsonl"))
    assert isinstance(error, InvalidData) and error.message == f"there is no file {tmp_path / 'none.jsonl'}"


@pytest.mark.parametrize("rows", [[], ["", "  "]], ids=["empty", "blank"])
def test_a_file_without_certificates(tmp_path: Path, rows: list[str]) -> None:
    error = fault(evaluate(file(tmp_path, *rows), "-o", tmp_path / "out"))
    assert isinstance(error, InvalidSettings) and error.message == "gold.jsonl holds no certificate"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("only", ["rule", "RULES", "both", "rules,model"])
def test_an_unknown_coder_is_refused(tmp_path: Path, only: str) -> None:
    error = fault(evaluate(tmp_path / "none.jsonl", "--only", only))
    assert isinstance(error, InvalidSettings)
    assert (error.message, error.hint) == (f"--only {only}", "rules or model")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    source = file(tmp_path, GOLD[0])
    for folder in (source, source / "out"):
        error = fault(evaluate(source, "-o", folder, "--only", "rules"))
        assert isinstance(error, InvalidSettings) and error.hint == "name another folder"
        assert error.message.startswith(f"{folder} cannot be written: ")
    assert json.loads(source.read_text(encoding="utf-8")) == GOLD[0]


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_a_report_that_cannot_be_written_is_told_too(tmp_path: Path, name: str) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    fault(evaluate(file(tmp_path, GOLD[0]), "-o", tmp_path / "out", "--only", "rules"))


@pytest.mark.parametrize("only", [[], ["--only", "model"], ["--only", "rules"]], ids=["both", "model", "rules"])
def test_a_folder_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: list[str]
) -> None:
    monkeypatch.setattr(module, "Core", None)
    source = file(tmp_path, GOLD[0])
    error = fault(evaluate(source, "-o", source / "out", *only))
    assert isinstance(error, InvalidSettings) and error.message.startswith(f"{source / 'out'} cannot be written: ")


@pytest.mark.parametrize("only", [[], ["--only", "model"]], ids=["both", "model"])
def test_a_server_that_does_not_answer_has_an_exit_status_of_its_own(
    tmp_path: Path, causa: Callable[..., Told], only: list[str]
) -> None:
    result = causa(file(tmp_path, GOLD[0]), "-o", tmp_path / "out", *only)
    assert (result.status, result.stdout) == (3, "") and not (tmp_path / "out" / "report.html").exists()
    assert result.stderr.startswith("MODEL_UNAVAILABLE: ") and "OAP" not in result.stderr


def test_what_fails_leaves_an_earlier_report_as_it_was(tmp_path: Path, causa: Callable[..., Told]) -> None:
    (tmp_path / "report.json").write_text("{}", encoding="utf-8")
    assert causa(file(tmp_path, GOLD[0]), "-o", tmp_path).status == 3
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "{}"


def test_what_fails_leaves_no_report(tmp_path: Path, causa: Callable[..., Told]) -> None:
    assert causa(file(tmp_path, GOLD[0]), "-o", tmp_path / "out").status == 3
    assert not (tmp_path / "out" / "report.json").exists()
