"""Both embedded servers together, and the addresses that the other commands ask for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stream.embedded.install import Progress
from stream.embedded.kafka import KafkaServer
from stream.embedded.process import State
from stream.embedded.server import Server, ServerStatus
from stream.embedded.triton import TritonServer
from stream.errors import EmbeddedServerError
from stream.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Kafka and Triton (gRPC) answer."""

    bootstrap: str
    triton: str


class Embedded:
    """Owner of the embedded servers; a server that the settings place elsewhere is neither started nor stopped.

    As a context manager the servers are attached: they end with the block, or with this process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.kafka = KafkaServer(settings)
        self.triton = TritonServer(settings)

    def up(self, detached: bool = False, progress: Progress | None = None) -> None:
        """Installs and starts the servers side by side; returns when all are ready.

        Raises:
            EmbeddedServerError: of the first that failed; those that this call started are stopped again.
        """
        cancelled = threading.Event()

        def start(server: Server) -> bool:
            server.install(progress)
            return server.start(detached, cancelled=cancelled)

        servers = self._wanted()
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="embedded") as pool:
            starts = {pool.submit(start, server): server for server in servers}
            try:
                wait(starts, return_when=FIRST_EXCEPTION)
                fault = _fault(starts)
            except BaseException as interrupt:  # Ctrl-C: the threads end soon, and their servers with them
                fault = interrupt
            if fault is not None:
                cancelled.set()
        if fault is not None:
            for done, server in starts.items():
                if done.exception() is None and done.result():
                    server.stop()
            raise fault

    def down(self) -> None:
        """Stops both servers, whoever started them."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="embedded") as pool:
            list(pool.map(lambda server: server.stop(), (self.kafka, self.triton)))

    def release(self) -> None:
        """Stops what this object started, unless a `causa up` took it over since."""
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="embedded") as pool:
            list(pool.map(lambda server: server.release(), (self.kafka, self.triton)))

    def status(self) -> list[ServerStatus]:
        """State of each server."""
        return [server.status() for server in (self.kafka, self.triton)]

    def bootstrap(self) -> str:
        """Kafka's address: the configured one, else that of the embedded broker.

        Raises:
            EmbeddedServerError: none is configured and none runs.
        """
        return self._settings.kafka.bootstrap or _running(self.kafka)

    def triton_url(self) -> str:
        """Triton's gRPC address: the configured one, else that of the embedded server.

        Raises:
            EmbeddedServerError: none is configured and none runs.
        """
        return self._settings.triton.url or _running(self.triton)

    def endpoints(self) -> Endpoints:
        """Both addresses; raises as `bootstrap` and `triton_url` do."""
        return Endpoints(self.bootstrap(), self.triton_url())

    def _wanted(self) -> Sequence[Server]:
        configured = ((self.kafka, self._settings.kafka.bootstrap), (self.triton, self._settings.triton.url))
        return [server for server, elsewhere in configured if not elsewhere]

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _fault(starts: dict[Future[bool], Server]) -> BaseException | None:
    """The first failure among the starts that are done."""
    return next((fault for start in starts if start.done() and (fault := start.exception()) is not None), None)


def _running(server: Server) -> str:
    status = server.status()
    if status.state is State.RUNNING:
        return status.address
    what = "died" if status.state is State.DIED else "is not running"
    raise EmbeddedServerError(f"the embedded {status.name} {what}", hint="causa up")
