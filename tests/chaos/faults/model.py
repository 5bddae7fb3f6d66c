"""Faults of the model server: what it cannot answer now must wait, and must not become a dead letter."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx

from chaos.arena import Arena
from chaos.faults.broker import killed
from chaos.faults.fault import Fault, known

LOAD_S = 120.0


@known("kill-model")
class KillModel(Fault):
    """SIGKILL to Triton in the midst of its work, and a new start."""

    figure = "Triton kills"

    async def strike(self, arena: Arena) -> None:
        await killed(arena.servers.triton)
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        await asyncio.to_thread(arena.servers.triton.start)


@known("pause-model")
class PauseModel(Fault):
    """SIGSTOP to Triton: requests run into their deadline."""

    figure = "Triton pauses"

    async def strike(self, arena: Arena) -> None:
        pid = arena.servers.triton.status().pid
        assert pid is not None
        self._pid = pid
        os.kill(pid, signal.SIGSTOP)
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        os.kill(self._pid, signal.SIGCONT)


@known("unload-model")
class UnloadModel(Fault):
    """Triton lives, but does not serve a model that the workers need."""

    figure = "models unloaded"

    def __init__(self, model: str = "coder") -> None:
        self._model = model

    async def strike(self, arena: Arena) -> None:
        await self._repository(arena, "unload")
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        await self._repository(arena, "load")

    async def _repository(self, arena: Arena, verb: str) -> None:
        url = f"http://{arena.servers.triton.http_url}/v2/repository/models/{self._model}/{verb}"
        async with httpx.AsyncClient(timeout=LOAD_S) as client:
            (await client.post(url)).raise_for_status()


@known("nonsense")
class Nonsense(Fault):
    """The served models answer nonsense, or late: see `front.py`."""

    figure = "spells of nonsense"

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def strike(self, arena: Arena) -> None:
        assert arena.servers.answers is not None, "this suite needs models with a front"
        arena.servers.answers.write_text(self._kind, encoding="utf-8")
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        assert arena.servers.answers is not None
        arena.servers.answers.unlink()
