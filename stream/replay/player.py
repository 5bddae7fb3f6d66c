"""A run's work: partition by partition, batch by batch, results and progress in one transaction.

The position in the source, and the counts so far, are committed with the results that they stand for. A process that dies
leaves all of a batch or nothing of it; the next one begins behind it. A write whose end is not known is looked up before
anything goes on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
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
from stream.replay.run import Run
from stream.replay.voice import Voice
from stream.sealing import Keyring
from stream.wire import Wire
from stream.worker.stages import Rarely

SOURCE_HEADER = "causa-source"
RUN_HEADER = "causa-run"
PRIORITY_HEADER = "causa-priority"
RETRY_S = 1.0

log = structlog.get_logger("causa.replay")


@dataclass(frozen=True, slots=True)
class Tally:
    """Records of a partition so far: read, passed over, written, dead. ``read = skipped + written + dead``."""

    read: int = 0
    skipped: int = 0
    written: int = 0
    dead: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.read + other.read, self.skipped + other.skipped, self.written + other.written, self.dead + other.dead
        )

    @property
    def note(self) -> str:
        """As it is committed beside the offset."""
        return json.dumps([self.read, self.skipped, self.written, self.dead])

    @classmethod
    def of(cls, note: str) -> Tally:
        """Tally of a note."""
        return cls(*json.loads(note)) if note else cls()


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
        except ExceptionGroup as faults:
            raise faults.exceptions[0] from None
        finally:
            await asyncio.gather(*(one.close() for one in opened.values()), return_exceptions=True)
        return all(task.result() for task in tasks)

    def _transactions(self, partition: int) -> Transactions:
        return self._broker.transactions(f"{self._run.group}-{partition}", self._run.group, (self._topic, partition))

    async def _partition(self, partition: int, transactions: Transactions) -> bool:
        fresh = True
        while True:
            try:
                position = await transactions.begin()
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
                await asyncio.sleep(self._retry_s)

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


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run's counts say, and what its topics and its source say.

    Attributes:
        tally: as counted on the way.
        planned: records in the range when the run was planned.
        source: records that the source holds in the range now; None where some of them are no longer kept.
        results, dead: records of the run's topics.
        twice: records of the source that have two results.
        strangers: results that name no source in the range.
    """

    tally: Tally
    planned: int
    source: int | None
    results: int
    dead: int
    twice: int
    strangers: int

    @property
    def faults(self) -> list[str]:
        """What does not agree, in words; empty when read = written + dead holds exactly."""
        tally, found = self.tally, []
        if tally.read != tally.skipped + tally.written + tally.dead:
            found.append(f"{tally.read:,} read, {tally.skipped + tally.written + tally.dead:,} accounted for")
        if self.planned != tally.read:
            found.append(f"{self.planned:,} records were planned, {tally.read:,} were read")
        if self.source is not None and self.source != tally.read:
            found.append(f"the source holds {self.source:,} records, {tally.read:,} were read")
        for what, counted, held in (("results", tally.written, self.results), ("dead letters", tally.dead, self.dead)):
            if counted != held:
                found.append(f"{counted:,} {what} counted, {held:,} are there")
        if self.twice:
            found.append(f"{self.twice:,} records have two results")
        if self.strangers:
            found.append(f"{self.strangers:,} results name no record of the range")
        return found


async def reconcile(
    broker: Broker, run: Run, topic: str, bounds: Mapping[int, tuple[int, int]], planned: int
) -> Reconciled:
    """Count a run anew: its committed counts, its topics read whole, its source read again."""
    tally = Tally()
    for partition in bounds:
        position = await broker.position(run.group, topic, partition)
        tally += Tally.of(position.note) if position else Tally()
    seen = {partition: bytearray(end - start) for partition, (start, end) in bounds.items()}
    numbers = {"results": 0, "dead": 0}
    twice = strangers = 0
    for name, of_run in (("results", run.results), ("dead", run.dead)):
        for partition, (start, end) in (await broker.bounds(of_run)).items():
            async with aclosing(broker.read(of_run, partition, start, end)) as batches:
                async for batch in batches:
                    for record in batch:
                        numbers[name] += 1
                        mark = _mark(record, topic, bounds)
                        if mark is None:
                            strangers += 1
                            continue
                        twice += seen[mark[0]][mark[1]]
                        seen[mark[0]][mark[1]] = 1
    source: int | None = 0
    held = await broker.bounds(topic)
    for partition, (start, end) in bounds.items():
        if end > start and held.get(partition, (end, end))[0] > start:
            source = None  # retention took some since: they cannot be counted again
            break
        async with aclosing(broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                source = (source or 0) + len(batch)
    return Reconciled(tally, planned, source, numbers["results"], numbers["dead"], twice, strangers)


def _mark(record: Record, topic: str, bounds: Mapping[int, tuple[int, int]]) -> tuple[int, int] | None:
    """Partition of a result's source, and its number in the range."""
    name, _, rest = record.header(SOURCE_HEADER).rpartition("/")
    name, _, partition = name.rpartition("/")
    if name != topic or not rest.isdigit() or not partition.isdigit() or int(partition) not in bounds:
        return None
    start, end = bounds[int(partition)]
    return (int(partition), int(rest) - start) if start <= int(rest) < end else None
