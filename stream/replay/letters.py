"""Dead letters as a person mends them: which there are, what is known of their repair, and the file that they are mended in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from stream.certificate import Certificate, certificate_json, read_certificate
from stream.coding import DeadLetter, read_dead_letter
from stream.errors import InputError, InvalidCertificate, SealedUnreadable, Shredded
from stream.replay.broker import Record
from stream.replay.feed import opened, sealed_by
from stream.replay.run import PREFIX, REPAIRS
from stream.replay.shell import Desk
from stream.sealing import Keyring

TOPIC = PREFIX + REPAIRS
"""What was mended; nothing is ever taken from it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter where it stands.

    Attributes:
        record: as the broker holds it.
        letter: what it says.
        mended: what is known of its repair; None where there is none.
    """

    record: Record
    letter: DeadLetter
    mended: Mapping[str, Any] | None = None

    @property
    def place(self) -> str:
        """By which it is named: `topic/partition/offset`."""
        return self.record.place


async def letters(desk: Desk, *, errors: frozenset[str] = frozenset()) -> AsyncGenerator[Letter]:
    """Dead letters as they stand, of some errors or of all, with what is known of their repair.

    Raises:
        BrokerUnavailable: Kafka does not answer.
    """
    mended = await ledger(desk)
    topic = desk.topics["dead-letters"]
    for partition, (start, end) in (await desk.broker.bounds(topic)).items():
        async with aclosing(desk.broker.read(topic, partition, start, end)) as batches:
            async for batch in batches:
                for record in batch:
                    try:
                        letter = read_dead_letter(desk.wire.decode("dead-letters", record.value))
                    except (InputError, ValueError):
                        continue
                    if not errors or letter.error in errors:
                        yield Letter(record, letter, mended.get(record.place))


async def ledger(desk: Desk) -> dict[str, Mapping[str, Any]]:
    """What was mended, by place of the letter."""
    if TOPIC not in await desk.broker.topics():
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for partition, (start, end) in (await desk.broker.bounds(TOPIC)).items():
        async with aclosing(desk.broker.read(TOPIC, partition, start, end)) as batches:
            async for batch in batches:
                for record in batch:
                    said = json.loads(record.value or b"{}")
                    found[said["letter"]] = said
    return found


async def exported(desk: Desk, found: Letter) -> dict[str, Any]:
    """A letter as a line of the file that is mended: its place, its error, its certificate as far as it can be read.

    The line holds text. What does not decode has no certificate; the person writes one.
    """
    ring = await _keys(desk, sealed_by(found.letter))
    line: dict[str, Any] = {"letter": found.place, "error": found.letter.error, "detail": found.letter.detail}
    chosen = opened(found.letter, ring)
    if chosen.refused is not None:
        return {**line, "unreadable": chosen.refused.code, "certificate": None}
    try:
        value = desk.wire.decode("certificates", chosen.incoming.value)
    except InputError:
        return {**line, "certificate": None}
    try:
        certificate = read_certificate(value, line_chars=1 << 20, lines=1 << 10, chars=1 << 22)
        # Its producer may have sealed it, and then the letter's own seal is around that.
        ring = await _keys(desk, certificate.certificate_id)
        return {**line, "certificate": certificate_json(ring.open(certificate))}
    except InputError as error:
        told = {"unreadable": error.code} if isinstance(error, Shredded | SealedUnreadable) else {}
        return {**line, **told, "certificate": _jsonable(value)}


async def _keys(desk: Desk, owner: str | None) -> Keyring:
    """The keys of the settings, and an owner's where there is one; none is made."""
    if owner is None or desk.vault is None:
        return desk.plain
    return await asyncio.to_thread(desk.vault.get, [owner])


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


@dataclass(frozen=True, slots=True)
class Mended:
    """A corrected certificate for a letter."""

    letter: str
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Refused:
    """A line of the file that is not injected; `why` names fields and places, no values."""

    line: int
    letter: str
    why: str


def read(lines: Sequence[str], desk: Desk) -> tuple[list[Mended], list[Refused]]:
    """Corrected certificates of a file of JSON lines: `letter` and `certificate`, other fields are left out."""
    limits = desk.settings.limits
    found: list[Mended] = []
    refused: list[Refused] = []
    named: set[str] = set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        letter = ""
        try:
            row = json.loads(line)
            letter = str(row["letter"])
            if row.get("certificate") is None:
                raise InvalidCertificate("there is no certificate")
            certificate = read_certificate(
                row["certificate"], line_chars=limits.line_chars, lines=limits.lines, chars=limits.chars
            )
            if letter in named:
                raise InvalidCertificate("the letter stands twice in the file")
        except (KeyError, TypeError, ValueError, RecursionError):
            refused.append(Refused(number, letter, "not a JSON object with letter and certificate"))
        except InputError as error:
            refused.append(Refused(number, letter, f"{error.code}: {error.message}"))
        else:
            named.add(letter)
            found.append(Mended(letter, certificate))
    return found, refused
