"""Dead letters mended: which there are, and their corrected certificates put into the stream again, each once.

What is injected and the word that it was are one transaction: the certificate goes to the topic of certificates, its
provenance in headers; a line goes to `replay.repairs`, which nothing is ever taken from. All repairs write under one
name, so that whoever begins fences whoever was before him, and reads then what is mended. A letter that is mended is refused,
whatever died in between.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stream.certificate import Certificate, certificate_json, certificate_record, read_certificate, utc_now
from stream.coding import DeadLetter, read_dead_letter
from stream.errors import BrokerUnavailable, CausaError, InputError, InvalidCertificate
from stream.pipeline.record import place
from stream.replay.broker import NewTopic, Record, Written
from stream.replay.feed import opened, sealed_by
from stream.replay.run import PREFIX, REPAIRS, RETENTION
from stream.replay.shell import Desk

TOPIC = PREFIX + REPAIRS
OF_HEADER, BY_HEADER, AT_HEADER, ERROR_HEADER = (
    "causa-repair-of", "causa-repair-by", "causa-repair-at", "causa-repair-error"
)  # fmt: skip
AT_ONCE = 200
RETRY_S = 1.0


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
    ring = desk.plain
    owner = sealed_by(found.letter)
    if owner is not None and desk.vault is not None:
        ring = await asyncio.to_thread(desk.vault.get, [owner])
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
        return {**line, "certificate": certificate_json(ring.open(certificate))}
    except CausaError:
        return {**line, "certificate": _jsonable(value)}


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a repair did.

    Attributes:
        injected: letters whose certificates are in the stream now, by this process.
        before: letters that were mended earlier, and are refused.
        unknown: places where no dead letter stands.
    """

    injected: tuple[str, ...]
    before: tuple[str, ...]
    unknown: tuple[str, ...]


async def planned(desk: Desk, mended: Sequence[Mended]) -> Outcome:
    """What a repair would do; nothing is written."""
    known = {one.place: one async for one in letters(desk)}
    return _sorted(mended, known, await ledger(desk))


def _sorted(mended: Sequence[Mended], known: Mapping[str, Letter], done: Mapping[str, Any]) -> Outcome:
    names = [one.letter for one in mended]
    return Outcome(
        tuple(n for n in names if n in known and n not in done),
        tuple(n for n in names if n in done),
        tuple(n for n in names if n not in known and n not in done),
    )


async def repair(
    desk: Desk, mended: Sequence[Mended], who: str, *, clock: Callable[[], datetime] = utc_now, retry_s: float = RETRY_S
) -> Outcome:
    """Inject corrected certificates whose letters are not mended yet.

    Args:
        desk: broker, codec, keys.
        mended: certificates, each for its letter.
        who: who mended them.
        clock: now, for tests.
        retry_s: wait before beginning again, seconds.

    Raises:
        Overtaken: another process repairs.
    """
    await desk.broker.create([NewTopic(TOPIC, 1, RETENTION)])
    known = {one.place: one async for one in letters(desk)}
    before = _sorted(mended, known, await ledger(desk))
    transactions = desk.broker.transactions(f"{desk.settings.worker.group}-repair")
    left = {one.letter: one for one in mended if one.letter in before.injected}
    own = uuid.uuid4().hex
    injected: list[str] = []
    taken: list[str] = []
    try:
        while left:
            try:
                await transactions.begin()
                # Behind the fence: nobody else writes repairs now, and what was about to be is there or never will be.
                done = await ledger(desk)
                for name in [name for name in left if name in done]:
                    del left[name]
                    # By a transaction of ours whose end we did not hear of, or by somebody else just now.
                    (injected if done[name].get("by") == own else taken).append(name)
                while left:
                    part = list(left.values())[:AT_ONCE]
                    await transactions.commit(
                        [r for one in part for r in await _records(desk, one, known, who, own, clock())]
                    )
                    for one in part:
                        injected.append(one.letter)
                        del left[one.letter]
            except BrokerUnavailable:
                await asyncio.sleep(retry_s)
    finally:
        await transactions.close()
    return Outcome(tuple(injected), (*before.before, *taken), before.unknown)


async def _records(
    desk: Desk, one: Mended, known: Mapping[str, Letter], who: str, own: str, now: datetime
) -> list[Written]:
    """The certificate as it goes into the stream, sealed where keys are set, and the line that says so."""
    certificate, letter = one.certificate, known[one.letter].letter
    ring = desk.plain if desk.vault is None else await desk.vault.keyring([certificate.certificate_id])
    ring.check(certificate.certificate_id)
    sealed = ring.seal(certificate)
    record = certificate_record(sealed)
    record["received_at"] = record["received_at"] or now
    key = certificate.certificate_id.encode()
    headers = (
        (OF_HEADER, one.letter.encode()), (BY_HEADER, who.encode()), (AT_HEADER, now.isoformat().encode()),
        (ERROR_HEADER, letter.error.encode()),
    )  # fmt: skip
    said = {
        "letter": one.letter, "error": letter.error, "origin": place(letter.origin), "who": who, "at": now.isoformat(),
        "certificate_id": certificate.certificate_id, "version": certificate.version,
        "content_hash": sealed.content_hash, "by": own,
    }  # fmt: skip
    return [
        Written(desk.topics["certificates"], key, desk.wire.encode("certificates", record), headers),
        Written(TOPIC, key, json.dumps(said, sort_keys=True).encode()),
    ]
