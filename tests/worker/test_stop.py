"""A worker that is told to stop is gone within 20 s, whatever hangs, and nothing that it says on the way leaks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from shared import LONG

from stream.embedded.kafka import KafkaServer
from stream.embedded.triton import TritonServer
from stream.settings import REPOSITORY, Settings
from worker.behaviour import nothing_lost, secrets_kept
from worker.certificates import MARK, samples
from worker.worlds import RealWorld


class Hanging(RealWorld):
    """With a broker of its own, which can be made to hang: its connections stay open and nothing answers."""

    def __init__(self, kafka: KafkaServer, triton: TritonServer, folder: Path) -> None:
        super().__init__(kafka, triton, folder)
        pid = kafka.status().pid
        assert pid is not None
        self._broker = pid

    def hang(self) -> None:
        os.kill(self._broker, signal.SIGSTOP)

    def wake(self) -> None:
        os.kill(self._broker, signal.SIGCONT)

    async def said(self, event: str) -> None:
        async with asyncio.timeout(30):
            while event not in self.log():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)

    async def stopped(self) -> tuple[int, float]:
        began = time.monotonic()
        status = await self.terminate()
        return status, time.monotonic() - began


@pytest.fixture(scope="module")
def own_kafka(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with KafkaServer(Settings(home=tmp_path_factory.mktemp("kafka"))) as server:
        yield server


@pytest.fixture
async def world(own_kafka: KafkaServer, triton_server: TritonServer, tmp_path: Path) -> AsyncIterator[Hanging]:
    world = Hanging(own_kafka, triton_server, tmp_path)
    try:
        await world.open()
        yield world
    finally:
        world.wake()
        await world.close()


@pytest.mark.servers
@pytest.mark.skipif(not LONG, reason="it waits for all that a worker waits for: make chaos")
async def test_a_worker_in_full_flight_is_gone_within_20_seconds_of_the_signal(world: Hanging) -> None:
    good = [c for turn in ("", "~2") for c in samples(turn)]
    await world.publish(world.record(c) for c in good)
    await world.start()
    await world.until(lambda w: len(w.results["coded"]) >= 50)
    world.hang()
    status, seconds = await world.stopped()
    assert seconds < 20
    assert status == 1
    assert "worker stopped" in world.events()  # each of its lines is JSON of ours: nothing passed the log by
    secrets_kept(world, good)

    world.wake()
    await world.start()
    await world.settled()
    nothing_lost(world, good, duplicates=False)
    assert await world.terminate() == 0


@pytest.mark.servers
async def test_an_idle_worker_does_not_wait_for_a_broker_that_hangs(world: Hanging) -> None:
    await world.start()
    await world.said("worker started")
    world.hang()
    status, seconds = await world.stopped()
    assert (status, world.events()[-1]) == (0, "worker stopped")
    assert seconds < 10


@pytest.mark.servers
async def test_a_worker_that_cannot_start_yet_goes_at_once(world: Hanging) -> None:
    world.hang()
    await world.start()
    await world.said("worker starting")
    status, seconds = await world.stopped()
    assert (status, world.events()[-1]) == (0, "worker stopped")
    assert seconds < 5


DYING = f"""
import asyncio, sys, threading
from stream import log
log.configure("info", "json")
def die():
    raise ValueError("{MARK}")
class Dying:
    def __del__(self):
        die()
thread = threading.Thread(target=die)
thread.start()
thread.join()
Dying()
from mode.threads import ServiceThread
from stream.worker import app
class Crashing(ServiceThread):
    async def on_thread_started(self):
        die()
async def crash():
    await Crashing().start()
try:
    asyncio.run(crash())
except ValueError:
    pass
die()
"""


def test_threads_destructors_and_the_interpreter_die_without_their_message() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DYING], capture_output=True, text=True, check=False, timeout=60, cwd=REPOSITORY,
        env={k: v for k, v in os.environ.items() if k != "CAUSA_DEBUG"},
    )  # fmt: skip
    assert MARK not in ended.stdout + ended.stderr
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    told = {line["event"] for line in said if line.get("exception_type") == "ValueError"}
    assert told >= {"a thread died", "an exception was ignored", "a thread of Faust died", "the process died"}
    assert ended.returncode == 1
    assert ended.stdout == ""


LEAVING = """
import asyncio, sys, threading, time
from stream.worker.app import leave
threading.Thread(target=time.sleep, args=(60,)).start()
async def work():
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
    print("last words")
    leave(3)
asyncio.run(work())
"""


def test_leaving_waits_for_no_thread_and_writes_out_what_was_said() -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, check=False, timeout=20)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "last words\n", "")


BLOCKED = """
import asyncio, time
from types import SimpleNamespace
from stream import log
from stream.worker import app
log.configure("info", "json")
app.LAST_RESORT_S = 0.2
async def nothing():
    pass
async def block():
    time.sleep(60)  # as Faust does, which joins its threads in the loop
worker = app.Worker.__new__(app.Worker)
worker._app = SimpleNamespace(stop=block)
worker._courier = SimpleNamespace(stop=nothing)
worker._trust = worker._observer = SimpleNamespace(close=nothing)
worker._breakers = (SimpleNamespace(close=nothing),)
asyncio.run(worker._close(1))
"""


def test_a_loop_that_is_blocked_keeps_nobody() -> None:
    ended = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False, timeout=20)
    assert ended.returncode == 1
    assert [json.loads(line)["event"] for line in ended.stderr.splitlines()] == [
        "a connection did not close in time", "worker stopped",
    ]  # fmt: skip


def test_the_promise_holds_by_its_parts() -> None:
    from stream.worker import app

    assert Settings().worker.stop_s + app.LAST_RESORT_S + app.BLOCKED_S < 20
