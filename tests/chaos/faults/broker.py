"""Faults of a broker, and of the disk below it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress

from chaos.arena import Arena
from chaos.faults.fault import Fault, known
from stream.embedded.kafka import KafkaServer
from stream.embedded.process import State
from stream.embedded.server import Server

DEATH_S = 20.0


async def killed(server: Server) -> None:
    """SIGKILL to a server; returns when its watchdog knows."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.status().state is State.RUNNING:  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.05)


def _one(arena: Arena) -> KafkaServer:
    """A broker, by chance."""
    return arena.chance.choice([b for b in arena.servers.kafka if b.status().state is State.RUNNING])


@known("kill-broker")
class KillBroker(Fault):
    """SIGKILL, and a start on the same data. Of three brokers one is taken that leads partitions: all of them do."""

    figure = "broker kills"

    async def strike(self, arena: Arena) -> None:
        self._broker = _one(arena)
        await killed(self._broker)
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        await asyncio.to_thread(self._broker.start)


@known("fill-disk")
class FillDisk(Fault):
    """No byte is left on the broker's file system: it dies of its next write, and starts again once there is room."""

    figure = "brokers that died of it"

    async def strike(self, arena: Arena) -> None:
        self._broker = _one(arena)
        self._ballast = self._broker.data / "ballast"
        assert self._broker.data.is_mount(), "whatever else lies on this disk would be hit too"
        arena.count("full disks")
        await asyncio.to_thread(self._fill)

    def _fill(self) -> None:
        with self._ballast.open("wb") as file, suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(max(4096, shutil.disk_usage(self._broker.data).free)))

    async def heal(self, arena: Arena) -> None:
        with suppress(TimeoutError):  # its next write may be a moment away
            async with asyncio.timeout(DEATH_S):
                while self._broker.status().state is State.RUNNING:  # noqa: ASYNC110 - nothing tells when
                    await asyncio.sleep(0.05)
        died = self._broker.status().state is not State.RUNNING
        self.count(arena, int(died))
        self._ballast.unlink()
        if died:
            await asyncio.to_thread(self._broker.start)


@known("pause-broker")
class PauseBroker(Fault):
    """SIGSTOP: connections stay, nothing answers."""

    figure = "broker pauses"

    async def strike(self, arena: Arena) -> None:
        pid = _one(arena).status().pid
        assert pid is not None
        self._pid = pid
        os.kill(pid, signal.SIGSTOP)
        self.count(arena)

    async def heal(self, arena: Arena) -> None:
        os.kill(self._pid, signal.SIGCONT)
