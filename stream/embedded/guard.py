"""The watchdog beside each server: ``python guard.py SPEC.json``, standard library and psutil only.

It leads a session of its own, so that Ctrl-C in a terminal does not reach the server before its owner decides. It
starts the server, writes who runs into the record, and waits. It stops the server when it is told to (SIGTERM), or
when its owner died and the file `keep` is absent ("attached"); with `keep` the server outlives the owner
("detached"). Should the watchdog itself be killed, the kernel passes a SIGTERM on to the server.

The record is left behind when the server ended unasked (it died), and removed after a stop that was asked for.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

PR_SET_PDEATHSIG = 1
POLL_S = 0.1


def start(pid: int) -> str:
    """Boot of the machine and clock ticks from it to the start of a process; empty where there is no `/proc` (Linux).

    Unlike a creation time it stays what it is when the clock is set: proc_pid_stat(5), field 22.

    Raises:
        psutil.NoSuchProcess: it has ended.
    """
    if sys.platform != "linux":
        return ""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # a sandbox may hide it
        return ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    # The second field is the command's name in brackets, and may itself hold blanks and brackets.
    return f"{boot} {stat.rpartition(')')[2].split()[22 - 3]}"


def identity(pid: int) -> dict[str, float | str]:
    """Process id with its start: the pair is never used again, whereas the id alone is."""
    return {"pid": pid, "created": psutil.Process(pid).create_time(), "start": start(pid)}


def write(path: Path, content: dict[str, Any]) -> None:
    """Replaces `path` in one step, so that a reader never sees half a record."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(content), encoding="utf-8")
    fresh.replace(path)


def bound_to_me() -> Callable[[], None]:
    """What the child runs before exec: ask the kernel for a SIGTERM when this process dies."""
    me = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def before_exec() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != me:  # died between fork and prctl
            os._exit(1)

    return before_exec


def stop(server: "subprocess.Popen[bytes]", grace_s: float) -> None:
    """TERM to the server alone, which ends its own children in order; KILL to the whole group after `grace_s`."""
    server.terminate()
    server.send_signal(signal.SIGCONT)  # a paused server could not act on the TERM
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(grace_s)
    sweep(server)


def sweep(server: "subprocess.Popen[bytes]") -> None:
    """Ends what the server left in its group, such as Triton's model processes after a crash."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def watch(spec: dict[str, Any]) -> int:
    """Runs the server that `spec` describes until it ends; its exit status."""
    record, keep, owner = Path(spec["record"]), Path(spec["keep"]), int(spec["owner"])
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: asked.append(received))
    os.umask(0o077)  # data and logs are for this user only
    content: dict[str, Any] = {"guard": identity(os.getpid()), "server": None, "exit": None}
    try:
        server = subprocess.Popen(
            spec["command"],
            env=os.environ | spec["env"],
            cwd=spec["cwd"],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=bound_to_me(),  # noqa: PLW1509  (this process has one thread)
        )
    except OSError as error:
        sys.stderr.write(f"error: {spec['command'][0]} does not start: {error.strerror}\n")
        write(record, content | {"exit": 127})
        return 127
    write(record, content | {"server": identity(server.pid)})
    while server.poll() is None:
        orphan = os.getppid() != owner and not keep.exists()
        if asked or orphan:
            stop(server, float(spec["grace_s"]))
            record.unlink(missing_ok=True)
            return 0
        time.sleep(POLL_S)
    sweep(server)
    write(record, content | {"exit": server.returncode})
    return 1


if __name__ == "__main__":
    sys.exit(watch(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
