"""Whether Kafka has forgotten where a group was: looked at once, before the group is joined.

Kafka keeps the offsets of a group without members for `offsets.retention.minutes`, seven days where nobody set it
otherwise. A group that rests for longer would begin with the oldest record that is retained, and code again what was coded;
so would a new group over old topics. Results know it: each names the record that it was made of. Where a partition has no
offset and its records have results, nothing is begun: a person says where to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from stream import kafka, topics
from stream.coding import Origin
from stream.errors import InputError, InvalidSettings
from stream.transaction import PATIENCE_S, unknown
from stream.wire import Wire

LOOK = 500
"""Newest records of each partition of `coded` and `dead-letters` that are looked at. Results stand in the partition of
their certificate's key; those of a partition of the input are all over `coded` where its producer spreads keys otherwise."""
FETCH = 256 * 1024


class Forgotten:
    """Looks for partitions of a group without an offset whose records have results.

    Args:
        inputs: topics that the group reads, as Kafka names them.
        group: the consumer group.
        names: topic of each subject.
        wire: codec of all topics.
        options: connection options of aiokafka.
    """

    def __init__(
        self, inputs: Sequence[str], group: str, names: Mapping[str, str], wire: Wire, options: Mapping[str, Any]
    ) -> None:
        self._inputs, self._group, self._wire, self._options = tuple(inputs), group, wire, dict(options)
        self._results = {names[subject]: subject for subject in ("coded", "dead-letters")}

    async def check(self) -> None:
        """Look once; all topics are there.

        Raises:
            InvalidSettings: partitions have results and no offset; the message names where each may go on.
            BrokerUnavailable: not known.
        """
        reader = AIOKafkaConsumer(
            **self._options, group_id=None, enable_auto_commit=False, isolation_level="read_committed",
            auto_offset_reset="earliest", max_partition_fetch_bytes=FETCH,
        )  # fmt: skip
        with unknown():
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await reader.start()
                    done = await self._look(reader)
            finally:
                await kafka.ended(reader.stop())
        if done:
            told = ", ".join(f"{place.topic}/{place.partition} at {offset}" for place, offset in sorted(done.items()))
            raise InvalidSettings(
                f"Kafka knows no offset of group {self._group} for partitions that have results; they go on with {told}",
                hint="kafka-consumer-groups --reset-offsets --to-offset (0 codes again all that is retained); "
                "offsets.retention.minutes of the broker keeps them",
            )

    async def _look(self, reader: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Where the partitions without an offset would go on, by their results; those without results are left out."""
        number = await topics.partitions(self._options, (*self._inputs, *self._results))
        lost = await self._without_offset([TopicPartition(t, p) for t in self._inputs for p in range(number[t])])
        retained = await _bounds(reader, lost)
        retained = {place: bounds for place, bounds in retained.items() if bounds[0] < bounds[1]}
        if not retained:
            return {}
        results = [TopicPartition(t, p) for t in self._results for p in range(number[t])]
        found = going_on(await self._origins(reader, results), retained)
        # Another worker may have committed its first results meanwhile, and its first offset with them.
        still = await self._without_offset(list(found))
        return {place: offset for place, offset in found.items() if place in still}

    async def _without_offset(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        if not places:
            return []
        found = await kafka.committed(self._options, self._group, places)
        return [place for place in places if found[place].offset < 0]

    async def _origins(self, reader: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> list[Origin]:
        """What the newest results were made of."""
        bounds = {place: b for place, b in (await _bounds(reader, places)).items() if b[0] < b[1]}
        reader.assign(list(bounds))
        for place, (begin, end) in bounds.items():
            reader.seek(place, max(begin, end - LOOK))
        origins = []
        while any([await reader.position(place) < end for place, (_, end) in bounds.items()]):
            for place, records in (await reader.getmany(timeout_ms=200)).items():
                origins += [o for r in records if (o := self._origin(self._results[place.topic], r.value))]
        return origins

    def _origin(self, subject: str, value: bytes | None) -> Origin | None:
        try:
            return Origin(**self._wire.decode(subject, value)["origin"])
        except InputError:  # not ours
            return None


def going_on(
    origins: Iterable[Origin], retained: Mapping[TopicPartition, tuple[int, int]]
) -> dict[TopicPartition, int]:
    """Where partitions go on behind the last of their records that have results.

    Args:
        origins: records that have results.
        retained: first offset that is kept and the next to be written, by partition.

    Returns:
        By partition, without those that have no result of a record that is retained: none would be coded twice. Nor has
        a result of an offset that is not written yet: the topic was made anew since.
    """
    found: dict[TopicPartition, int] = {}
    for origin in origins:
        place = TopicPartition(origin.topic, origin.partition)
        begin, end = retained.get(place, (0, 0))
        if begin <= origin.offset < end:
            found[place] = max(found.get(place, 0), origin.offset + 1)
    return found


async def _bounds(reader: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
    if not places:
        return {}
    begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    return {place: (begins[place], ends[place]) for place in places}
