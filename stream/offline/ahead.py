"""Rows read in a thread, a little ahead of whoever takes them, so that a slow pipe never holds up an event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator

from stream.offline.rows import Row

AHEAD = 1_000
POLL_S = 0.005
_TURN = 64  # rows between two turns that the other tasks of the loop get


class ReadAhead:
    """Asynchronous side of an iterator of rows. At most `AHEAD` of them wait in memory."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._ready: queue.Queue[Row | BaseException | None] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._given = 0
        # A daemon: a thread that waits in standard input must not keep the process.
        self._thread = threading.Thread(target=self._read, name="rows", daemon=True)
        self._thread.start()

    async def next(self, stop: asyncio.Event) -> Row | None:
        """Next row; None at the end, or once `stop` is set.

        Raises:
            InvalidData: the file can no longer be read.
        """
        self._given += 1
        if self._given % _TURN == 0:
            await asyncio.sleep(0)
        while not stop.is_set():
            try:
                item = self._ready.get_nowait()
            except queue.Empty:
                await asyncio.sleep(POLL_S)
                continue
            if isinstance(item, BaseException):
                raise item
            return item
        return None

    def close(self) -> None:
        """Lets the thread end; it does so when it next has a row."""
        self._closed.set()

    def _read(self) -> None:
        try:
            for row in self._rows:
                if not self._put(row):
                    return
            self._put(None)
        except Exception as error:  # raised again on the other side
            self._put(error)
        finally:
            close = getattr(self._rows, "close", None)
            if close is not None:
                close()  # the file, where reading ended early

    def _put(self, item: Row | BaseException | None) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
