"""Faults of one worker process: the others must take over what it held."""

from __future__ import annotations

import signal

from chaos.arena import Arena
from chaos.faults.fault import Fault, known
from chaos.fleet import Member


async def _one(arena: Arena) -> Member:
    """A worker that serves, by chance."""
    await arena.until(lambda: bool(arena.fleet.serving), "a worker that serves")
    return arena.chance.choice(arena.fleet.serving)


@known("kill-worker")
class KillWorker(Fault):
    """SIGKILL: no last word, no open transaction closed."""

    figure = "kills"

    async def strike(self, arena: Arena) -> None:
        member = await _one(arena)
        member.doomed = True
        member.signal(signal.SIGKILL)
        await member.ended()
        arena.count("kills")


@known("kill-worker-at")
class KillWorkerAt(KillWorker):
    """SIGKILL to a worker; the one in its place kills itself at a named point, the so-maniest time it gets there."""

    def __init__(self, point: str, times: int = 2) -> None:
        self._trap, self.figure = f"{point}:kill:{times}", f"kills at {point}"

    async def strike(self, arena: Arena) -> None:
        fleet = arena.fleet
        before, trapped = len(fleet.members), fleet.trapped
        fleet.traps.append(self._trap)
        await super().strike(arena)
        await arena.until(lambda: len(fleet.members) > before, "a worker with a trap")
        await arena.until(lambda: fleet.trapped > trapped, f"a worker to get to {self._trap}")
        arena.count("kills")
        self.count(arena)


@known("pause-worker")
class PauseWorker(Fault):
    """SIGSTOP, past the time after which its group gives it up; when it wakes it believes that nothing has happened."""

    figure = "pauses"

    async def strike(self, arena: Arena) -> None:
        self._member = await _one(arena)
        self._member.paused = True
        self._member.signal(signal.SIGSTOP)
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        self._member.signal(signal.SIGCONT)
        self._member.paused = False


@known("pause-worker-at")
class PauseWorkerAt(KillWorker):
    """SIGSTOP that a worker gives itself at a named point: it wakes in the midst of a transaction that was taken over."""

    def __init__(self, point: str, times: int = 2) -> None:
        self._trap, self.figure = f"{point}:pause:{times}", f"pauses at {point}"

    async def strike(self, arena: Arena) -> None:
        fleet = arena.fleet
        before = len(fleet.members)
        fleet.traps.append(self._trap)
        await super().strike(arena)
        await arena.until(lambda: any(m.stopped for m in fleet.members[before:]), f"a worker to get to {self._trap}")
        self._member = next(m for m in fleet.members[before:] if m.stopped)
        self._member.paused = True
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        self._member.signal(signal.SIGCONT)
        self._member.paused = False
