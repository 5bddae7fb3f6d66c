from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream import failpoints
from stream.errors import InvalidSettings
from stream.settings import REPOSITORY

REACHING = """
import asyncio
from stream import failpoints
async def main():
    for number in range(3):
        await failpoints.reach("after-decode")
        await failpoints.reach("after-commit")
        print(number, flush=True)
asyncio.run(main())
"""


def reached(**variables: str) -> subprocess.Popen[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CAUSA_")}
    command = [sys.executable, "-c", REACHING]
    return subprocess.Popen(command, env=kept | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(**variables: str) -> tuple[int, list[str], str]:
    process = reached(**variables)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.split(), err


def test_nothing_happens_where_nothing_is_named() -> None:
    assert ended() == (0, ["0", "1", "2"], "")


@pytest.mark.parametrize(("armed", "lines"), [("after-commit:kill", []), ("after-commit:kill:3", ["0", "1"])])
def test_a_process_dies_the_so_maniest_time_that_it_gets_there(armed: str, lines: list[str]) -> None:
    assert ended(CAUSA_FAILPOINT=armed) == (-signal.SIGKILL, lines, "")


def test_a_process_stops_until_it_is_woken() -> None:
    process = reached(CAUSA_FAILPOINT="after-decode:pause:2")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=60)[0].split() == ["0", "1", "2"]


def test_an_error_is_raised_there() -> None:
    status, lines, told = ended(CAUSA_FAILPOINT="after-decode:raise:2")
    assert (status, lines) == (1, ["0"])
    assert "FailPoint: after-decode" in told


def test_only_the_first_of_several_processes_falls_into_it(tmp_path: Path) -> None:
    once = {"CAUSA_FAILPOINT": "after-commit:kill", "CAUSA_FAILPOINT_ONCE": str(tmp_path / "done")}
    assert [ended(**once)[0] for _ in range(2)] == [-signal.SIGKILL, 0]


@pytest.mark.parametrize(
    "wrong", ["nowhere:kill", "after-commit:laugh", "after-commit", "after-commit:kill:x", "a:kill:0"]
)
def test_what_names_no_point_is_an_error_at_the_start(wrong: str) -> None:
    status, lines, told = ended(CAUSA_FAILPOINT=wrong)
    assert (status, lines) == (1, [])
    assert InvalidSettings.__name__ in told


def test_every_point_is_reached_somewhere_in_the_code() -> None:
    files = [REPOSITORY / "stream" / "transaction.py", *(REPOSITORY / "stream" / "worker").glob("*.py")]
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [point for point in failpoints.POINTS if f'failpoints.reach("{point}")' not in code] == []
