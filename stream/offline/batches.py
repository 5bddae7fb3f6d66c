"""Batches of rows worked on side by side, answered in the rows' order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

R = TypeVar("R")
A = TypeVar("A")


async def in_order(
    rows: Iterable[R], work: Callable[[list[R]], Awaitable[list[A]]], *, size: int, in_flight: int
) -> AsyncIterator[A]:
    """Answers to all rows, in their order.

    Args:
        rows: what to answer; no more than `in_flight` batches of them are held.
        work: one answer for each row of a batch; what it raises ends the iteration.
        size: rows in a batch.
        in_flight: batches under way at once, so that one is prepared while a model answers another.
    """
    batches = _chunks(rows, size)
    under_way: list[asyncio.Future[list[A]]] = []
    try:
        while True:
            while len(under_way) < in_flight and (batch := next(batches, None)) is not None:
                under_way.append(asyncio.ensure_future(work(batch)))
                await asyncio.sleep(0)
            if not under_way:
                return
            for answer in await under_way.pop(0):
                yield answer
    finally:
        for task in under_way:
            task.cancel()


def _chunks(rows: Iterable[R], size: int) -> Iterator[list[R]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk
