"""Worker processes of one group, kept at their number whatever ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_S = 0.1
LAST_WORDS = 1500


@dataclass
class Member:
    """One worker process.

    Attributes:
        log: all that it has said.
        trap: the fail point that it starts with; "" for none.
        doomed: whether its end was asked for, by a signal or by the trap.
        paused: whether it is stopped by SIGSTOP.
    """

    process: subprocess.Popen[bytes]
    log: Path
    trap: str = ""
    doomed: bool = False
    paused: bool = False

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it stands still, by its own hand or another's."""
        return self.alive and psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED

    @property
    def serving(self) -> bool:
        """Whether it has joined its group, and is not about to leave."""
        return self.alive and not self.doomed and not self.paused and self.said("worker started")

    def said(self, event: str) -> bool:
        return event in self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.kill(self.process.pid, number)

    async def ended(self) -> int:
        """Its exit status, once it has one."""
        while (status := self.process.poll()) is None:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(POLL_S)
        return status


class Fleet:
    """Starts workers, and others in the place of those that end.

    Args:
        group: their consumer group.
        variables: their environment.
        folder: where their logs go.

    Attributes:
        members: every worker so far.
        faults: last words of those that ended though nobody asked.
        traps: fail points of the workers that start next.
        trapped: how many ended at their fail point.
        number: how many there should be.
    """

    def __init__(self, group: str, variables: Mapping[str, str], folder: Path) -> None:
        self._group, self._variables, self._folder = group, dict(variables), folder
        self.members: list[Member] = []
        self.faults: list[str] = []
        self.trapped = 0
        self.traps: deque[str] = deque()
        self.number = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> Member:
        """One more process, with the next trap if there is one."""
        trap = self.traps.popleft() if self.traps else ""
        file = self._folder / f"worker-{len(self.members)}.log"
        traps = {"CAUSA_FAILPOINT": trap} if trap else {}
        with file.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli.main", "worker", "--group", self._group],
                env=self._variables | traps, cwd=self._folder, stdout=out, stderr=out,
            )  # fmt: skip
        self.members.append(Member(process, file, trap))
        return self.members[-1]

    def keep(self, number: int) -> None:
        """Have so many from now on; those that are paused or doomed count until they end."""
        self.number = number
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="fleet")

    async def _keep(self) -> None:
        told: set[int] = set()
        while True:
            for member in self.members:
                status = member.process.poll()
                if status is None or member.process.pid in told:
                    continue
                told.add(member.process.pid)
                if not member.doomed and member.trap and status == -signal.SIGKILL:
                    self.trapped += 1
                elif member.trap:
                    self.traps.append(member.trap)  # it never got there
                if not member.doomed and not (member.trap and status == -signal.SIGKILL):
                    self.faults.append(f"status {status}: {member.log.read_text(errors='replace')[-LAST_WORDS:]}")
            while len(self.alive) < self.number:
                self.start()
            await asyncio.sleep(POLL_S)

    @property
    def alive(self) -> list[Member]:
        return [member for member in self.members if member.alive]

    @property
    def serving(self) -> list[Member]:
        return [member for member in self.members if member.serving]

    def log(self) -> str:
        return "".join(member.log.read_text(encoding="utf-8", errors="replace") for member in self.members)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for member in self.alive:
            member.process.kill()
            member.process.wait()
