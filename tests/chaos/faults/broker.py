"""Faults of a broker."""

from __future__ import annotations

import asyncio
import os
import signal

from chaos.arena import Arena
from chaos.faults.fault import Fault, known
from stream.embedded.kafka import KafkaServer
from stream.embedded.process import State
from stream.embedded.server import Server


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

    async def strike(self, arena: Arena) -> None:
        self._broker = _one(arena)
        await killed(self._broker)
        arena.count("broker kills")

    async def heal(self, arena: Arena) -> None:
        await asyncio.to_thread(self._broker.start)


@known("pause-broker")
class PauseBroker(Fault):
    """SIGSTOP: connections stay, nothing answers."""

    async def strike(self, arena: Arena) -> None:
        pid = _one(arena).status().pid
        assert pid is not None
        self._pid = pid
        os.kill(pid, signal.SIGSTOP)
        arena.count("broker pauses")

    async def heal(self, arena: Arena) -> None:
        os.kill(self._pid, signal.SIGCONT)
