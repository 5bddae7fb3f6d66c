"""`causa demo` on the real servers, in a process of its own: to its end, broken off, and killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from shared import LONG

from stream.settings import REPOSITORY


class Demo:
    """A running demonstration with a home of its own, and every process that it ever had."""

    def __init__(self, home: Path) -> None:
        self.home, self._out = home, home.with_name("demo.txt")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CAUSA_") or k == "CAUSA_EMBEDDED_CACHE"}
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli.main", "demo"], cwd=REPOSITORY, stdout=out, stderr=out,
                env={**kept, "CAUSA_HOME": str(home), "COLUMNS": "160", "TERM": "dumb"},
            )  # fmt: skip
        self.family: dict[int, psutil.Process] = {}

    def said(self) -> str:
        return self._out.read_text(encoding="utf-8")

    def worker_said(self) -> str:
        log = self.home / "demo-worker.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def worker(self) -> psutil.Process:
        return next(p for p in psutil.Process(self.process.pid).children() if "worker" in p.cmdline())

    def until(self, enough: Callable[[], bool], within: float = 120.0) -> None:
        deadline = time.monotonic() + within
        while not enough():
            self.look()
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
        self.look()

    def look(self) -> None:
        try:
            for found in psutil.Process(self.process.pid).children(recursive=True):
                self.family.setdefault(found.pid, found)
        except psutil.NoSuchProcess:
            pass

    def coding(self) -> bool:
        return "worker started" in self.worker_said()

    def left(self, within: float = 25.0) -> list[str]:
        """Command lines of what still runs after some seconds."""
        _, alive = psutil.wait_procs(list(self.family.values()), timeout=within)
        return [" ".join(p.cmdline())[:200] for p in alive if p.status() != psutil.STATUS_ZOMBIE]


Start = Callable[[], Demo]


@pytest.fixture
def start(installed: Path, tmp_path: Path) -> Iterator[Start]:
    demos: list[Demo] = []

    def begin() -> Demo:
        demos.append(Demo(tmp_path / "home"))
        return demos[-1]

    yield begin
    for demo in demos:
        demo.process.kill()
        demo.process.wait()
        for process in demo.family.values():
            if process.is_running():
                process.kill()


NOISE = re.compile(r"Traceback|not found|ConsumerStopped|destroyed|never retrieved|NotLeader|INTERNAL")


@pytest.mark.servers
def test_to_its_end(start: Start) -> None:
    demo = start()
    demo.until(demo.coding)
    assert demo.process.wait(120) == 0, demo.said()
    said = demo.said()
    assert "certificates through Kafka, Faust and Triton" in said
    assert len(re.findall(r"^╭─ s\d+ · ", said, re.MULTILINE)) == 5
    assert "commonest underlying causes" in said
    assert "1280 certificates coded, 0 of them twice" in said
    assert "3 dead letters (BAD_AVRO 1, EMPTY_CERTIFICATE 1, UNKNOWN_SCHEMA 1)" in said
    assert "stopping …" in said
    assert "Everything is stopped" in said
    assert not NOISE.search(said), said
    assert len(demo.family) >= 5  # the worker, two servers, their watchdogs
    assert demo.left(5.0) == []


@pytest.mark.servers
def test_broken_off(start: Start) -> None:
    demo = start()
    demo.until(demo.coding)
    time.sleep(1.0)
    demo.process.send_signal(signal.SIGINT)  # SIGTERM goes the same way
    assert demo.process.wait(40) == 130
    said = demo.said()
    assert "stopping …" in said
    assert not NOISE.search(said), said
    assert '"state": "drained"' in demo.worker_said()
    assert demo.left(5.0) == []


@pytest.mark.servers
@pytest.mark.skipif(not LONG, reason="half a minute: make chaos; the servers' own tests kill their owner too")
def test_killed(start: Start) -> None:
    demo = start()
    demo.until(demo.coding)
    demo.process.kill()
    demo.process.wait()
    assert demo.family
    assert demo.left(30.0) == []


@pytest.mark.servers
@pytest.mark.skipif(not LONG, reason="half a minute, for what a person hardly meets: make chaos")
def test_without_its_worker(start: Start) -> None:
    demo = start()
    demo.until(demo.coding)
    demo.worker().kill()
    assert demo.process.wait(40) == 2
    said = demo.said()
    assert "the worker died" in said
    assert "demo-worker.log" in said
    assert not NOISE.search(said), said
    assert demo.left(5.0) == []
