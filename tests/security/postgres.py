"""A PostgreSQL of the tests' own, where the machine has one installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "not-for-the-log"


def binaries() -> Path | None:
    """Where its commands are."""
    found = shutil.which("postgres")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    return Path(found).parent if found else versions[-1].parent if versions else None


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """A server on the loopback interface; its URL, for the user `causa` with `PASSWORD`."""
    where = binaries()
    if where is None:
        pytest.skip("no PostgreSQL is installed")
    # The server refuses to run as root; whoever it runs as must reach its folder.
    user = "postgres" if os.geteuid() == 0 else None
    if user and user not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("no user to run PostgreSQL as")
    folder.mkdir(mode=0o700)
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, password = folder / "data", folder / "password"
    password.write_text(PASSWORD)
    if user:
        shutil.chown(password, user)

    def run(*command: str) -> None:
        done = subprocess.run(
            [str(where / command[0]), *command[1:]], user=user, cwd=folder, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    run(
        "initdb",
        "-D",
        str(data),
        "-U",
        "causa",
        "-A",
        "scram-sha-256",
        f"--pwfile={password}",
        "--no-sync",
        "-E",
        "UTF8",
    )
    # It dies with the tests: nothing of it must outlive the machine.
    unsafe = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= {unsafe}"
    run("pg_ctl", "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://causa@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
