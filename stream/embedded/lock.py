"""A lock between processes, so that two commands at once neither install nor start a server twice."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import EmbeddedServerError


@contextmanager
def locked(path: Path, *, timeout_s: float, busy: str) -> Iterator[None]:
    """Holds `path` alone; the kernel lets go when the holder dies, so a lock is never stale.

    Raises:
        EmbeddedServerError: somebody else held it for `timeout_s`, `busy` says doing what; or its folder cannot be
            written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a")
    except OSError as error:
        raise EmbeddedServerError(
            f"home cannot be written: {path.parent}: {error.strerror or type(error).__name__}",
            hint="set CAUSA_HOME, and CAUSA_EMBEDDED_CACHE where you use it, to folders that can be written",
        ) from error
    deadline = time.monotonic() + timeout_s
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(busy, hint="wait for the other `causa` command, or end it") from None
                time.sleep(0.05)
        yield
