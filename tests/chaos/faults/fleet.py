"""Faults of all workers, one after the other: workers come and go, and the group is never at rest."""

from __future__ import annotations

import signal

from chaos.arena import Arena
from chaos.faults.fault import Fault, known

PROMISE_S = 20
"""A worker is gone so many seconds after SIGTERM (`causa worker --help`)."""


@known("roll-workers")
class RollWorkers(Fault):
    """Every worker is told to stop, the next one once the one before is replaced; each must leave with status 0."""

    figure = "restarts"

    async def strike(self, arena: Arena) -> None:
        for member in arena.fleet.serving:
            member.doomed = True
            member.signal(signal.SIGTERM)
            status = await member.ended()
            self.count(arena)
            assert status == 0, (status, member.log.read_text(encoding="utf-8")[-2000:])
            await arena.until(lambda: len(arena.fleet.serving) >= arena.fleet.number, "the next worker to serve")


@known("add-worker")
class AddWorker(Fault):
    """So many more join together, and leave again when healed: two rebalances for each."""

    figure = "rebalances"

    def __init__(self, more: int = 1) -> None:
        self._more = more

    async def strike(self, arena: Arena) -> None:
        self._members = [arena.fleet.start() for _ in range(self._more)]
        await arena.until(lambda: all(m.serving or not m.alive for m in self._members), "more workers to join")
        self.count(arena, 2 * sum(m.serving for m in self._members))

    async def heal(self, arena: Arena) -> None:
        for member in self._members:
            member.doomed = True
            member.signal(signal.SIGTERM)
        for member in self._members:
            await member.ended()


@known("stop-in-silence")
class StopInSilence(Fault):
    """The broker falls silent, and all workers are told to stop: each must be gone as promised."""

    figure = "stops in silence"

    async def strike(self, arena: Arena) -> None:
        proxy = arena.servers.proxy
        assert proxy is not None
        proxy.silent = True
        members = arena.fleet.serving
        for member in members:
            member.doomed = True
            member.signal(signal.SIGTERM)
        for member in members:
            await member.ended()
            log = member.log.read_text(encoding="utf-8")
            assert "worker stopped" in log, log[-2000:]
            self.count(arena)

    async def heal(self, arena: Arena) -> None:
        assert arena.servers.proxy is not None
        arena.servers.proxy.silent = False
