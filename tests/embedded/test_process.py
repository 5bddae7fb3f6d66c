from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from stream.embedded import guard
from stream.embedded.process import Identity, Launch, Process, State
from stream.errors import EmbeddedServerError

from .conftest import Owner

SLEEP = Launch((sys.executable, "-c", "import time; time.sleep(60)"), grace_s=1.0)
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = (
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print(child.pid, flush=True); time.sleep(60)"
)
Gone = Callable[..., bool]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "toy", "Toy")
    yield process
    process.stop(grace_s=1.0)


def running(process: Process) -> tuple[int, int]:
    record = process.record()
    assert record is not None
    assert record.server is not None
    return record.guard.pid, record.server.pid


def logged(process: Process) -> str:
    deadline = time.monotonic() + 10
    while not (text := process.log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return text


def owning(folder: Path, *, detached: bool = False) -> str:
    return (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from stream.embedded.process import Launch, Process\n"
        f"process = Process(Path({str(folder)!r}), 'Toy')\n"
        "launch = Launch((sys.executable, '-c', 'import time; time.sleep(60)'))\n"
        # From a thread that ends: what is bound to the thread instead of the process would stop the server here.
        f"thread = threading.Thread(target=process.start, args=(launch,), kwargs={{'detached': {detached}}})\n"
        "thread.start(); thread.join()\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )


def test_another_command_finds_and_stops_it(process: Process, tmp_path: Path, gone: Gone) -> None:
    assert process.state() is State.STOPPED
    process.start(SLEEP, detached=False)
    other = Process(tmp_path / "toy", "Toy")
    pids = running(other)
    assert other.state() is State.RUNNING
    other.stop()
    assert gone(*pids, within=0.5)
    assert process.state() is State.STOPPED
    process.stop()  # twice does no harm


def test_a_server_that_ignores_term_is_killed(process: Process, gone: Gone) -> None:
    process.start(Launch((sys.executable, "-c", STUBBORN), grace_s=0.3), detached=False)
    logged(process)
    pids = running(process)
    process.stop()
    assert gone(*pids, within=0.5)


def test_a_paused_server_is_stopped(process: Process, gone: Gone) -> None:
    process.start(SLEEP, detached=False)
    _, server = running(process)
    os.kill(server, signal.SIGSTOP)
    assert process.state() is State.RUNNING
    process.stop()
    assert gone(server, within=0.5)


def test_a_killed_server_died_leaves_no_children_and_starts_again(process: Process, gone: Gone) -> None:
    process.start(Launch((sys.executable, "-c", FAMILY)), detached=False)
    child = int(logged(process))
    guard, server = running(process)
    os.kill(server, signal.SIGKILL)
    assert gone(guard, server, child)
    assert process.state() is State.DIED
    record = process.record()
    assert record is not None
    assert record.exit == -signal.SIGKILL
    process.start(SLEEP, detached=False)
    assert process.state() is State.RUNNING


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_attached_it_ends_with_its_owner(
    process: Process, tmp_path: Path, owner: Owner, gone: Gone, number: signal.Signals
) -> None:
    parent = owner(owning(tmp_path / "toy"))
    pids = running(process)
    assert not gone(*pids, within=0.4)
    parent.send_signal(number)
    assert gone(*pids)
    assert process.state() is State.STOPPED


def test_detached_it_outlives_its_owner(process: Process, tmp_path: Path, owner: Owner, gone: Gone) -> None:
    parent = owner(owning(tmp_path / "toy", detached=True))
    parent.kill()
    parent.wait()
    assert not gone(running(process)[1], within=0.5)
    assert process.state() is State.RUNNING


def test_an_attached_server_can_be_detached(process: Process, tmp_path: Path, owner: Owner, gone: Gone) -> None:
    parent = owner(owning(tmp_path / "toy"))
    process.detach()
    parent.kill()
    parent.wait()
    assert not gone(running(process)[1], within=0.5)
    process.stop()
    assert not process.detached


def test_a_server_ends_with_its_watchdog(process: Process, gone: Gone) -> None:
    process.start(SLEEP, detached=True)
    guard, server = running(process)
    os.kill(guard, signal.SIGKILL)
    assert gone(guard, server)
    assert process.state() is State.DIED


ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the ticks of a start")


def rewritten(folder: Path, **changed: object) -> None:
    """The record as it would be, had its processes been written down otherwise; None takes a field away."""
    file = folder / "process.json"
    content = json.loads(file.read_text())
    for who in ("guard", "server"):
        content[who] = {name: value for name, value in (content[who] | changed).items() if value is not None}
    file.write_text(json.dumps(content))


@ON_LINUX
def test_a_clock_that_was_set_loses_no_server(process: Process, tmp_path: Path, gone: Gone) -> None:
    process.start(SLEEP, detached=False)
    pids, record = running(process), process.record()
    assert record is not None and record.server is not None
    age = record.server.age_s
    rewritten(tmp_path / "toy", created=record.server.created - 3600)
    assert process.state() is State.RUNNING
    after = process.record()
    assert after is not None and after.server is not None and age <= after.server.age_s < 3600
    process.stop()
    assert gone(*pids, within=0.5)


def test_a_record_of_an_older_version_is_read(process: Process, tmp_path: Path, gone: Gone) -> None:
    process.start(SLEEP, detached=False)
    pids = running(process)
    rewritten(tmp_path / "toy", start=None)
    assert process.state() is State.RUNNING
    process.stop()
    assert gone(*pids, within=0.5)


@ON_LINUX
def test_a_start_is_read_behind_any_name(tmp_path: Path) -> None:
    named = tmp_path / "a) S 1 (b"  # what a process may be called
    named.symlink_to(shutil.which("sleep") or "")
    per_s = os.sysconf("SC_CLK_TCK")
    before = int(time.clock_gettime(time.CLOCK_BOOTTIME) * per_s)
    with subprocess.Popen([named, "60"]) as child:
        try:
            ticks = int(guard.start(child.pid).split()[-1])
            assert before - 1 <= ticks <= time.clock_gettime(time.CLOCK_BOOTTIME) * per_s + 1
            assert Identity(**guard.identity(child.pid)).alive()  # type: ignore[arg-type]
        finally:
            child.kill()
    with pytest.raises(psutil.NoSuchProcess):
        guard.start(child.pid)


@pytest.mark.parametrize("start", ["", pytest.param("another-boot 1", marks=ON_LINUX)])
def test_a_pid_in_other_hands_is_neither_running_nor_signalled(process: Process, tmp_path: Path, start: str) -> None:
    mine = {"pid": os.getpid(), "created": psutil.Process().create_time() - (0 if start else 3600), "start": start}
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "process.json").write_text(json.dumps({"guard": mine, "server": mine, "exit": None}))
    assert process.state() is State.DIED
    process.stop()  # this test would end here
    assert process.state() is State.STOPPED


@pytest.mark.parametrize("content", ["", "{", "[]", '{"guard": 1}'])
def test_a_broken_record_counts_as_stopped(process: Process, tmp_path: Path, content: str) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "process.json").write_text(content)
    assert process.state() is State.STOPPED


def test_a_command_that_is_missing(process: Process, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"could not be started: error: .*absent does not start") as failure:
        process.start(Launch((str(tmp_path / "absent"),)), detached=False)
    assert str(process.log) in failure.value.hint


def test_death_while_starting_tells_the_last_error(tmp_path: Path) -> None:
    process = Process(tmp_path / "toy", "Toy", noise="NVML")
    script = "print('Error: the port is in use'); print('Error: NVML'); print('bye')"
    process.start(Launch((sys.executable, "-c", script)), detached=False)
    with pytest.raises(EmbeddedServerError, match=r"Toy died while starting: Error: the port is in use$") as failure:
        process.wait_ready(lambda: False, timeout_s=10)
    assert str(process.log) in failure.value.hint
    process.stop()


def test_waiting_ends_at_the_deadline_or_on_request(process: Process) -> None:
    process.start(SLEEP, detached=False)
    with pytest.raises(EmbeddedServerError, match="not ready after 0 s"):
        process.wait_ready(lambda: False, timeout_s=0.1)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(EmbeddedServerError, match="broken off"):
        process.wait_ready(lambda: False, timeout_s=10, cancelled=cancelled)
    process.wait_ready(lambda: True, timeout_s=10)


def test_the_log_of_the_run_before_is_kept(process: Process) -> None:
    for word in ("first", "second"):
        process.start(
            Launch((sys.executable, "-c", f"print('{word}', flush=True); import time; time.sleep(9)")), detached=False
        )
        assert logged(process) == f"{word}\n"
        process.stop()
    assert process.log.with_name("toy.log.1").read_text() == "first\n"
