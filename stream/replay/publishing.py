"""A run's results into `coded` (and the tasks that go with them into `manual`), each once, whatever dies on the way."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

import structlog

from stream.certificate import Certificate, read_certificate, utc_now
from stream.coding import Automation, CodedCertificate, Origin, coded_record, read_coded, task_record
from stream.errors import BrokerUnavailable, InputError
from stream.replay.broker import Broker, Position, Record, Written
from stream.replay.player import PRIORITY_HEADER, RUN_HEADER
from stream.replay.recode import PUBLISHED, Fate, Results, fate, published, task, wanted
from stream.replay.recorded import Entry, Recorded, coded_records, keys
from stream.replay.recovering import source_of
from stream.replay.run import Run
from stream.replay.shell import Desk
from stream.replay.tally import SOURCE_HEADER
from stream.sealing import Keyring
from stream.targeting.target import priority

APPROVAL_HEADER = "causa-approval"
AT_ONCE = 256
NEAR = 1_000
"""Records that are read through rather than sought past."""
RETRY_S = 1.0

log = structlog.get_logger("causa.recode")


class Publisher:
    """Publishes a run.

    Args:
        desk: broker, codec, keys.
        run: the run.
        now: how far the machine is trusted now, by stratum.
        everything: see `recode.fate`.
        approval: hash of what was agreed to; empty where nothing is published yet.
        clock: now, for tests.
        retry_s: wait before beginning again, seconds.
    """

    def __init__(
        self,
        desk: Desk,
        run: Run,
        now: Mapping[str, Automation],
        *,
        everything: bool,
        approval: str = "",
        clock: Callable[[], datetime] = utc_now,
        retry_s: float = RETRY_S,
    ) -> None:
        self._desk, self._run, self._trust = desk, run, now
        self._everything, self._approval = everything, approval
        self._clock, self._retry_s = clock, retry_s

    async def foreseen(self) -> tuple[Counter[Fate], Results]:
        """What would become of the results now, and their digest; nothing is written."""
        known, _ = await self._recorded()
        counts: Counter[Fate] = Counter()
        results = Results()
        held = await self._desk.broker.bounds(self._desk.topics["certificates"])
        for partition, (start, end) in sorted((await self._desk.broker.bounds(self._run.results)).items()):
            async with aclosing(self._desk.broker.read(self._run.results, partition, start, end)) as batches:
                async for batch in batches:
                    for record in batch:
                        results.add(partition, record.offset, record.value)
                        coded, entry, found = self._fate(record, known)
                        origin = coded.origin
                        if (
                            found in PUBLISHED
                            and wanted(coded)
                            and origin.offset < held.get(origin.partition, (1 << 62, 0))[0]
                        ):
                            found = Fate.GONE
                        counts[found] += 1
                        if found in PUBLISHED:
                            known.add(published(coded, entry), coded.origin)
        return counts, results

    async def publish(self) -> Counter[Fate]:
        """Publish what is left; what became of all of them, those of earlier processes included.

        Raises:
            Overtaken: another process publishes.
        """
        broker, run = self._desk.broker, self._run
        bounds = await broker.bounds(run.results)
        total: Counter[Fate] = Counter()
        for partition, (start, end) in sorted(bounds.items()):
            name = f"{run.live}-recode-{partition}"
            transactions = broker.transactions(name, run.recode_group, (run.results, partition))
            try:
                while True:
                    try:
                        position = await transactions.begin()
                        # Only now: what a process before us was about to commit is there, or never will be.
                        known, there = await self._recorded()
                        if position is None and there.get(partition):
                            position = await self._recovered(partition, start, there[partition])
                        counts = _counts(position)
                        begin = max(start, position.offset) if position else start
                        async with aclosing(broker.read(run.results, partition, begin, end, AT_ONCE)) as batches:
                            async for batch in batches:
                                written = await self._written(batch, known, counts)
                                await transactions.commit(written, Position(batch[-1].offset + 1, _note(counts)))
                        await transactions.commit([], Position(end, _note(counts)))
                        break
                    except BrokerUnavailable as error:
                        log.warning("held: publishing begins again", code=error.code, reason=error.message)
                        await asyncio.sleep(self._retry_s)
            finally:
                await transactions.close()
            total += counts
        return total

    async def _recorded(self) -> tuple[Recorded, dict[int, dict[int, Fate]]]:
        """What is recorded of the run's certificates; and its own results among that, by partition and offset."""
        topics, broker, run = self._desk.topics, self._desk.broker, self._run
        bounds, results = await broker.bounds(topics["coded"]), await broker.bounds(run.results)
        ids = await keys(broker, run.results)
        known, there = Recorded(topics["certificates"]), dict[int, dict[int, Fate]]()
        async with aclosing(coded_records(broker, self._desk.wire, topics["coded"], bounds, only=ids)) as records:
            async for record, coded in records:
                known.add(coded, record.origin)
                if record.header(RUN_HEADER) == run.name and (of := source_of(record, run.results, results)):
                    there.setdefault(of[0], {})[of[1]] = Fate.REVISED if coded.revision else Fate.NEW
        return known, there

    async def _recovered(self, partition: int, start: int, there: Mapping[int, Fate]) -> Position:
        """How far publishing a partition is, where Kafka has forgotten it: behind the last of its results that is there.

        What is not there before that was left alone for reasons that may hold no more; it stays so.
        """
        last, read = max(there), 0
        async with aclosing(self._desk.broker.read(self._run.results, partition, start, last + 1)) as batches:
            async for batch in batches:
                read += len(batch)
        counts = Counter(there.values())
        counts[Fate.PASSED] = read - counts.total()
        return Position(last + 1, _note(counts))

    def _fate(self, record: Record, known: Recorded) -> tuple[CodedCertificate, Entry | None, Fate]:
        coded = read_coded(self._desk.wire.decode("coded", record.value))
        entry = known.get((coded.certificate_id, coded.version))
        latest = known.latest(coded.certificate_id)
        return coded, entry, fate(coded, entry, latest, self._trust, everything=self._everything)

    async def _written(self, batch: list[Record], known: Recorded, counts: Counter[Fate]) -> list[Written]:
        fates = [(record, *self._fate(record, known)) for record in batch]
        needed = [coded.origin for _, coded, _, what in fates if what in PUBLISHED and wanted(coded)]
        certificates = await self._certificates(needed)
        found: list[Written] = []
        for record, coded, _, _ in fates:
            # Asked again: what was just published of the same certificate counts.
            entry = known.get((coded.certificate_id, coded.version))
            latest = known.latest(coded.certificate_id)
            what = fate(coded, entry, latest, self._trust, everything=self._everything)
            if what in PUBLISHED:
                records = await self._records(record, coded, entry, certificates)
                if records:
                    found += records
                    known.add(published(coded, entry), coded.origin)
                else:
                    what = Fate.GONE
            counts[what] += 1
        return found

    async def _records(
        self, record: Record, coded: CodedCertificate, entry: Entry | None, certificates: Mapping[Origin, Record]
    ) -> list[Written]:
        """The coded record and its task; nothing where a person must look and the certificate is gone."""
        wire, topics = self._desk.wire, self._desk.topics
        fresh, key = published(coded, entry), coded.certificate_id.encode()
        headers = (
            (RUN_HEADER, self._run.name.encode()), (SOURCE_HEADER, record.place.encode()),
            (APPROVAL_HEADER, self._approval.encode()),
        )  # fmt: skip
        certificate = None
        if wanted(fresh):
            source = certificates.get(fresh.origin)
            certificate = await self._sealed(source, fresh) if source else None
            if certificate is None:
                return []
        placed = record.header(PRIORITY_HEADER)
        order = float(placed) if placed else priority(0, coded.underlying.confidence)
        made = task(fresh, certificate, order, self._clock())
        return [
            Written(topics["coded"], key, wire.encode("coded", coded_record(fresh)), headers),
            Written(topics["manual"], key, wire.encode("manual", task_record(made)), headers),
        ]

    async def _certificates(self, places: Collection[Origin]) -> dict[Origin, Record]:
        """The records at some places, as far as they are still kept; those that stand near one another are read together."""
        topic, broker = self._desk.topics["certificates"], self._desk.broker
        found: dict[Origin, Record] = {}
        held = await broker.bounds(topic) if places else {}
        for partition, (first, end) in held.items():
            offsets = sorted({p.offset for p in places if p.topic == topic and p.partition == partition})
            kept = [offset for offset in offsets if first <= offset < end]
            for start, stop in spans(kept):
                async with aclosing(broker.read(topic, partition, start, stop)) as batches:
                    async for batch in batches:
                        found |= {record.origin: record for record in batch}
        return found

    async def _sealed(self, record: Record, coded: CodedCertificate) -> Certificate | None:
        limits = self._desk.settings.limits
        try:
            value = self._desk.wire.decode("certificates", record.value)
            certificate = read_certificate(value, line_chars=limits.line_chars, lines=limits.lines, chars=limits.chars)
            if (certificate.certificate_id, certificate.version) != (coded.certificate_id, coded.version):
                return None
            ring: Keyring = self._desk.plain
            if self._desk.vault is not None:
                ring = await self._desk.vault.keyring([certificate.certificate_id])
            ring.check(certificate.certificate_id)
            return ring.seal(certificate)
        except InputError:  # shredded meanwhile, or nothing that can be read any more
            return None


def spans(offsets: Sequence[int], gap: int = NEAR) -> Iterator[tuple[int, int]]:
    """Stretches that hold some offsets, in order, cut where there is a gap.

    >>> list(spans([1, 2, 4, 900], gap=100))
    [(1, 5), (900, 901)]
    """
    start = last = None
    for offset in offsets:
        if start is None or last is None:
            start = offset
        elif offset - last > gap:
            yield start, last + 1
            start = offset
        last = offset
    if start is not None and last is not None:
        yield start, last + 1


def _counts(position: Position | None) -> Counter[Fate]:
    note = json.loads(position.note) if position and position.note else {}
    return Counter({Fate(name): number for name, number in note.items()})


def _note(counts: Counter[Fate]) -> str:
    return json.dumps({one.value: number for one, number in counts.items() if number})


async def progress(broker: Broker, run: Run) -> Counter[Fate] | None:
    """What became of a run's results so far; None where nothing was published yet."""
    total: Counter[Fate] = Counter()
    begun = False
    for partition in await broker.bounds(run.results):
        position = await broker.position(run.recode_group, run.results, partition)
        begun = begun or position is not None
        total += _counts(position)
    return total if begun else None


async def counted(desk: Desk, run: Run) -> tuple[int, int]:
    """Records of a run in `coded`, and how many of them stand there a second time."""
    topic = desk.topics["coded"]
    seen: set[str] = set()
    records = 0
    for partition, (start, end) in (await desk.broker.bounds(topic)).items():
        async with aclosing(desk.broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                for record in batch:
                    if record.header(RUN_HEADER) == run.name:
                        records += 1
                        seen.add(record.header(SOURCE_HEADER))
    return records, records - len(seen)
