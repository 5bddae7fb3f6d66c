"""A TCP proxy that can be slow, silent or rude."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

HOST = "127.0.0.1"
CHUNK = 64 * 1024


class Proxy:
    """Stands between workers and a broker, whose listener advertises the proxy's port.

    Args:
        port: where it listens; 0 for any that is free.

    Attributes:
        latency_s: added to every piece that passes, each way.
        silent: nothing passes and nothing is refused, as where a firewall drops packets; what was sent meanwhile
            arrives when the silence ends.
        closed: every connection is reset, and so is each new one.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.target = 0
        self.latency_s = 0.0
        self.closed = False
        self._passes = asyncio.Event()
        self._passes.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def silent(self) -> bool:
        return not self._passes.is_set()

    @silent.setter
    def silent(self, value: bool) -> None:
        (self._passes.clear if value else self._passes.set)()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def reset(self) -> int:
        """Reset every open connection; how many there were."""
        writers = list(self._open)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        await self._passes.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, far_writer)
        self._open.update(ends)
        for way in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass(*way, ends))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: Iterable[asyncio.StreamWriter]
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                await self._passes.wait()
                writer.write(chunk)
                await writer.drain()
        for end in ends:
            end.transport.abort()
            self._open.discard(end)

    async def stop(self) -> None:
        self._server.close()
        self.reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
