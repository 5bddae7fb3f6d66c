"""Serves an application by uvicorn until the process is told to stop, with tasks beside it that live and end with it."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from stream.errors import InvalidSettings
from stream.services import Pages, Web
from stream.web.address import place
from stream.web.layers import HEADERS_BYTES

log = structlog.get_logger("causa.web")
STOP_S = 10
"""What is being answered may take so long after the signal to stop."""
_WAITING = 128


class _Server(uvicorn.Server):
    """Tells when it listens, and leaves signals alone.

    uvicorn would raise them anew at its end, before what runs beside it is closed.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets=sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield


def _silent(_url: str) -> None:
    """Nobody wants to know."""


async def serve(
    app: ASGIApp,
    web: Web,
    pages: Pages,
    *,
    background: Sequence[Callable[[], Awaitable[None]]] = (),
    told: Callable[[str], None] = _silent,
) -> None:
    """Serve until SIGTERM or SIGINT, or until this is cancelled.

    Args:
        app: what to serve.
        web: TLS, proxies.
        pages: where to listen.
        background: run beside it, such as the reading of topics. One that fails stops the server, and its fault is
            raised; one that ends by itself stops nothing.
        told: gets the address once it listens.

    Raises:
        InvalidSettings: TLS files that cannot be read, an address that cannot be listened on, plain http beyond loopback.
    """
    where = place(web, pages)
    if web.tls_cert:
        tls(web)  # told now, as an error of ours
    server = _Server(_config(app, web))
    tasks: list[asyncio.Task[None]] = []
    with _listening(pages) as listener, _stopped_by_signals(server):
        port = listener.getsockname()[1]
        host = f"[{pages.host}]" if ":" in pages.host else pages.host
        url = where.origin or f"{'https' if where.secure else 'http'}://{host}:{port}"
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            listens = asyncio.create_task(server.listens.wait())
            await asyncio.wait({serving, listens}, return_when=asyncio.FIRST_COMPLETED)
            listens.cancel()
            if server.started:
                log.info("pages are served", port=port)
                told(url)
                tasks = [asyncio.create_task(_run(work)) for work in background]
            await _until(serving, tasks)
        finally:
            server.should_exit = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(asyncio.CancelledError):
                await serving
            log.info("pages are no longer served", port=port)


@contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM and SIGINT end the server: at once where one came before."""
    loop, taken = asyncio.get_running_loop(), []

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    for one in (signal.SIGTERM, signal.SIGINT):
        # Only the main thread hears signals.
        with suppress(ValueError, RuntimeError):
            loop.add_signal_handler(one, stop)
            taken.append(one)
    try:
        yield
    finally:
        for one in taken:
            loop.remove_signal_handler(one)


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _until(serving: asyncio.Task[None], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the end of the server, or for the first fault beside it."""
    waiting: set[asyncio.Task[None]] = {serving, *tasks}
    while not serving.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task is not serving:
                task.result()


def _config(app: ASGIApp, web: Web) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None, access_log=False, server_header=False, date_header=True,
        # One parser for all machines, and a limit to what it holds of a request's head.
        http="h11", ws="none", h11_max_incomplete_event_size=HEADERS_BYTES, backlog=_WAITING,
        proxy_headers=bool(web.trusted_proxies), forwarded_allow_ips=web.trusted_proxies or None,
        timeout_keep_alive=15, timeout_graceful_shutdown=STOP_S,
        ssl_context_factory=(lambda _config, _default: tls(web)) if web.tls_cert else None,
    )  # fmt: skip


def tls(web: Web) -> ssl.SSLContext:
    """Context of the server: TLS 1.2 with forward secrecy, or 1.3.

    Raises:
        InvalidSettings: its files cannot be read.
    """
    assert web.tls_cert and web.tls_key
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(str(web.tls_cert), str(web.tls_key))
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(f"the pages' TLS files cannot be read: {type(error).__name__}") from None
    return context


def _listening(pages: Pages) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in pages.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((pages.host, pages.port))
        listener.listen(_WAITING)
    except OSError as error:
        listener.close()
        raise InvalidSettings(f"port {pages.port} of {pages.host}: {error.strerror}", hint="another port?") from None
    return listener
