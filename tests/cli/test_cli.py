"""The commands as a person meets them: help with examples, files in and out, errors of one line and a hint."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import stream
from stream.cli.code import COLUMNS
from stream.cli.commands import TABLE
from stream.cli.main import app
from stream.embedded.triton import TritonServer
from stream.errors import InvalidData, InvalidSettings
from stream.settings import REPOSITORY


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = sorted(commands(typer.main.get_command(app)))


def causa(*arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command as it is installed, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "stream.cli.main", *arguments],
        input=stdin, capture_output=True, text=True, check=False, timeout=200, cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "200", "TERM": "dumb", **env},
    )  # fmt: skip


# Help


def test_the_commands_are_those_that_the_design_promises() -> None:
    names = {" ".join(path) for path in COMMANDS}
    assert names >= {
        "up",
        "down",
        "status",
        "topics create",
        "topics check",
        "publish",
        "worker",
        "tail",
        "code",
        "underlying",
        "demo",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    assert "Example" in result.output and f"causa {' '.join(path)}" in result.output


def test_version_and_no_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output.strip()) == (0, stream.__version__)
    result = CliRunner().invoke(app, [])
    assert "Usage" in result.output and "underlying" in result.output


# causa underlying

GOOD = {"certificate_id": "A", "sex": "F", "age": 78, "part1": [["J96.0"], ["C25.9"]], "part2": ["I10"]}


def jsonl(*rows: Any) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


def underlying(tmp_path: Path, *rows: Any, options: tuple[str, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(jsonl(*rows), encoding="utf-8", errors="surrogatepass")
    result = CliRunner().invoke(app, ["underlying", str(source), "-o", str(output), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


@pytest.mark.servers
def test_underlying_answers_in_order_with_a_server_of_its_own(tmp_path: Path) -> None:
    status, found = underlying(tmp_path, GOOD, {**GOOD, "certificate_id": "B", "part1": [["I21.9"]], "part2": []})
    assert status == 0 and [answer["certificate_id"] for answer in found] == ["A", "B"]
    assert [answer["underlying"] for answer in found] == ["C25.9", "I21.9"]
    for answer in found:
        assert set(answer) == {"certificate_id", "underlying", "confidence", "steps"}
        assert 0 <= answer["confidence"] <= 1 and answer["steps"]


def test_underlying_keeps_the_form_of_the_codes(tmp_path: Path) -> None:
    forms: list[tuple[Any, str]] = [
        ([["J960"], ["C259"]], "C259"), ([["J96.0"], ["C25.9"]], "C25.9"), (["I64", "I48"], "I48"), ([["J960"], ["W190"]], "W190"),
    ]  # fmt: skip
    rows = [{**GOOD, "part1": part1, "part2": []} for part1, _ in forms]
    status, answers = underlying(tmp_path, *rows, options=("--rules-only",))
    assert (status, [answer["underlying"] for answer in answers]) == (0, [expected for _, expected in forms])


BAD = (
    "nonsense", "[]", "3", '"A"', '{"certificate_id": "A", "part1": "I10"}', '{"certificate_id": "A", "part1": [[3]]}',
    '{"certificate_id": "A", "part1": [["I10"]], "age": -1}', '{"certificate_id": "A", "part1": [["I10"]], "sex": "X"}',
    '{"certificate_id": ["A"], "part1": [["I10"]]}', '{"certificate_id": NaN, "part1": [["I10"]]}',
    '{"certificate_id": "\\ud800", "part1": [["I10"]]}', "[" * 100_000,
)  # fmt: skip


def test_underlying_tells_a_bad_line_in_its_place_and_answers_no_blank_one(tmp_path: Path) -> None:
    rows = [row for number, bad in enumerate(BAD) for row in (bad, {**GOOD, "certificate_id": f"after {number}"})]
    status, found = underlying(tmp_path, GOOD, *rows, "", "  ", "{", options=("--rules-only",))
    assert status == 1 and len(found) == len(rows) + 2
    for number, bad in enumerate(BAD):
        told, after = found[2 * number + 1 : 2 * number + 3]
        assert told["line"] == 2 * number + 2 and told["error"]["code"] == "INVALID_CERTIFICATE", bad[:60]
        assert told["error"]["message"] and after["certificate_id"] == f"after {number}"
    assert found[-1]["line"] == len(rows) + 4


def test_underlying_in_a_pipe_is_utf8_whatever_the_locale() -> None:
    """The offline answer is bytes of one form: a locale of 1990 changes nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli.main", "underlying", "-", "--rules-only"],
        input=jsonl({**GOOD, "certificate_id": "Œ"}, "{").encode(), capture_output=True, check=False, cwd=REPOSITORY,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr == b"", done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["certificate_id"], first["underlying"], second["line"]) == ("Œ", "C25.9", 2)
    assert "Œ".encode() in done.stdout


def test_a_file_that_is_not_there_leaves_the_output_alone(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("kept\n", encoding="utf-8")
    for command in ("underlying", "code"):
        result = CliRunner().invoke(app, [command, str(tmp_path / "none.jsonl"), "-o", str(output)])
        assert isinstance(result.exception, InvalidData) and result.exception.hint
        assert output.read_text(encoding="utf-8") == "kept\n"


@pytest.mark.parametrize("command", ["underlying", "code"])
def test_an_output_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, command: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(jsonl(GOOD), encoding="utf-8")
    for output in (tmp_path / "no folder" / "out.jsonl", tmp_path, source):
        result = CliRunner().invoke(app, [command, str(source), "-o", str(output)])
        assert isinstance(result.exception, InvalidSettings) and result.exception.hint
    assert source.read_text(encoding="utf-8") == jsonl(GOOD)


def test_an_error_is_one_line_and_a_hint(tmp_path: Path) -> None:
    missing = tmp_path / ("a long name " * 15)
    result = causa("underlying", str(missing), COLUMNS="40")
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.splitlines() == [
        f"INVALID_DATA: there is no file {missing}", "hint: name a file, or - for standard input",
    ]  # fmt: skip


def test_code_keeps_its_log_out_of_its_answers(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(jsonl({"certificate_id": "A", "part1": ["OAP sur HTA"]}), encoding="utf-8")
    env = {
        "CAUSA_WORKER__RETRY__ATTEMPTS": "3",
        "CAUSA_WORKER__RETRY__FIRST_S": "0.01",
        "CAUSA_TRITON__URL": "127.0.0.1:1",
    }
    # A model that fails once and then answers.
    script = (
        "import atexit, sys\nfrom stream.cli import main, serving\nfrom stream.coder.model import MemoryModel\n"
        "from stream.errors import ModelUnavailable\nfrom stream.underlying.ranking import MemoryRanker\n"
        "model, ranker = MemoryModel({}), MemoryRanker()\n"
        "model.failures, ranker.failures = [ModelUnavailable('once')], [ModelUnavailable('once')]\n"
        "serving.TritonModel, serving.TritonRanker = lambda *_: model, lambda *_: ranker\n"
        "atexit.register(lambda: print(model.calls, ranker.calls, file=sys.stderr))\n"
        f"sys.argv = ['causa', 'code', {str(source)!r}]\nmain.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=REPOSITORY, timeout=60,
        env={**os.environ, **env},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["certificate_id"] for line in done.stdout.splitlines()] == ["A"]
    assert done.stderr.splitlines()[-1] == "[1, 1] [1, 1]", "both were asked twice"


def test_a_server_that_does_not_answer_has_an_exit_status_of_its_own_and_leaves_the_output_as_it_was(
    tmp_path: Path,
) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(jsonl({"certificate_id": "A", "part1": ["OAP"]}), encoding="utf-8")
    output.write_text("kept\n", encoding="utf-8")
    env = {"CAUSA_WORKER__RETRY__ATTEMPTS": "1", "CAUSA_TRITON__DEADLINE_S": "2", "CAUSA_TRITON__URL": "127.0.0.1:1"}
    result = causa("code", str(source), "-o", str(output), **env)
    assert result.returncode == 3 and result.stderr.startswith("MODEL_UNAVAILABLE: ")
    assert result.stdout == "" and "OAP" not in result.stderr
    assert output.read_text(encoding="utf-8") == "kept\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "env", "told"),
    [
        (["down"], {"CAUSA_HOME": "/proc/x"}, "EMBEDDED_SERVER: home cannot be written: /proc/x"),
        (["schemas", "check"], {"CAUSA_REGISTRY__SCHEMAS": "/nofile"}, "INVALID_DATA: /nofile holds no registry"),
        (["topics", "check"], {"CAUSA_KAFKA__BOOTSTRAP": "a:b:c,,"}, "INVALID_SETTINGS: kafka__bootstrap"),
        (["topics", "check"], {"CAUSA_KAFKA__TLS__ENABLED": "1"}, "INVALID_SETTINGS: settings: Value error, kafka.sasl/tls"),
    ],
)  # fmt: skip
def test_faults_of_the_setup_are_told_as_such(arguments: list[str], env: dict[str, str], told: str) -> None:
    result = causa(*arguments, **env)
    assert result.returncode == 2 and result.stdout == "" and "Traceback" not in result.stderr
    error, hint = result.stderr.splitlines()
    assert error.startswith(told) and hint.startswith("hint: ")


def test_an_unknown_form_of_output_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["code", "-", "--format", "xml"])
    assert isinstance(result.exception, InvalidSettings) and "jsonl or csv" in result.exception.hint


# causa code, on the real server

CERTIFICATES = jsonl(
    {"certificate_id": "A", "part1": ["OAP sur HTA"], "sex": "F", "age": {"value": 80}},
    "{",
    {"certificate_id": "B", "part1": ["cancer du pancréas"], "part2": ["diabète de type 2"]},
    {"certificate_id": "V", "part1": ["OAP"], "status": "VOID"},
)


@pytest.mark.servers
def test_code_jsonl_and_csv(triton_server: TritonServer, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(CERTIFICATES, encoding="utf-8")
    env = {"CAUSA_TRITON__URL": triton_server.url}
    result = causa("code", str(source), "-o", str(tmp_path / "out.jsonl"), **env)
    assert result.returncode == 1 and result.stdout == result.stderr == ""
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row.get("certificate_id", row.get("line")) for row in rows] == ["A", 2, "B", "V"]
    assert [e["code"] for e in rows[0]["part1"][0]["entities"]] == ["J81", "I10"]
    assert rows[2]["underlying"]["code"] == "C25.9" and rows[2]["versions"]["coder"].startswith("coder-1+")
    assert rows[3]["status"] == "WITHDRAWN"
    result = causa("code", "-", "--format", "csv", stdin=CERTIFICATES, **env)
    table = list(csv.DictReader(io.StringIO(result.stdout)))
    assert result.returncode == 1 and list(table[0]) == list(COLUMNS)
    assert [row["certificate_id"] or row["line"] for row in table] == ["A", "2", "B", "V"]
    assert table[0]["part1"] == "J81 I10" and table[1]["error"].startswith("INVALID_CERTIFICATE: ")


@pytest.mark.servers
def test_code_starts_the_embedded_server_and_stops_it(installed: Path, tmp_path: Path) -> None:
    good = CERTIFICATES.replace("{\n", "", 1)
    result = causa("code", "-", stdin=good, CAUSA_HOME=str(tmp_path), CAUSA_EMBEDDED_CACHE=str(installed))
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 3
    status = causa("status", CAUSA_HOME=str(tmp_path), CAUSA_EMBEDDED_CACHE=str(installed))
    assert status.returncode == 1


def test_the_list_of_commands_imports_none_of_them() -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import sys; from stream.cli.main import app\ntry: app(['--help'])\nfinally: print(*sys.modules)"],
        capture_output=True, text=True, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert not {"aiokafka", "faust", "tritonclient", "scipy", "numpy"} & set(told.stdout.split())
    assert all(name in told.stdout for name in TABLE)
