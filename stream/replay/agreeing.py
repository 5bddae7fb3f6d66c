"""Who agreed to a recode: what a proposer and an approver sign, and whether that holds.

Pure: the manifest and the list of people come in. A statement names what it is about by hashes: the run's results, the
comparison that was looked at, the list of those who may propose and approve.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stream.errors import InvalidSettings
from stream.replay import signing
from stream.replay.manifest import Act, Event
from stream.replay.recode import Fate, Results
from stream.replay.signing import Person


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
    run: str, results: Results, report: str, counts: Counter[Fate], who: str, now: datetime, *, people: str,
    everything: bool,
) -> dict[str, Any]:  # fmt: skip
    """What a proposer signs.

    Args:
        run: the run.
        results: digest of its results.
        report: hash of the comparison that was looked at.
        counts: what would become of them now.
        who: proposer.
        now: when.
        people: hash of the list of those who may propose and approve (`signing.digest_of`).
        everything: see `fate`.
    """
    return {
        "act": "propose", "run": run, "results": results.digest, "records": results.records, "report": report,
        "everything": everything, "counts": {one.value: counts[one] for one in Fate}, "people": people, "who": who,
        "at": now.isoformat(),
    }  # fmt: skip


def approved(run: str, proposal: str, who: str, now: datetime, *, people: str) -> dict[str, Any]:
    """What an approver signs.

    Args:
        run: the run.
        proposal: hash of the proposal.
        who: approver.
        now: when.
        people: see `proposed`.
    """
    return {
        "act": "approve", "run": run, "proposal": proposal, "people": people, "who": who, "at": now.isoformat()
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


def same_people(statement: Mapping[str, Any], known: Mapping[str, Person]) -> None:
    """Refuse a proposal that was made under another list of people.

    Raises:
        InvalidSettings: who may propose and approve is not what it was.
    """
    if statement.get("people") != signing.digest_of(known):
        raise InvalidSettings(
            f"who may propose and approve is not what it was when {statement['who']} proposed",
            hint="CAUSA_REPLAY__PEOPLE must name the same list; under another one it is proposed and approved anew",
        )


def _statement(event: Event, known: Mapping[str, Person], role: str) -> tuple[dict[str, Any], bytes] | None:
    """A signed statement of the manifest of the kind of a role, where the signature is of someone who has it."""
    try:
        value = base64.b64decode(event.body["statement"], validate=True)
        statement = json.loads(value)
        person = known.get(statement["who"])
    except (KeyError, ValueError, TypeError):
        return None
    if person is None or role not in person.roles or statement.get("act") != role:
        return None
    if not signing.holds(person.key, str(event.body.get("signature")), value):
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

    Both signatures are checked, that name and key of the two differ (no key has two names: `signing.people`), and that the
    list of people was the same for both and is so now: nobody is put on it to approve and taken off again.
    """
    proposal = standing_proposal(events, known)
    if proposal is None:
        return None
    statement, hashed = proposal
    listed = signing.digest_of(known)
    if statement.get("people") != listed:
        return None
    for event in events:
        if event.act is not Act.APPROVED or (found := _statement(event, known, "approve")) is None:
            continue
        approval = found[0]
        if (
            approval.get("proposal") == hashed
            and approval.get("people") == listed
            and approval["who"] != statement["who"]
        ):
            return Agreed(statement, statement["who"], approval["who"], hashed)
    return None
