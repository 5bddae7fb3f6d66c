"""A run counted anew: what was counted on the way against what its topics and its source hold."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from stream.replay.broker import Broker
from stream.replay.recovering import source_of
from stream.replay.run import Run
from stream.replay.tally import Tally


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
                        of = source_of(record, topic, bounds)
                        if of is None:
                            strangers += 1
                            continue
                        number = of[1] - bounds[of[0]][0]
                        twice += seen[of[0]][number]
                        seen[of[0]][number] = 1
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
