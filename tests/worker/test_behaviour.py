from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from worker.behaviour import WorkerBehaviour
from worker.worlds import MemoryWorld, RealWorld, World


class TestTwins(WorkerBehaviour):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        world = MemoryWorld()
        yield world
        await world.close()


@pytest.mark.servers
class TestRealServers(WorkerBehaviour):
    @pytest.fixture
    async def world(
        self, kafka_server: KafkaServer, triton_server: TritonServer, tmp_path: Path
    ) -> AsyncIterator[World]:
        world = RealWorld(kafka_server, triton_server, tmp_path)
        try:
            await world.open()
            yield world
        finally:
            await world.close()
