"""What the topic `coded` says of each certificate version: the machine's standing result, and whether a person decided."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from stream.coding import CodedCertificate, CodedStatus, Modality, Origin, read_coded
from stream.errors import InputError
from stream.replay.broker import Broker, Record
from stream.replay.outcome import Outcome, outcome
from stream.wire import Wire

Key = tuple[str, int]
"""Certificate id and version."""
Bounds = Mapping[int, tuple[int, int]]
"""By partition, first offset and the one behind the last."""
_Rank = tuple[bool, int, float, str]


@dataclass(slots=True)
class Entry:
    """What is recorded of one certificate version.

    Attributes:
        machine: the machine's standing result; None where there is none.
        human: whether a person's decision is there.
        withdrawn: whether the version is a withdrawal.
        revision: highest revision among the machine's results; -1 where there is none.
        certificate: where the certificate stood, by the newest record that tells.
        place: where the machine's standing result stands in `coded`.
        times: records of the version.
    """

    machine: Outcome | None = None
    human: bool = False
    withdrawn: bool = False
    revision: int = -1
    certificate: Origin | None = None
    place: Origin | None = None
    times: int = 0
    _rank: _Rank = (False, -1, 0.0, "")


class Recorded:
    """Results by certificate version.

    Args:
        source: topic of certificates: an origin elsewhere tells no place to read a certificate from again.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._entries: dict[Key, Entry] = {}
        self._latest: dict[str, int] = {}
        self.undecoded = 0

    def add(self, coded: CodedCertificate, place: Origin) -> None:
        """Take a record in; the order of records does not matter."""
        key = coded.certificate_id, coded.version
        entry = self._entries.get(key) or self._entries.setdefault(key, Entry())
        entry.times += 1
        self._latest[key[0]] = max(self._latest.get(key[0], 0), coded.version)
        if coded.modality is Modality.HUMAN:
            entry.human = True
            return
        entry.revision = max(entry.revision, coded.revision)
        entry.withdrawn = entry.withdrawn or coded.status is CodedStatus.WITHDRAWN
        if coded.origin.topic == self._source:
            entry.certificate = coded.origin
        # The order of `supersedes` among machine results of one version.
        rank = (coded.status is CodedStatus.WITHDRAWN, coded.revision, coded.coded_at.timestamp(), coded.content_hash)
        if entry.machine is None or rank > entry._rank:
            entry.machine, entry.place, entry._rank = outcome(coded), place, rank

    def get(self, key: Key) -> Entry | None:
        """What is recorded of a certificate version."""
        return self._entries.get(key)

    def latest(self, certificate_id: str) -> int:
        """Highest version that is recorded of a certificate; 0 where none is."""
        return self._latest.get(certificate_id, 0)

    def __iter__(self) -> Iterator[tuple[Key, Entry]]:
        return iter(self._entries.items())

    def __len__(self) -> int:
        return len(self._entries)


async def coded_records(
    broker: Broker,
    wire: Wire,
    topic: str,
    bounds: Bounds,
    failed: Callable[[Record], None] = lambda _: None,
    only: frozenset[bytes] | None = None,
) -> AsyncGenerator[tuple[Record, CodedCertificate]]:
    """Records of a topic of schema `coded`, partition after partition.

    Args:
        broker: holds them.
        wire: codec.
        topic: its name.
        bounds: what is read.
        failed: told of a record that does not decode.
        only: keys of the records that are wanted; None for all.
    """
    for partition, (start, end) in sorted(bounds.items()):
        async with aclosing(broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                for record in batch:
                    if only is not None and record.key not in only:
                        continue
                    try:
                        yield record, read_coded(wire.decode("coded", record.value))
                    except (InputError, ValueError):
                        failed(record)


async def keys(broker: Broker, topic: str) -> frozenset[bytes]:
    """Keys of all records of a topic."""
    found: set[bytes] = set()
    for partition, (start, end) in (await broker.bounds(topic)).items():
        async with aclosing(broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                found |= {record.key for record in batch if record.key is not None}
    return frozenset(found)


async def recorded(
    broker: Broker, wire: Wire, topic: str, source: str, bounds: Bounds, only: frozenset[bytes] | None = None
) -> Recorded:
    """What a stretch of `coded` says, certificate version by certificate version.

    Args:
        broker: holds it.
        wire: codec.
        topic: name of `coded`.
        source: name of the topic of certificates.
        bounds: what is read.
        only: keys of the records that are wanted; None for all.
    """
    found = Recorded(source)

    def failed(_: Record) -> None:
        found.undecoded += 1

    async with aclosing(coded_records(broker, wire, topic, bounds, failed, only)) as records:
        async for record, coded in records:
            found.add(coded, record.origin)
    return found
