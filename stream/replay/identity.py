"""Whether the same versions gave the same: a run's results against those that the workers recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from stream.coding import Origin, read_coded
from stream.errors import InvalidSettings
from stream.replay.broker import Record
from stream.replay.outcome import differing, digest, identity
from stream.replay.plan import Plan
from stream.replay.recorded import coded_records, keys, recorded
from stream.replay.run import Run
from stream.replay.shell import Desk

SHOWN = 10


@dataclass
class Verdict:
    """What a check of identity found.

    Attributes:
        identical: results that are the same but for moment, origin and revision.
        different: those that are not.
        unrecorded: results of which the workers recorded none.
        paths: fields that differ, with the number of results.
        first: ids of the first that differ, with their fields.
    """

    identical: int = 0
    different: int = 0
    unrecorded: int = 0
    paths: Counter[str] = field(default_factory=Counter)
    first: list[tuple[str, int, list[str]]] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every result was recorded alike."""
        return not self.different and not self.unrecorded

    def told(self) -> Iterator[str]:
        """In words; fields, never values."""
        yield (
            f"identity: {self.identical:,} identical but for coded_at, origin and revision; {self.different:,} different; "
            f"{self.unrecorded:,} never recorded"
        )
        for path, number in self.paths.most_common(SHOWN):
            yield f"  {number:,} differ in {path}"
        for certificate_id, version, paths in self.first:
            yield f"  {certificate_id} version {version}: {', '.join(paths[:5])}"


async def same_versions(desk: Desk, run: Run, plan: Plan) -> Verdict:
    """Compare each result of a run with the machine's standing result of that version in `coded`, as far as the plan looked."""
    topics, ids = desk.topics, await keys(desk.broker, run.results)
    known = await recorded(desk.broker, desk.wire, topics["coded"], topics["certificates"], plan.coded, ids)
    verdict = Verdict()
    bounds = await desk.broker.bounds(run.results)
    async with aclosing(coded_records(desk.broker, desk.wire, run.results, bounds)) as records:
        async for _, coded in records:
            entry = known.get((coded.certificate_id, coded.version))
            if entry is None or entry.place is None or entry.machine is None:
                verdict.unrecorded += 1
                continue
            if digest(coded) == entry.machine.digest:
                verdict.identical += 1
                continue
            before = await _at(desk, entry.place)
            paths = differing(identity(read_coded(desk.wire.decode("coded", before.value))), identity(coded))
            verdict.different += 1
            verdict.paths.update(paths)
            if len(verdict.first) < SHOWN:
                verdict.first.append((coded.certificate_id, coded.version, paths))
    return verdict


async def _at(desk: Desk, at: Origin) -> Record:
    """The record at a place; it was read a moment ago."""
    async with aclosing(desk.broker.read(at.topic, at.partition, at.offset, at.offset + 1)) as batches:
        async for batch in batches:
            return batch[0]
    raise InvalidSettings(f"{at.topic} was cut while it was compared")
