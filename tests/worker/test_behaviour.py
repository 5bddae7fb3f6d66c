from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from worker.behaviour import WorkerBehaviour, nothing_lost
from worker.certificates import samples
from worker.worlds import MemoryWorld, OnceWorld, RealWorld, World


class TestTwins(WorkerBehaviour):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        world = MemoryWorld()
        yield world
        await world.close()


class TestTwinsWithTransactions(WorkerBehaviour):
    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        world = OnceWorld()
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

    async def test_certificates_that_their_producer_took_back_are_not_coded(self, world: RealWorld) -> None:
        """What is left out of the offsets by transactions, taken back or committed, holds nobody up."""
        good = samples()
        await world.start()
        await world.publish(world.record(c) for c in good[:20])
        await world.publish_together([world.record(c) for c in good[20:60]], committed=True)
        await world.publish_together([world.record(c) for c in samples("~back")[:40]], committed=False)
        await world.publish_together([world.record(c) for c in good[60:100]], committed=True)
        await world.publish(world.record(c) for c in good[100:])  # the last record of each partition is no marker
        await world.settled()
        nothing_lost(world, good, duplicates=False)
        assert await world.terminate() == 0
