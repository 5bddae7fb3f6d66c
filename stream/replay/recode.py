"""What becomes of a run's results when they are to be official: result by result, and who agreed to it.

Pure: what is recorded and what was proposed and approved come in, what is to be written comes out. Nothing that a person
decided, withdrew or amended is touched; `supersedes` would have it so anyway, and the plan says how many there are.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stream.automation import STRICTNESS
from stream.certificate import Certificate
from stream.coding import Automation, CodedCertificate, CodedStatus, ManualTask, Route, TaskState
from stream.errors import InvalidSettings
from stream.replay import signing
from stream.replay.difference import changes
from stream.replay.manifest import Act, Event
from stream.replay.outcome import digest, outcome
from stream.replay.recorded import Entry
from stream.replay.signing import Person


class Fate(StrEnum):
    """What becomes of a result.

    REVISED: published as the next revision; NEW: published, nothing was recorded; SAME: says what is recorded, but maybe for
    figures, and stays out; HUMAN: a person decided, which stands; AMENDED: a later version of the certificate is recorded;
    WITHDRAWN: the version is; CONFLICT: its contents are not those recorded; HALTED: it is automatic, and automation has
    been lowered in its stratum since; GONE: a person must look, and the certificate can no longer be read.
    """

    REVISED = "revised"
    NEW = "new"
    SAME = "same"
    HUMAN = "human"
    AMENDED = "amended"
    WITHDRAWN = "withdrawn"
    CONFLICT = "conflict"
    HALTED = "halted"
    GONE = "gone"


PUBLISHED = (Fate.REVISED, Fate.NEW)
TOLD = {
    Fate.REVISED: "published as the next revision", Fate.NEW: "published; nothing was recorded",
    Fate.SAME: "left out: they say what is recorded", Fate.HUMAN: "left alone: a person decided",
    Fate.AMENDED: "left alone: a later version is recorded", Fate.WITHDRAWN: "left alone: withdrawn",
    Fate.CONFLICT: "left alone: other contents under the same version",
    Fate.HALTED: "left alone: automatic, and automation has been lowered since",
    Fate.GONE: "left alone: a person must look, and the certificate is no longer kept",
}  # fmt: skip


def fate(  # noqa: PLR0911 - a return for each fate
    coded: CodedCertificate,
    entry: Entry | None,
    latest: int,
    now: Mapping[str, Automation],
    *,
    everything: bool = False,
) -> Fate:
    """What becomes of a result.

    Args:
        coded: the result.
        entry: what is recorded of its certificate version.
        latest: highest version that is recorded of the certificate.
        now: how far the machine is trusted now, by stratum.
        everything: publish what differs in figures and versions alone, too.
    """
    if latest > coded.version:
        return Fate.AMENDED
    if entry is not None:
        if entry.human:
            return Fate.HUMAN
        if entry.withdrawn:
            return Fate.WITHDRAWN
        if entry.machine is not None:
            if entry.machine.content_hash != coded.content_hash:
                return Fate.CONFLICT
            alike = entry.machine.digest == digest(coded) if everything else not changes(entry.machine, outcome(coded))
            if alike:
                return Fate.SAME
    target = coded.targeting
    automatic = coded.status is not CodedStatus.WITHDRAWN and target.route is Route.AUTO
    if automatic and STRICTNESS[now.get(target.stratum, Automation.NORMAL)] > STRICTNESS[target.automation]:
        return Fate.HALTED
    return Fate.NEW if entry is None or entry.machine is None else Fate.REVISED


def wanted(coded: CodedCertificate) -> bool:
    """Whether a person must look at a result."""
    return coded.status is not CodedStatus.WITHDRAWN and (
        coded.targeting.route is Route.MANUAL or coded.targeting.audit
    )


def published(coded: CodedCertificate, entry: Entry | None) -> CodedCertificate:
    """The result as it is published: the next revision of its certificate version."""
    return replace(coded, revision=entry.revision + 1 if entry is not None else 0)


def task(coded: CodedCertificate, certificate: Certificate | None, priority: float, now: datetime) -> ManualTask:
    """The task that goes with a published result: open where a person must look, else taken away.

    Args:
        coded: as published.
        certificate: sealed, where a person must look.
        priority: in the queue.
        now: moment of publishing.
    """
    needed, blind = wanted(coded), coded.targeting.audit
    return ManualTask(
        coded.certificate_id, coded.version, coded.revision, TaskState.OPEN if needed else TaskState.NONE,
        coded.targeting.reasons if needed and not blind else (), priority if needed else 0.0, blind and needed,
        certificate if needed else None, coded if needed and not blind else None, now,
    )  # fmt: skip


class Results:
    """Digest of all results of a run, in the order of partitions and offsets: what is approved is these and no others."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.records = 0

    def add(self, partition: int, offset: int, value: bytes | None) -> None:
        """Take a record in."""
        self._hash.update(f"{partition}/{offset}/{len(value or b'')}\n".encode() + (value or b""))
        self.records += 1

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256."""
        return self._hash.hexdigest()


@dataclass(frozen=True, slots=True)
class Agreed:
    """A recode that two people agreed to."""

    proposal: Mapping[str, Any]
    proposer: str
    approver: str
    hash: str

    @property
    def everything(self) -> bool:
        """Whether results that differ in figures and versions alone are published too."""
        return bool(self.proposal["everything"])


def proposed(
    run: str, results: Results, report: str, counts: Counter[Fate], who: str, now: datetime, *, everything: bool
) -> dict[str, Any]:
    """What a proposer signs.

    Args:
        run: the run.
        results: digest of its results.
        report: hash of the comparison that was looked at.
        counts: what would become of them now.
        who: proposer.
        now: when.
        everything: see `fate`.
    """
    return {
        "act": "propose", "run": run, "results": results.digest, "records": results.records, "report": report,
        "everything": everything, "counts": {one.value: counts[one] for one in Fate}, "who": who, "at": now.isoformat(),
    }  # fmt: skip


def signed(statement: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """A statement with its signature, as the manifest holds it."""
    value = signing.canonical(statement)
    return {"statement": base64.b64encode(value).decode(), "signature": signing.sign(key, value)}


def own(who: str, key: Ed25519PrivateKey, known: Mapping[str, Person], role: str) -> Person:
    """The person that signs.

    Raises:
        InvalidSettings: nobody of that name may do it, or the key is another's.
    """
    person = known.get(who)
    if person is None or role not in person.roles:
        raise InvalidSettings(f"{who} may not {role}", hint="CAUSA_REPLAY__PEOPLE names who may")
    if signing.told(person.key) != signing.told(key.public_key()):
        raise InvalidSettings(f"the key is not {who}'s", hint="--key names the private key of the person of --as")
    return person


def _statement(event: Event, known: Mapping[str, Person], role: str) -> tuple[dict[str, Any], bytes] | None:
    """A signed statement of the manifest, where the signature is of someone who may."""
    try:
        value = base64.b64decode(event.body["statement"], validate=True)
        statement = json.loads(value)
        person = known.get(statement["who"])
    except (KeyError, ValueError, TypeError):
        return None
    if person is None or role not in person.roles or not signing.holds(person.key, event.body["signature"], value):
        return None
    return statement, value


def standing_proposal(events: Sequence[Event], known: Mapping[str, Person]) -> tuple[dict[str, Any], str] | None:
    """The newest proposal of a run whose signature holds, with its hash; None where there is none."""
    for event in reversed(events):
        if event.act is Act.PROPOSED and (found := _statement(event, known, "propose")):
            return found[0], hashlib.sha256(found[1]).hexdigest()
    return None


def agreed(events: Sequence[Event], known: Mapping[str, Person]) -> Agreed | None:
    """What two people agreed to: the newest proposal, where somebody else has approved just that one.

    Both signatures are checked, and that name and key of the two differ (no key has two names: `signing.people`).
    """
    proposal = standing_proposal(events, known)
    if proposal is None:
        return None
    statement, hashed = proposal
    for event in events:
        if event.act is not Act.APPROVED or (found := _statement(event, known, "approve")) is None:
            continue
        approval = found[0]
        if (
            approval.get("act") == "approve"
            and approval.get("proposal") == hashed
            and approval["who"] != statement["who"]
        ):
            return Agreed(statement, statement["who"], approval["who"], hashed)
    return None
