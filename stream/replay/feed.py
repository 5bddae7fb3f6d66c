"""What a replay reads, record by record: which are taken, and what each is given to the core as."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from stream.coding import Automation, DeadLetter, Modality, Origin, read_dead_letter
from stream.errors import InputError
from stream.pipeline.record import Incoming, place
from stream.replay.broker import Broker, Record
from stream.replay.outcome import outcome
from stream.replay.recorded import Bounds, Key, coded_records
from stream.replay.selection import Selection
from stream.sealing import Keyring
from stream.sealing.envelope import owner_of
from stream.wire import Wire


@dataclass(frozen=True, slots=True)
class Chosen:
    """A record that is taken.

    Attributes:
        incoming: what the core is given.
        level: how far the machine is to be trusted with it; None is what holds at large.
        refused: why it cannot even be given to the core.
    """

    incoming: Incoming
    level: Automation | None = None
    refused: InputError | None = None


class Feed(Protocol):
    """Chooses among the records of a topic."""

    async def choose(self, records: Sequence[Record]) -> list[Chosen | None]:
        """For each record what is taken of it; None where it is passed over."""

    async def takes(self, records: Sequence[Record]) -> list[bool]:
        """For each record whether it is taken."""


@dataclass(slots=True)
class Choices:
    """What `coded` says that choosing needs, for each certificate version.

    Attributes:
        matching: versions whose standing machine result the selection takes.
        lowered: how far the machine was trusted with a version, where it was not at NORMAL.
        places: where the certificates of the matching results stood.
        gone: matching results that tell no place of their certificate.
    """

    matching: set[Key] = field(default_factory=set)
    lowered: dict[Key, Automation] = field(default_factory=dict)
    places: dict[Key, Origin] = field(default_factory=dict)
    gone: int = 0


async def choices(
    broker: Broker,
    wire: Wire,
    topic: str,
    bounds: Bounds,
    selection: Selection,
    source: str,
    within: Bounds | None = None,
) -> Choices:
    """Read `coded` and keep of it what choosing needs.

    Args:
        broker: holds the topic.
        wire: codec.
        topic: name of `coded`.
        bounds: how far it is read.
        selection: which results are wanted.
        source: name of the topic of certificates.
        within: take only versions whose standing result lies in this part of `coded`; None for all.
    """
    standing: dict[Key, tuple[int, float, str]] = {}
    found = Choices()
    certificates: dict[Key, Origin] = {}
    async with aclosing(coded_records(broker, wire, topic, bounds)) as records:
        async for record, coded in records:
            if not selection.of_id(coded.certificate_id):
                continue
            key = coded.certificate_id, coded.version
            if coded.origin.topic == source:
                certificates[key] = coded.origin
            if coded.modality is Modality.HUMAN:
                continue
            rank = (coded.revision, coded.coded_at.timestamp(), coded.content_hash)
            if key in standing and rank <= standing[key]:
                continue
            standing[key] = rank
            start, end = (within or bounds).get(record.partition, (0, 0))
            taken = start <= record.offset < end and selection.of_recorded(outcome(coded))
            (found.matching.add if taken else found.matching.discard)(key)
            if coded.targeting.automation is Automation.NORMAL:
                found.lowered.pop(key, None)
            else:
                found.lowered[key] = coded.targeting.automation
    found.places = {key: certificates[key] for key in found.matching if key in certificates}
    found.gone = len(found.matching) - len(found.places)
    return found


class CertificateFeed:
    """Certificates, all of them or those that a selection takes.

    Args:
        wire: codec.
        selection: which.
        known: what `coded` says; None where neither the selection nor the trust asks it.
        places: only the records that stand there, by partition; None for all.
    """

    def __init__(
        self,
        wire: Wire,
        selection: Selection,
        known: Choices | None = None,
        places: Mapping[int, frozenset[int]] | None = None,
    ) -> None:
        self._wire, self._selection, self._known, self._places = wire, selection, known, places

    async def choose(self, records: Sequence[Record]) -> list[Chosen | None]:
        """See `Feed.choose`."""
        return [self._chosen(record) for record in records]

    async def takes(self, records: Sequence[Record]) -> list[bool]:
        """See `Feed.takes`."""
        return [self._chosen(record) is not None for record in records]

    def _chosen(self, record: Record) -> Chosen | None:
        if self._places is not None and record.offset not in self._places.get(record.partition, ()):
            return None
        level = None
        if self._known is not None or self._selection.ids:
            key = self._key(record)
            if key is None:
                # What does not decode is no version that anything is known of; without a filter it is read again too.
                taken = not self._selection.ids and not self._selection.asks_recorded
            else:
                taken = self._selection.of_id(key[0])
                if self._known is not None:
                    taken = taken and (not self._selection.asks_recorded or key in self._known.matching)
                    level = self._known.lowered.get(key)
            if not taken:
                return None
        return Chosen(Incoming(record.value, record.key, record.origin), level)

    def _key(self, record: Record) -> Key | None:
        try:
            value = self._wire.decode("certificates", record.value)
            return str(value["certificate_id"]), int(value["version"])
        except (InputError, KeyError, ValueError):
            return None


class Opening(Protocol):
    """What a feed of dead letters needs of a key store (`stream.sealing.vault.Vault`)."""

    def get(self, owners: Sequence[str]) -> Keyring:
        """The keys that there are."""


class LetterFeed:
    """Dead letters: the bytes as they came, given to the core once more.

    Args:
        wire: codec.
        selection: ids and errors.
        source: topic that the letters' records came from; those of other topics are passed over.
        plain: the keys of the settings.
        vault: certificates' own keys; None where there are none.
    """

    def __init__(
        self, wire: Wire, selection: Selection, source: str, plain: Keyring, vault: Opening | None = None
    ) -> None:
        self._wire, self._selection, self._source = wire, selection, source
        self._plain, self._vault = plain, vault

    async def takes(self, records: Sequence[Record]) -> list[bool]:
        """See `Feed.takes`."""
        return [self._letter(record) is not None for record in records]

    async def choose(self, records: Sequence[Record]) -> list[Chosen | None]:
        """See `Feed.choose`."""
        letters = [self._letter(record) for record in records]
        keyring = await self._keys([letter for letter in letters if letter is not None])
        return [None if letter is None else opened(letter, keyring) for letter in letters]

    def _letter(self, record: Record) -> DeadLetter | None:
        try:
            letter = read_dead_letter(self._wire.decode("dead-letters", record.value))
        except (InputError, ValueError):
            return None
        if letter.origin.topic != self._source or not self._selection.of_error(letter.error):
            return None
        return letter if self._selection.of_id((letter.key or b"").decode("utf-8", "replace")) else None

    async def _keys(self, letters: Sequence[DeadLetter]) -> Keyring:
        owners = {owner for letter in letters if (owner := sealed_by(letter))}
        if self._vault is None or not owners:
            return self._plain
        return await asyncio.to_thread(self._vault.get, sorted(owners))


def sealed_by(letter: DeadLetter) -> str | None:
    """Whose own key seals a letter's payload; None where none does."""
    if letter.payload is None or isinstance(letter.payload, bytes):
        return None
    return owner_of(letter.payload.key_id)


def opened(letter: DeadLetter, keyring: Keyring) -> Chosen:
    """A letter's bytes as the core takes them, or why they are not to be had."""
    try:
        value = letter.payload
        if value is not None and not isinstance(value, bytes):
            value = keyring.open_bytes(value, place(letter.origin), "payload")
        return Chosen(Incoming(value, letter.key, letter.origin))
    except InputError as error:
        return Chosen(Incoming(None, letter.key, letter.origin), refused=error)
