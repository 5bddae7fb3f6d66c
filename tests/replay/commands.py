"""Commands as processes of their own, out of one process that has read the core already.

Each command of `causa` begins by reading lexicon and rules, for seconds; a test that gives thirty of them would do little else.
Here one process reads them once and forks for every command: what runs, fails or is killed is a process with environment,
folder, output and exit status of its own, and its end is the system's word. What this leaves out is Python's start and the
imports; `alone=True` runs a command with these too.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

LIMIT_S = 240.0


class Commands:
    """Runs `causa`.

    Args:
        warm: the process that forks.
    """

    def __init__(self, warm: subprocess.Popen[str]) -> None:
        self._warm, self._one = warm, Lock()

    def run(
        self, command: tuple[str, ...], folder: Path, variables: Mapping[str, str], *, alone: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """A command to its end, or to its death; the status of one that was killed is its signal, negative."""
        began = time.monotonic()
        if alone:
            found = subprocess.run(
                [sys.executable, "-m", "stream.cli.main", *command], cwd=folder, env=dict(variables), text=True,
                capture_output=True, timeout=LIMIT_S, check=False,
            )  # fmt: skip
        else:
            found = self._forked(command, folder, variables)
        print(f"{time.monotonic() - began:6.1f} s  causa {' '.join(command)}")  # noqa: T201 - for whoever looks at a failure
        return found

    def _forked(
        self, command: tuple[str, ...], folder: Path, variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        out, err = folder / ".stdout", folder / ".stderr"
        asked = {
            "command": command,
            "folder": str(folder),
            "variables": dict(variables),
            "out": str(out),
            "err": str(err),
        }
        with self._one:
            assert self._warm.stdin is not None
            assert self._warm.stdout is not None
            self._warm.stdin.write(json.dumps(asked) + "\n")
            self._warm.stdin.flush()
            status = int(self._warm.stdout.readline())
            told = (out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
        return subprocess.CompletedProcess(command, os.waitstatus_to_exitcode(status), *told)


@contextmanager
def warmed() -> Iterator[Commands]:
    """The process that forks, for as long as commands are wanted."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("CAUSA_")}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own
    ) as process:
        try:
            yield Commands(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()  # at the end of its orders it ends


def _serve() -> None:
    """Read what every command reads, then fork for each line of standard input and answer with its status."""
    from stream.pipeline.core import Core
    from stream.registry import LocalRegistry
    from stream.replay import agreeing, comparing, export, history, identity, kafka_broker, publishing, repairing, shell
    from stream.settings import REPOSITORY, Settings
    from stream.wire import Wire

    del agreeing, comparing, export, history, identity, kafka_broker, publishing, repairing, shell
    Core(Wire(LocalRegistry(REPOSITORY / "schemas")), Settings())
    gc.freeze()  # else each child's collector would copy all that it shares with us
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _child(asked)
        _, status = os.waitpid(child, 0)
        print(status, flush=True)  # noqa: T201 - the answer


def _child(asked: dict[str, object]) -> None:
    """Become the command."""
    status = 70
    try:
        os.environ.clear()
        os.environ.update(asked["variables"])  # type: ignore[call-overload]
        os.chdir(str(asked["folder"]))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(os.open(str(asked[name]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.argv = ["causa", *asked["command"]]  # type: ignore[misc]
        from stream import failpoints
        from stream.cli.main import run

        failpoints._armed = failpoints._read(os.environ.get("CAUSA_FAILPOINT", ""))  # read at the import, else
        try:
            run()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
