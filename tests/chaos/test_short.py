"""The short form of the suites, with the tests; `make chaos` runs the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.arena import Arena, Servers
from chaos.suite import Strike, Suite, play
from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.settings import Settings


@pytest.fixture
def own_kafka(installed: Path, tmp_path: Path) -> Iterator[KafkaServer]:
    with KafkaServer(Settings(home=tmp_path / "kafka")) as server:
        yield server


def killed_at(point: str) -> Strike:
    return Strike("kill-worker-at", options={"point": point})


@pytest.mark.servers
@pytest.mark.timeout(900)
async def test_nothing_is_lost_and_nothing_doubled_whoever_dies_or_sleeps(
    own_kafka: KafkaServer, triton_server: TritonServer, tmp_path: Path
) -> None:
    """Six workers killed, three of them in the midst of a transaction; one asleep past its session; the broker killed."""
    strikes = [
        killed_at("mid-produce"), Strike("pause-worker", 9.0), killed_at("after-offsets"), Strike("kill-broker", 1.0),
        killed_at("after-commit"),
    ]  # fmt: skip
    suite = Suite("short", "a little of everything", 800, strikes, workers=2, rate=40, poison=0.02)
    async with Arena(Servers([own_kafka], triton_server), tmp_path / "workers") as arena:
        outcome = await play(suite, arena)
    assert outcome.sound, (outcome.shortcomings, str(outcome.verdict))
    assert not outcome.faults, outcome.faults
    assert outcome.verdict.records >= suite.certificates
    struck = dict(outcome.figures)
    assert (struck["kills"], struck["pauses"], struck["broker kills"]) == (6, 1, 1)
