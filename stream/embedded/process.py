"""One supervised server process: started through its watchdog, found again by any command, stopped without orphans.

A server is known by its record ``<folder>/process.json``, which its watchdog (`guard.py`) writes: process ids with
their starts, so that an id that the system gave to another process since is not mistaken for the server.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil

from stream.embedded import guard
from stream.errors import EmbeddedServerError

POLL_S = 0.05
SPAWN_S = 30.0
CLOCK_S = 2.0  # a clock set right shifts creation times
TROUBLE = re.compile(r"error|exception|fatal|fail|denied|no such|in use", re.IGNORECASE)


class State(StrEnum):
    """What is known of a server: `DIED` ended unasked, `STOPPED` was ended by a command or never started."""

    RUNNING = "running"
    STOPPED = "stopped"
    DIED = "died"


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be confused with a later one of the same id.

    Attributes:
        pid: its id.
        created: moment of its start by the clock as it was then, seconds since 1970.
        start: see `guard.start`; where it is empty, as in records of older versions, `created` decides.
    """

    pid: int
    created: float
    start: str = ""

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            if self.start:
                same = guard.start(self.pid) == self.start
            else:
                same = abs(process.create_time() - self.created) < CLOCK_S
            return same and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False

    @property
    def age_s(self) -> float:
        """Time since its start, seconds, whatever the clock was set to since."""
        if sys.platform == "linux" and self.start:
            ticks = int(self.start.split()[-1])
            return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
        return max(0.0, time.time() - self.created)

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Sends a signal to it, or to its process group, if it lives."""
        if self.alive():
            with suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(self.pid, number)


@dataclass(frozen=True, slots=True)
class Record:
    """Who runs; `server` is None when it could not even be started, `exit` its status once it ended unasked."""

    guard: Identity
    server: Identity | None
    exit: int | None


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server.

    Attributes:
        env: added to the environment of this process.
        grace_s: time between TERM and KILL.
    """

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 15.0


class Process:
    """The process of one server; every method may be called from any command on this machine.

    Args:
        folder: where its record and its log are.
        name: how messages call it.
        noise: pattern of log lines that are never the reason for a failure.
    """

    def __init__(self, folder: Path, name: str, noise: str = "(?!)") -> None:
        self._name = name
        self._noise = re.compile(noise)
        self._folder = folder
        self._record = folder / "process.json"
        self._keep = folder / "keep"
        self.log = folder / f"{name.lower()}.log"

    def record(self) -> Record | None:
        """The last record; None when stopped."""
        try:
            content = json.loads(self._record.read_text(encoding="utf-8"))
            server = content["server"]
            return Record(Identity(**content["guard"]), Identity(**server) if server else None, content["exit"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def state(self) -> State:
        """Running, stopped or died; a server without its watchdog is on its way out."""
        record = self.record()
        if record is None:
            return State.STOPPED
        running = record.server is not None and record.server.alive() and record.guard.alive()
        return State.RUNNING if running else State.DIED

    @property
    def detached(self) -> bool:
        """Whether the server outlives the process that started it."""
        return self._keep.exists()

    def detach(self) -> None:
        """Lets the server outlive its owner from now on."""
        self._keep.touch(mode=0o600)

    def start(self, launch: Launch, *, detached: bool) -> None:
        """Starts the server; call `wait_ready` next.

        Raises:
            EmbeddedServerError: its command could not be run.
        """
        self.stop()  # what a crash left behind
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if detached:
            self.detach()
        if self.log.exists():
            self.log.replace(self.log.with_name(self.log.name + ".1"))
        watchdog = self._spawn(launch)
        deadline = time.monotonic() + SPAWN_S
        while (record := self.record()) is None:
            if time.monotonic() > deadline or not _is_child_alive(watchdog):
                with suppress(ProcessLookupError):
                    os.kill(watchdog, signal.SIGKILL)
                raise self._failure("could not be started")
            time.sleep(POLL_S)
        if record.server is None:
            raise self._failure("could not be started")

    def wait_ready(
        self, answers: Callable[[], bool], *, timeout_s: float, cancelled: threading.Event | None = None
    ) -> None:
        """Returns once `answers` says so.

        Raises:
            EmbeddedServerError: the server died, took longer than `timeout_s`, or `cancelled` was set.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if self.state() is not State.RUNNING:
                raise self._failure("died while starting")
            if answers():
                return
            if cancelled is not None and cancelled.is_set():
                raise EmbeddedServerError(f"the start of {self._name} was broken off")
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready after {timeout_s:.0f} s")
            time.sleep(POLL_S)

    def stop(self, *, grace_s: float = 15.0) -> None:
        """TERM, wait, KILL; returns when nothing is left of the server. Nothing happens when it is stopped."""
        record = self.record()
        if record is not None:
            record.guard.signal(signal.SIGTERM)
            if not _gone(record.guard, grace_s + 10.0):
                record.guard.signal(signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(record.guard.pid, os.WNOHANG)
            if record.server is not None and record.server.alive():
                record.server.signal(signal.SIGTERM)
                record.server.signal(signal.SIGCONT)
                if not _gone(record.server, grace_s):
                    record.server.signal(signal.SIGKILL, group=True)
                    _gone(record.server, grace_s)
            self._record.unlink(missing_ok=True)
        self._keep.unlink(missing_ok=True)

    def _spawn(self, launch: Launch) -> int:
        spec: dict[str, Any] = {
            "record": str(self._record),
            "keep": str(self._keep),
            "owner": os.getpid(),
            "grace_s": launch.grace_s,
            "command": list(launch.command),
            "env": dict(launch.env),
            "cwd": str(self._folder),
        }
        file = self._folder / "launch.json"
        guard.write(file, spec)
        # Neither Popen nor multiprocessing: a detached server has no object here that would wait for it. The file
        # is run by its path, without this folder on the module path (-P), so that it works from any directory.
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", str(Path(guard.__file__)), str(file)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )

    def _failure(self, what: str) -> EmbeddedServerError:
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = [line.strip() for line in text.splitlines() if line.strip() and not self._noise.search(line)]
        reason = next((line for line in reversed(lines) if TROUBLE.search(line)), lines[-1] if lines else "empty log")
        return EmbeddedServerError(f"{self._name} {what}: {reason[:300]}", hint=f"its log tells more: {self.log}")


def _gone(process: Identity, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _is_child_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
