"""The worker of surveillance: one process from the topic `coded` to alerts in their topic and messages at their sinks.

Counts, single cases and offsets move in one transaction; what is published and sent stands in the database first. It may be
killed at any moment and started again, and a second one may stand by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from sqlalchemy import Connection, Engine

from stream.errors import CausaError, InfrastructureError
from stream.health import Health, beating
from stream.intake import Intake
from stream.reader import Read, Reader
from stream.surveillance.alerts import gauges
from stream.surveillance.alerts.keeper import Keeper
from stream.surveillance.alerts.publisher import Publisher
from stream.surveillance.alerts.sinks import Message, NotTaken, Refused, Sink
from stream.worker.stages import Rarely

log = structlog.get_logger("causa.alerts")
SERVICE = "surveillance"
"""Whose offsets they are."""
CONDITIONS = ("database", "topics", "counts", "detection")
FEED_S, SEND_S, SWEEP_S, TELL_S, RETRY_S = 0.25, 0.5, 10.0, 5.0, 5.0


class Service:
    """See the module.

    Args:
        engine: the surveillance database.
        keeper: of the alerts in it.
        publisher: of the alerts to their topic.
        open_reader: makes a reader of `coded`.
        sinks: who hears of alerts.
        every_s: between two runs of detection, seconds.

    Attributes:
        health: what speaks against being ready.
        intake: of the topic `coded`.
    """

    def __init__(
        self,
        engine: Engine,
        keeper: Keeper,
        publisher: Publisher,
        open_reader: Callable[[], Reader],
        sinks: Sequence[Sink],
        *,
        every_s: float = 3600.0,
    ) -> None:
        self._keeper, self._publisher, self._open_reader = keeper, publisher, open_reader
        self._sinks, self._every_s = tuple(sinks), every_s
        self.intake = Intake(engine, SERVICE, ("coded",), self._fold)
        self.health = Health(CONDITIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh = asyncio.Event()
        self._rarely = Rarely()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            InvalidSettings: a topic is missing, or was made anew.
        """
        self._loop = asyncio.get_running_loop()
        work = [
            beating(self.health), self._publisher.run(), self._read(), self._detect(),
            self._often("sweep", self._sweep, SWEEP_S), self._often("tell", self._tell, TELL_S), self._feed(),
            *(self._send(sink) for sink in self._sinks),
        ]  # fmt: skip
        tasks = [asyncio.create_task(part) for part in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._keeper.stopping = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(sink.close() for sink in self._sinks), return_exceptions=True)

    def _fold(self, connection: Connection, reads: Sequence[Read]) -> None:
        """In the intake's thread and transaction."""
        if self._keeper.fold(connection, reads) and self._loop is not None:
            self._loop.call_soon_threadsafe(self._made)

    def _made(self) -> None:
        """Alerts are about to be committed: publish them at once."""
        self._publisher.wake()
        self._fresh.set()

    async def _read(self) -> None:
        # A new database learns from the topic which alerts there are, before it makes them a second time.
        await self._publisher.ready.wait()
        await self.intake.run(self._open_reader, follow=True)

    async def _detect(self) -> None:
        await self.intake.caught_up.wait()
        while True:
            try:
                run = await asyncio.to_thread(self._keeper.detect)
            except InfrastructureError as error:
                self.health.tell("detection", f"it was cut off ({error.message})")
                log.warning("detection is cut off", code=error.code, reason=error.message, wait_s=RETRY_S)
                await asyncio.sleep(RETRY_S)
                continue
            self.health.tell("detection")
            if run is not None:
                log.info(
                    "series judged", count=run.series, seconds=round(run.seconds, 2), state=f"{run.alarms} alarms",
                    at=run.day.isoformat(),
                )  # fmt: skip
                if run.revisions:
                    self._made()
            await asyncio.sleep(self._every_s)

    async def _sweep(self) -> None:
        if await asyncio.to_thread(self._keeper.sweep):
            self._made()

    async def _tell(self) -> None:
        await asyncio.to_thread(self._keeper.tell)
        self.health.tell("topics", self._publisher.against)
        begun = "" if self.intake.caught_up.is_set() else "still reading what was there at the start"
        self.health.tell("counts", self.intake.against or begun)

    async def _feed(self) -> None:
        names = [sink.name for sink in self._sinks]

        async def once() -> None:
            while await asyncio.to_thread(self._keeper.feed, names):
                pass
            self._fresh.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._fresh.wait(), SEND_S)

        await self._often("feed", once, 0.05)

    async def _often(self, name: str, step: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Do a step again and again; a database that is away costs the step."""
        while True:
            try:
                await step()
                self.health.tell("database")
            except InfrastructureError as error:
                self.health.tell("database", error.message)
                if self._rarely.due(f"{name} {error.code}"):
                    log.warning("the database does not answer", code=error.code, reason=error.message, stage=name)
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(every_s)

    async def _send(self, sink: Sink) -> None:
        async def once() -> None:
            while messages := await asyncio.to_thread(self._keeper.claim, sink.name, sink.most):
                work = asyncio.create_task(self._hand_over(sink, messages))
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError:
                    # A mail goes out of its thread whatever we do: what came of it is written down before the stop.
                    await asyncio.gather(asyncio.shield(work), return_exceptions=True)
                    raise

        await self._often(f"send {sink.name}", once, FEED_S)

    async def _hand_over(self, sink: Sink, messages: Sequence[Message]) -> None:
        """Send messages, and settle what became of them."""
        fault: CausaError | None = None
        try:
            await sink.send(messages)
        except (NotTaken, Refused) as error:
            fault = error
            if self._rarely.due(f"{sink.name} {error.message}"):
                log.warning("a sink does not take alerts", code=error.code, reason=error.message, scope=sink.name)
        await asyncio.to_thread(self._keeper.settle, messages, fault)
        end = "sent" if fault is None else "refused" if isinstance(fault, Refused) else "again"
        gauges.MESSAGES.labels(sink.name, end).inc(len(messages))
