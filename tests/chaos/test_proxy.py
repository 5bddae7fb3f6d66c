from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from chaos.proxy import HOST, Proxy

PATIENCE_S = 20.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(100):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo, HOST, 0)
    proxy = Proxy()
    proxy.target = server.sockets[0].getsockname()[1]
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


class Caller:
    """A client at the proxy's door."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    async def __aenter__(self) -> Caller:
        self.reader, self.writer = await asyncio.open_connection(HOST, self._proxy.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def ask(self, word: bytes) -> bytes:
        self.writer.write(word)
        return await asyncio.wait_for(self.reader.read(100), PATIENCE_S)


async def test_what_is_said_passes(proxy: Proxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.ask(b"one") == b"one"
        assert await caller.ask(b"two") == b"two"


async def test_latency_is_added_each_way(proxy: Proxy) -> None:
    proxy.latency_s = 0.05
    loop = asyncio.get_running_loop()
    async with Caller(proxy) as caller:
        began = loop.time()
        assert await caller.ask(b"one") == b"one"
        assert loop.time() - began >= 0.09


async def test_silence_holds_what_is_said_and_who_comes(proxy: Proxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.ask(b"one") == b"one"
        proxy.silent = True
        asked = asyncio.create_task(caller.ask(b"two"))
        async with Caller(proxy) as late:
            also = asyncio.create_task(late.ask(b"three"))
            done, _ = await asyncio.wait([asked, also], timeout=0.2)
            assert not done
            proxy.silent = False
            assert (await asked, await also) == (b"two", b"three")


async def test_a_reset_ends_every_connection_and_turns_away_who_comes(proxy: Proxy) -> None:
    async with Caller(proxy) as caller:
        assert await caller.ask(b"one") == b"one"
        proxy.closed = True
        assert proxy.reset() == 1
        with pytest.raises(ConnectionError):
            assert not await caller.ask(b"two")
            raise ConnectionResetError  # some systems tell a reset as an end
    async with Caller(proxy) as caller:
        with pytest.raises(ConnectionError):
            assert not await caller.ask(b"three")
            raise ConnectionResetError
    proxy.closed = False
    async with Caller(proxy) as caller:
        assert await caller.ask(b"four") == b"four"


async def test_where_nobody_listens_the_caller_is_turned_away(proxy: Proxy) -> None:
    proxy.target = 9
    async with Caller(proxy) as caller:
        with pytest.raises(ConnectionError):
            assert not await caller.ask(b"one")
            raise ConnectionResetError
