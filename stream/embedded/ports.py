"""Free ports on 127.0.0.1, remembered in a file so that other commands find the servers and restarts keep them."""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

from stream.errors import EmbeddedServerError

HOST = "127.0.0.1"
# Below the range that systems give to outgoing connections, which could take a port while its server is down.
FIRST, LAST = 20_000, 32_000

_guard = threading.Lock()
_promised: dict[int, Path] = {}  # ports chosen in this process whose server does not listen yet


def is_free(port: int) -> bool:
    """Whether nobody listens on `port`; connections of an earlier server that linger do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on `port`."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


class Ports:
    """The ports of one server, by name."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def remembered(self) -> dict[str, int]:
        """Ports of the last start; empty before the first."""
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(name): int(port) for name, port in content.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def choose(self, names: Iterable[str]) -> dict[str, int]:
        """A free port for each of `names`: the remembered one where it can be, and remembers the outcome.

        Raises:
            EmbeddedServerError: no port is free.
        """
        with _guard:
            for port in [port for port, file in _promised.items() if file == self._file]:
                del _promised[port]
            old = self.remembered()
            chosen: dict[str, int] = {}
            for name in names:
                port = old.get(name, 0)
                if not FIRST <= port < LAST or port in _promised or not is_free(port):
                    port = self._search(set(old.values()) | set(chosen.values()))
                chosen[name] = port
                _promised[port] = self._file
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_name(self._file.name + ".new")
        fresh.write_text(json.dumps(chosen), encoding="utf-8")
        fresh.replace(self._file)
        return chosen

    def _search(self, avoid: set[int]) -> int:
        """The first free port, from a place that depends on the folder: two folders rarely meet."""
        start = zlib.crc32(str(self._file.resolve()).encode())
        for step in range(LAST - FIRST):
            port = FIRST + (start + step) % (LAST - FIRST)
            if port not in avoid and port not in _promised and is_free(port):
                return port
        raise EmbeddedServerError(
            f"no free port on {HOST} between {FIRST} and {LAST}", hint="stop what listens there, then try again"
        )
