"""How far a run is where Kafka no longer knows: told by its results.

Kafka keeps the offsets of a group without members for `offsets.retention.minutes`, seven days where nobody set it
otherwise; a run that rests for longer would begin anew and write everything twice. Its results know it too: each names the
record that it was made of, and the results of a batch were one transaction with the offset behind it. All records up to
the last one that has a result are done; those among them without one were passed over. What was passed over behind it
wrote nothing, and is read, and passed over, again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

from stream.errors import InvalidSettings
from stream.replay.broker import Broker, Position, Record
from stream.replay.run import Run
from stream.replay.tally import SOURCE_HEADER, Tally


@dataclass(slots=True)
class Left:
    """What a run's topics hold of one partition of its source.

    Attributes:
        last: offset of the last record that has a result.
        written, dead: results and dead letters.
    """

    last: int = -1
    written: int = 0
    dead: int = 0


def source_of(record: Record, topic: str, bounds: Mapping[int, tuple[int, int]]) -> tuple[int, int] | None:
    """Partition and offset of the record that a result was made of; None where it names none in the range."""
    name, _, offset = record.header(SOURCE_HEADER).rpartition("/")
    name, _, partition = name.rpartition("/")
    if name != topic or not offset.isdigit() or not partition.isdigit() or int(partition) not in bounds:
        return None
    start, end = bounds[int(partition)]
    return (int(partition), int(offset)) if start <= int(offset) < end else None


async def left(broker: Broker, run: Run, topic: str, bounds: Mapping[int, tuple[int, int]]) -> dict[int, Left]:
    """What a run's topics hold, by partition of its source; partitions without a result are left out."""
    found: dict[int, Left] = {}
    for name in (run.results, run.dead):
        for partition, (start, end) in (await broker.bounds(name)).items():
            async with aclosing(broker.read(name, partition, start, end)) as batches:
                async for batch in batches:
                    for record in batch:
                        source = source_of(record, topic, bounds)
                        if source is None:
                            continue
                        one = found.setdefault(source[0], Left())
                        one.last = max(one.last, source[1])
                        one.written += name == run.results
                        one.dead += name == run.dead
    return found


async def recovered(
    broker: Broker, run: Run, topic: str, partition: int, bounds: Mapping[int, tuple[int, int]]
) -> Position | None:
    """How far a run is on a partition of its source, by its results; None where it has none.

    To be asked behind the fence of that partition's transactions, so that nobody writes meanwhile.

    Raises:
        InvalidSettings: records of the range are no longer kept, so that those passed over cannot be counted again.
    """
    known = (await left(broker, run, topic, bounds)).get(partition)
    if known is None:
        return None
    start = bounds[partition][0]
    if (await broker.bounds(topic))[partition][0] > start:
        raise InvalidSettings(
            f"how far run {run.name} was is known no more: it rested too long, and its source was cut meanwhile",
            hint="begin a new run; causa replay drop takes this one away",
        )
    read = 0
    async with aclosing(broker.read(topic, partition, start, known.last + 1)) as batches:
        async for batch in batches:
            read += len(batch)
    tally = Tally(read, read - known.written - known.dead, known.written, known.dead)
    return Position(known.last + 1, tally.note)


async def so_far(broker: Broker, run: Run, topic: str, bounds: Mapping[int, tuple[int, int]]) -> Tally:
    """How far a run is over all partitions, as far as anything tells; nobody is fenced."""
    total, known = Tally(), None
    for partition in bounds:
        position = await broker.position(run.group, topic, partition)
        if position is not None:
            total += Tally.of(position.note)
            continue
        known = await left(broker, run, topic, bounds) if known is None else known
        one = known.get(partition, Left())
        total += Tally(written=one.written, dead=one.dead)
    return total
