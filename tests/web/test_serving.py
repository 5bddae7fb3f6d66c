"""The real server: TLS, limits of its parser, tasks beside it, and its end."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from security.authority import Authority
from starlette.applications import Starlette

from stream.errors import DatabaseUnavailable, InvalidSettings
from stream.services import Pages, Web
from stream.web.serving import serve

Maker = Callable[..., Starlette]


@asynccontextmanager
async def served(
    app: Starlette, web: Web, pages: Pages, background: Sequence[Callable[[], Awaitable[None]]] = ()
) -> AsyncIterator[str]:
    """The address of an application that is served until the block ends."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, web, pages, background=background, told=address.set_result))
    try:
        task.add_done_callback(lambda _: None if address.done() else address.cancel())
        try:
            url = await address
        except asyncio.CancelledError:
            await task  # which tells why
            raise
        yield url
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_served_and_stopped(app: Starlette) -> None:
    ended = asyncio.Event()

    async def beside() -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            ended.set()

    async def at_once() -> None:
        """Ends by itself, and stops nothing."""

    async with served(app, Web(), Pages(), [beside, at_once]) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.get("/health/ready")
        assert answer.json()["ready"]
        assert "server" not in answer.headers
        port = int(url.rsplit(":", 1)[1])
        assert (await client.get("/login")).status_code == 200
        with pytest.raises(InvalidSettings, match=f"port {port}"):
            await serve(app, Web(), Pages(port=port))
    assert ended.is_set()
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, url)


async def test_a_fault_beside_the_pages_ends_them(app: Starlette) -> None:
    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise DatabaseUnavailable("the topic's reader")

    with pytest.raises(DatabaseUnavailable, match="reader"):
        await serve(app, Web(), Pages(), background=[fails])


def raw(url: str, data: bytes) -> bytes:
    with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        # A server that has read enough closes while more is on its way to it.
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", b" 431 "),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000, b" 400 "),
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n\r\n", b" 400 "),
        (
            b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
            b" 400 ",
        ),
        (b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", b" 400 "),
        (b"GET /static/../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", b" 404 "),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b" 421 "),
    ],
)
async def test_requests_that_no_client_sends(app: Starlette, data: bytes, status: bytes) -> None:
    async with served(app, Web(), Pages()) as url:
        answer = await asyncio.to_thread(raw, url, data)
    line = answer.partition(b"\r\n")[0]
    # Two ways to tell a body's length: h11 reads it as chunked and closes; what it must not do is take more for a request.
    assert status in line or (b"chunked" in data and answer.count(b"HTTP/1.1 ") == 1 and b"200" not in line), line
    assert b"Traceback" not in answer


async def test_web_sockets_are_refused(app: Starlette) -> None:
    ask = (
        b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with served(app, Web(), Pages()) as url:
        with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0), timeout=10) as connection:
            connection.sendall(ask)
            line = (await asyncio.to_thread(connection.recv, 65_536)).partition(b"\r\n")[0]
    assert b" 101 " not in line


async def test_over_tls(make: Maker, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", "causa-test")
    own = authority.sign("desk")
    web = Web(tls_cert=own.certificate, tls_key=own.key)
    context = ssl.create_default_context(cafile=str(authority.file))
    async with served(make(web), web, Pages()) as url, httpx.AsyncClient(base_url=url, verify=context) as client:
        assert url.startswith("https://")
        answer = await client.get("/login")
        assert answer.headers["strict-transport-security"]
        assert "__Host-desk-visit" in answer.headers["set-cookie"]
        old = ssl.create_default_context(cafile=str(authority.file))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("AES128-GCM-SHA256:AES256-SHA")
        async with httpx.AsyncClient(base_url=url, verify=old) as weak:
            with pytest.raises(httpx.ConnectError):
                await weak.get("/login")
        async with httpx.AsyncClient(base_url=url) as stranger:
            with pytest.raises(httpx.ConnectError):
                await stranger.get("/login")


async def test_tls_files_that_are_none(app: Starlette, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    for name in ("x.pem", "nowhere.pem"):
        web = Web(tls_cert=tmp_path / name, tls_key=tmp_path / name)
        with pytest.raises(InvalidSettings, match="TLS files"):
            await serve(app, web, Pages())


PROCESS = """
import asyncio, sys
from pathlib import Path
from starlette.applications import Starlette
from stream import log
from stream.services import Pages, Web
from stream.web.serving import serve

log.configure("error")

async def beside():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        print("closed", flush=True)

async def main():
    await serve(Starlette(), Web(), Pages(), background=[beside], told=lambda url: print(url, flush=True))
    print("ended", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_in_order(sign: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROCESS], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(sign)
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, rest) == (0, "closed\nended\n")
