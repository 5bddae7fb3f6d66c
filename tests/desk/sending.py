"""Sends what a desk's outbox holds, until it is empty or until it is killed at a fail point of the environment."""

from __future__ import annotations

import asyncio
import sys

import sqlalchemy as sa

from stream.desk.desk import open_desk
from stream.desk.service import DeskService
from stream.desk.tables import OUTBOX
from stream.settings import load


async def main() -> None:
    """Settings come from the environment; the broker's address is the argument."""
    settings = load()
    desk = open_desk(settings)
    service = DeskService(settings, desk, sys.argv[1])
    sending = asyncio.create_task(service.sender.run())
    while await asyncio.to_thread(_waits, desk.engine):
        await asyncio.sleep(0.05)
        if sending.done():
            sending.result()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    desk.engine.dispose()


def _waits(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(OUTBOX)).scalar_one()


if __name__ == "__main__":
    asyncio.run(main())
