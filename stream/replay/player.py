"""A run's work: partition by partition, batch by batch, results and progress in one transaction.

The position in the source, and the counts so far, are committed with the results that they stand for. A process that dies
leaves all of a batch or nothing of it; the next one begins behind it. A write whose end is not known is looked up before
anything goes on. A position that Kafka has forgotten is told by the results (`recovering`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from stream.certificate import utc_now
from stream.errors import BrokerUnavailable
from stream.pipeline.record import Decision, Received
from stream.publishing import Pace
from stream.replay.broker import Broker, Position, Record, Transactions, Written
from stream.replay.feed import Chosen, Feed
from stream.replay.other import refused
from stream.replay.recode import wanted
from stream.replay.recovering import recovered
from stream.replay.run import Run
from stream.replay.tally import SOURCE_HEADER, Tally
from stream.replay.voice import Voice
from stream.sealing import Keyring
from stream.wire import Wire
from stream.worker.stages import Rarely

RUN_HEADER = "causa-run"
PRIORITY_HEADER = "causa-priority"
RETRY_S = 1.0

log = structlog.get_logger("causa.replay")


@dataclass
class Progress:
    """How far a run is, for progress bars.

    Attributes:
        tallies: by partition.
        begun: selected records that were done when this process began.
        since: when it began, by the monotonic clock.
    """

    tallies: dict[int, Tally] = field(default_factory=dict)
    begun: int = 0
    since: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> Tally:
        """Over all partitions."""
        return sum(self.tallies.values(), Tally())

    @property
    def rate(self) -> float:
        """Certificates a second of this process."""
        done = self.total.written + self.total.dead - self.begun
        return done / max(1e-9, time.monotonic() - self.since)


class Player:
    """Plays a run.

    Args:
        broker: holds source and results.
        run: names.
        topic: what is read.
        bounds: by partition, offsets of it.
        feed: chooses and opens.
        voice: codes.
        wire, plain: codec and keys for what cannot be given to the voice.
        at_once: records in a batch, and in a transaction.
        in_flight: batches coded at once.
        rate: certificates a second at most; None for no limit.
        clock: now, for tests.
        retry_s: wait before a partition begins again, seconds.
    """

    def __init__(
        self,
        broker: Broker,
        run: Run,
        topic: str,
        bounds: Mapping[int, tuple[int, int]],
        feed: Feed,
        voice: Voice,
        wire: Wire,
        plain: Keyring,
        *,
        at_once: int = 64,
        in_flight: int = 2,
        rate: float | None = None,
        clock: Callable[[], datetime] = utc_now,
        retry_s: float = RETRY_S,
    ) -> None:
        self._broker, self._run, self._topic, self._bounds = broker, run, topic, dict(bounds)
        self._feed, self._voice, self._wire, self._plain = feed, voice, wire, plain
        self._at_once, self._slots = at_once, asyncio.Semaphore(in_flight)
        self._pace = Pace(rate) if rate else None
        self._clock, self._retry_s = clock, retry_s
        self._held = Rarely()
        self._stopping = asyncio.Event()
        self.progress = Progress()

    def stop(self) -> None:
        """Finish the batches under way and begin no more."""
        self._stopping.set()

    async def play(self) -> bool:
        """Code what is left; whether the run is at its end (else it was stopped, and may go on later).

        Raises:
            Overtaken: another process plays this run.
        """
        opened = {partition: self._transactions(partition) for partition in self._bounds}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._partition(p, opened[p])) for p in sorted(self._bounds)]
            done = all(task.result() for task in tasks)
            if done:
                await self._kept(opened)
            return done
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            await asyncio.gather(*(one.close() for one in opened.values()), return_exceptions=True)

    def _transactions(self, partition: int) -> Transactions:
        return self._broker.transactions(f"{self._run.group}-{partition}", self._run.group, (self._topic, partition))

    async def _partition(self, partition: int, transactions: Transactions) -> bool:
        fresh = True
        while not self._stopping.is_set():
            try:
                position = await transactions.begin()
                if position is None:
                    position = await recovered(self._broker, self._run, self._topic, partition, self._bounds)
                tally = Tally.of(position.note) if position else Tally()
                self.progress.tallies[partition] = tally
                if fresh:
                    self.progress.begun += tally.written + tally.dead
                    fresh = False
                start, end = self._bounds[partition]
                return await self._stretch(
                    partition, transactions, max(start, position.offset if position else start), end
                )
            except BrokerUnavailable as error:
                if self._held.due(error.code):
                    log.warning("held: a partition begins again", code=error.code, reason=error.message)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._retry_s):
                        await self._stopping.wait()
        return False

    async def _stretch(self, partition: int, transactions: Transactions, start: int, end: int) -> bool:
        async with aclosing(self._broker.read(self._topic, partition, start, end, self._at_once)) as batches:
            async for batch in batches:
                if self._stopping.is_set():
                    return False
                chosen = await self._feed.choose(batch)
                taken = [(record, one) for record, one in zip(batch, chosen, strict=True) if one is not None]
                await self._wait(len(taken))
                async with self._slots:
                    decisions = await self._decided([one for _, one in taken])
                dead = sum(decision.letter is not None for decision in decisions)
                tally = self.progress.tallies[partition] + Tally(
                    len(batch), len(batch) - len(taken), len(decisions) - dead, dead
                )
                written = [self._written(r, d) for (r, _), d in zip(taken, decisions, strict=True)]
                await transactions.commit(written, Position(batch[-1].offset + 1, tally.note))
                self.progress.tallies[partition] = tally
        if self._stopping.is_set():
            return False
        await transactions.commit([], Position(end, self.progress.tallies[partition].note))
        return True

    async def _kept(self, opened: Mapping[int, Transactions]) -> None:
        """Commit positions once more that Kafka has forgotten while other partitions took their days."""
        for partition, transactions in opened.items():
            end = Position(self._bounds[partition][1], self.progress.tallies[partition].note)
            while await self._broker.position(self._run.group, self._topic, partition) is None:
                try:
                    await transactions.commit([], end)
                except BrokerUnavailable:  # it may be there all the same: looked up
                    await asyncio.sleep(self._retry_s)
                    await transactions.begin()

    async def _wait(self, number: int) -> None:
        """For our turn under the rate; a stop ends the wait."""
        if self._pace is None:
            return
        due = max((self._pace.wait_s() for _ in range(number)), default=0.0)
        if due:
            await asyncio.wait([stop := asyncio.ensure_future(self._stopping.wait())], timeout=due)
            stop.cancel()

    async def _decided(self, chosen: Sequence[Chosen]) -> list[Decision]:
        good = [one for one in chosen if one.refused is None]
        coded = iter(
            await self._voice.code([one.incoming for one in good], [one.level for one in good]) if good else []
        )
        now = self._clock()
        return [
            next(coded)
            if one.refused is None
            else refused(Received(one.incoming, None, one.refused), one.refused, self._plain, self._wire, now)
            for one in chosen
        ]

    def _written(self, record: Record, decision: Decision) -> Written:
        """A decision's one record in the run's topics; its manual task, if any, is nobody's work."""
        topic = self._run.results if decision.coded is not None else self._run.dead
        subject = "coded" if decision.coded is not None else "dead-letters"
        outgoing = next(one for one in decision.outgoing if one.subject == subject)
        headers = [(RUN_HEADER, self._run.name.encode()), (SOURCE_HEADER, record.place.encode())]
        task = next((one for one in decision.outgoing if one.subject == "manual"), None)
        if task is not None and decision.coded is not None and wanted(decision.coded):
            # Its place in the queue is all that a recode could not work out again from the result.
            headers.append((PRIORITY_HEADER, repr(self._wire.decode("manual", task.value)["priority"]).encode()))
        return Written(topic, outgoing.key, outgoing.value, tuple(headers))
