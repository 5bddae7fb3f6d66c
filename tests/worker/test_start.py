"""A worker that begins while its broker is away waits for it, as it does later."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError
from chaos.proxy import Proxy
from shared import LONG
from structlog.testing import capture_logs

from stream.embedded.kafka import KafkaServer
from stream.embedded.ports import HOST
from stream.embedded.triton import TritonServer
from stream.worker import faust_app
from worker.behaviour import nothing_lost
from worker.certificates import samples
from worker.worlds import RealWorld


class Early(RealWorld):
    """The worker knows its broker by an address at which nobody listens yet."""

    def __init__(self, kafka: KafkaServer, triton: TritonServer, folder: Path) -> None:
        with socket.socket() as found:
            found.bind((HOST, 0))
            self.proxy = Proxy(found.getsockname()[1])
        self.proxy.target = kafka.ports["client"]
        super().__init__(kafka, triton, folder, CAUSA_KAFKA__BOOTSTRAP=self.proxy.address)


@pytest.fixture
async def world(kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path) -> AsyncIterator[Early]:
    world = Early(kafka_server, triton_server, tmp_path)
    try:
        await world.open()
        yield world
    finally:
        await world.close()


@pytest.mark.servers
@pytest.mark.skipif(not LONG, reason="the short suite of faults meets it by chance: make chaos")
async def test_a_broker_that_comes_late_is_waited_for(world: Early) -> None:
    good = samples()[:20]
    await world.publish(world.record(c) for c in good)
    await world.start()
    async with asyncio.timeout(60):
        while "held: a server is asked in vain" not in world.log():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.1)
    await world.proxy.start()
    try:
        await world.settled()
        nothing_lost(world, good, duplicates=False)
        assert await world.terminate() == 0
    finally:
        await world.proxy.stop()


async def test_faust_waits_for_a_broker_that_goes_between_two_of_its_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faust_app, "RETRY_S", 0.001)
    tries: list[int] = []

    async def start() -> None:
        tries.append(len(tries))
        if len(tries) < 4:
            raise KafkaConnectionError("nobody listens")

    with capture_logs() as logs:
        await faust_app._started(start)
    assert tries == [0, 1, 2, 3]
    assert [(one["code"], one["reason"]) for one in logs] == [("BROKER_UNAVAILABLE", "KafkaConnectionError")]
