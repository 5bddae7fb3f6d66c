"""What the embedded servers have in common: install, start, stop, status, and use as a context manager."""

from __future__ import annotations

import fcntl
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from stream.embedded.install import Progress, cache
from stream.embedded.lock import locked
from stream.embedded.ports import HOST, Ports, is_free
from stream.embedded.process import Launch, Process, State
from stream.errors import EmbeddedServerError
from stream.settings import Settings

LOCK_S = 300.0


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as `causa status` shows it; pid and uptime are None unless it runs, address "" likewise."""

    name: str
    state: State
    pid: int | None
    address: str
    data: Path
    log: Path
    uptime_s: float | None


class Server(ABC):
    """A server of this machine.

    It lives in ``<settings.root>/<name>/`` and runs from ``<cache>/<name>/`` (see `install.cache`). Started
    "attached" it ends with the process that started it, however that ends; "detached" it stays until `stop`.
    As a context manager it is attached, and one that was already running is used and left running; `leased`, it is
    shared by whoever leases it at the same time.
    """

    name: ClassVar[str]
    main_port: ClassVar[str]
    ready_s: ClassVar[float] = 120.0
    noise: ClassVar[str] = "(?!)"

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.root / self.name.lower()
        self.installs = cache(settings) / self.name.lower()
        self._ports = Ports(self.folder / "ports.json")
        self._process = Process(self.folder, self.name, self.noise)
        self._users, self._lent = self.folder / "users", self.folder / "lent"
        self._owned = False

    @abstractmethod
    def install(self, progress: Progress | None = None) -> None:
        """Installs what the server runs from, once; later calls return at once and need no network.

        Raises:
            EmbeddedServerError: nothing to install from, or no room.
        """

    @abstractmethod
    def _port_names(self) -> Iterable[str]: ...

    @abstractmethod
    def _prepare(self, ports: dict[str, int]) -> Launch:
        """Writes configuration and data folder; how to start."""

    @abstractmethod
    def _answers(self, ports: dict[str, int]) -> bool:
        """Whether the server is ready for work."""

    @property
    def data(self) -> Path:
        """Folder of what outlives a restart."""
        return self.folder / "data"

    @property
    def ports(self) -> dict[str, int]:
        """Ports by name, as of the last start; a restart keeps them unless somebody else took one."""
        return self._ports.remembered()

    def start(self, detached: bool = False, *, cancelled: threading.Event | None = None) -> bool:
        """Starts the server and returns once it is ready; installs it before if need be.

        Returns:
            False when it was already running, and is now detached if `detached` says so.

        Raises:
            EmbeddedServerError: it could not be installed or started; nothing of it is left running.
        """
        self.install()
        with self._alone():
            if self._process.state() is State.RUNNING:
                if detached:
                    self._process.detach()
                    self._lent.unlink(missing_ok=True)
                self._wait(self.ports, cancelled)  # its starter may have been killed before it was ready
                return False
            try:
                self._launch(detached, cancelled)
            except EmbeddedServerError:
                if all(map(is_free, self.ports.values())):  # else somebody took a port first: choose others
                    raise
                self._launch(detached, cancelled)
            self._owned = not detached
            return True

    def stop(self) -> None:
        """Stops the server, whoever started it, and returns when nothing of it is left."""
        with self._alone():
            self._end()
            self._owned = False

    def release(self) -> None:
        """Stops the server if this object started it, nobody has it leased and no `causa up` took it over since."""
        if self._owned:
            with self._alone():
                self._leave()

    @contextmanager
    def leased(self) -> Iterator[str]:
        """Address of the server, which is started if need be; of those who lease it, the last to leave stops it.

        One that somebody else keeps (`causa up`, or a process that it is attached to) is left to him.

        Raises:
            EmbeddedServerError: see `start`.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._users.open("a") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                self.start()
                yield self._address(self.main_port)
            finally:
                with self._alone():
                    fcntl.flock(users, fcntl.LOCK_UN)
                    self._leave()

    def _leave(self) -> None:
        """Stops the server if it is ours or was lent to us, unless others lease it: then it is lent to them."""
        if not self._lent.exists() and (not self._owned or self._process.detached):
            return
        self._owned = False
        with self._users.open("a") as users:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._process.detach()
                self._lent.touch(mode=0o600)
                return
            self._end()

    def status(self) -> ServerStatus:
        """State of the server now."""
        state, record = self._process.state(), self._process.record()
        running = record.server if record is not None and state is State.RUNNING else None
        return ServerStatus(
            name=self.name,
            state=state,
            pid=running.pid if running else None,
            address=self._address(self.main_port) if running else "",
            data=self.data,
            log=self._process.log,
            uptime_s=running.age_s if running else None,
        )

    def _alone(self) -> AbstractContextManager[None]:
        busy = f"another command is starting or stopping {self.name}"
        return locked(self.folder / "lock", timeout_s=LOCK_S, busy=busy)

    def _launch(self, detached: bool, cancelled: threading.Event | None) -> None:
        self._end()  # what a crash left behind, before its ports are judged
        ports = self._ports.choose(self._port_names())
        self._process.start(self._prepare(ports), detached=detached)
        self._wait(ports, cancelled)

    def _wait(self, ports: dict[str, int], cancelled: threading.Event | None) -> None:
        """Waits until ready; whatever breaks the wait off, Ctrl-C too, ends the server."""
        try:
            self._process.wait_ready(lambda: self._answers(ports), timeout_s=self.ready_s, cancelled=cancelled)
        except BaseException:
            self._end()
            raise

    def _end(self) -> None:
        """Ends whatever runs or is left over."""
        self._process.stop()
        self._lent.unlink(missing_ok=True)

    def _address(self, port: str) -> str:
        try:
            return f"{HOST}:{self.ports[port]}"
        except KeyError:
            raise EmbeddedServerError(f"{self.name} was never started here", hint="causa up") from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
