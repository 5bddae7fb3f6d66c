"""Faults between the workers and their broker, which is itself well."""

from __future__ import annotations

from chaos.arena import Arena
from chaos.faults.fault import Fault, known
from chaos.proxy import Proxy


def _proxy(arena: Arena) -> Proxy:
    assert arena.servers.proxy is not None, "this suite needs a proxy"
    return arena.servers.proxy


@known("slow-connection")
class SlowConnection(Fault):
    """Every piece comes late, each way."""

    figure = "slow spells"

    def __init__(self, latency_s: float = 0.3) -> None:
        self._latency_s = latency_s

    async def strike(self, arena: Arena) -> None:
        _proxy(arena).latency_s = self._latency_s
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        _proxy(arena).latency_s = 0.0


@known("silent-connection")
class SilentConnection(Fault):
    """Nothing passes; what was sent meanwhile arrives at last, and late."""

    figure = "silences"

    async def strike(self, arena: Arena) -> None:
        _proxy(arena).silent = True
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        _proxy(arena).silent = False


@known("reset-connections")
class ResetConnections(Fault):
    """Every connection is reset in whatever it was doing, again and again until healed; new ones are reset too."""

    figure = "connections reset"

    async def strike(self, arena: Arena) -> None:
        proxy = _proxy(arena)
        proxy.closed = True
        self.count(arena, proxy.reset())

    async def heal(self, arena: Arena) -> None:
        _proxy(arena).closed = False
