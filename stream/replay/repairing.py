"""Dead letters mended: their corrected certificates put into the stream, each once.

What is injected and the word that it was are one transaction: the certificate goes to the topic of certificates, its
provenance in headers; a line goes to `replay.repairs`, which nothing is ever taken from. All repairs write under one
name, so that whoever begins fences whoever was before him, and reads then what is mended. A letter that is mended is refused,
whatever died in between.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from stream.certificate import Status, certificate_record, utc_now
from stream.coding import DeadLetter
from stream.errors import BrokerUnavailable, InputError, InvalidCertificate
from stream.pipeline.record import place
from stream.replay.broker import NewTopic, Written
from stream.replay.feed import sealed_by
from stream.replay.letters import TOPIC, Letter, Mended, ledger, letters
from stream.replay.run import RETENTION
from stream.replay.shell import Desk

OF_HEADER, BY_HEADER, AT_HEADER, ERROR_HEADER = (
    "causa-repair-of", "causa-repair-by", "causa-repair-at", "causa-repair-error"
)  # fmt: skip
AT_ONCE = 200
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Unfit:
    """A corrected certificate that cannot be put into the stream: its letter, code and message of the error."""

    letter: str
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a repair did.

    Attributes:
        injected: letters whose certificates are in the stream now, by this process.
        before: letters that were mended earlier, and are refused.
        unknown: places where no dead letter stands.
        unfit: letters whose certificates cannot be put into the stream, with the reasons.
    """

    injected: tuple[str, ...]
    before: tuple[str, ...]
    unknown: tuple[str, ...]
    unfit: tuple[Unfit, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether any was."""
        return bool(self.before or self.unknown or self.unfit)


async def planned(desk: Desk, mended: Sequence[Mended], *, other_ids: bool = False) -> Outcome:
    """What a repair would do; nothing is written, and no key is made."""
    known = {one.place: one async for one in letters(desk)}
    found = _sorted(mended, known, await ledger(desk))
    unfit = await _unfit(desk, [one for one in mended if one.letter in found.injected], known, other_ids=other_ids)
    return replace(found, injected=tuple(n for n in found.injected if n not in unfit), unfit=tuple(unfit.values()))


async def _unfit(
    desk: Desk, mended: Sequence[Mended], known: Mapping[str, Letter], *, other_ids: bool
) -> dict[str, Unfit]:
    """Those that cannot be put into the stream, by letter.

    An id that is not the record's key may be a slip that makes one person's death another's, and text whose key was
    shredded must not come back under another's; so whose key seals the letter is asked too.

    Raises:
        KeysUnavailable: the key store does not answer.
    """
    found: dict[str, Unfit] = {}
    for start in range(0, len(mended), AT_ONCE):
        part = mended[start : start + AT_ONCE]
        owners = {one.letter: _owners(one, known[one.letter].letter) for one in part}
        ring = desk.plain
        if desk.vault is not None:
            ring = await asyncio.to_thread(desk.vault.get, sorted({o for each in owners.values() for o in each}))
        for one in part:
            try:
                key = (known[one.letter].letter.key or b"").decode("utf-8", "replace")
                if key and key != one.certificate.certificate_id and not other_ids:
                    raise InvalidCertificate("the id is not the key of the letter's record (--other-ids)")
                if one.certificate.status is not Status.VOID:  # withdrawals reach the shredded too
                    for owner in owners[one.letter]:
                        ring.check(owner)
            except InputError as error:
                found[one.letter] = Unfit(one.letter, error.code, error.message)
    return found


def _owners(one: Mended, letter: DeadLetter) -> set[str]:
    key = (letter.key or b"").decode("utf-8", "replace")
    return {one.certificate.certificate_id, key, sealed_by(letter) or ""} - {""}


def _sorted(mended: Sequence[Mended], known: Mapping[str, Letter], done: Mapping[str, Any]) -> Outcome:
    names = [one.letter for one in mended]
    return Outcome(
        tuple(n for n in names if n in known and n not in done),
        tuple(n for n in names if n in done),
        tuple(n for n in names if n not in known and n not in done),
    )


async def repair(
    desk: Desk, mended: Sequence[Mended], who: str, *, other_ids: bool = False,
    clock: Callable[[], datetime] = utc_now, retry_s: float = RETRY_S,
) -> Outcome:  # fmt: skip
    """Inject corrected certificates whose letters are not mended yet.

    Args:
        desk: broker, codec, keys.
        mended: certificates, each for its letter.
        who: who mended them.
        other_ids: also certificates whose id is not the key of the letter's record.
        clock: now, for tests.
        retry_s: wait before beginning again, seconds.

    Raises:
        Overtaken: another process repairs.
        KeysUnavailable: the key store does not answer; what is injected by then stays.
    """
    await desk.broker.create([NewTopic(TOPIC, 1, RETENTION)])
    known = {one.place: one async for one in letters(desk)}
    before = _sorted(mended, known, await ledger(desk))
    transactions = desk.broker.transactions(f"{desk.settings.worker.group}-repair")
    left = {one.letter: one for one in mended if one.letter in before.injected}
    unfit = await _unfit(desk, list(left.values()), known, other_ids=other_ids)
    left = {name: one for name, one in left.items() if name not in unfit}
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
                    written: dict[str, list[Written]] = {}
                    for one in list(left.values())[:AT_ONCE]:
                        try:
                            written[one.letter] = await _records(desk, one, known, who, own, clock())
                        except InputError as error:  # shredded just now
                            unfit[one.letter] = Unfit(one.letter, error.code, error.message)
                            del left[one.letter]
                    if not written:
                        continue
                    await transactions.commit([record for records in written.values() for record in records])
                    for name in written:
                        injected.append(name)
                        del left[name]
            except BrokerUnavailable:
                await asyncio.sleep(retry_s)
    finally:
        await transactions.close()
    return Outcome(tuple(injected), (*before.before, *taken), before.unknown, tuple(unfit.values()))


async def _records(
    desk: Desk, one: Mended, known: Mapping[str, Letter], who: str, own: str, now: datetime
) -> list[Written]:
    """The certificate as it goes into the stream, sealed where keys are set, and the line that says so."""
    certificate, letter = one.certificate, known[one.letter].letter
    ring = desk.plain if desk.vault is None else await desk.vault.keyring([certificate.certificate_id])
    if certificate.status is not Status.VOID:
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
