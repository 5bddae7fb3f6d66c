"""What becomes of a run's results when they are to be official, result by result.

Pure: what is recorded comes in, what is to be written comes out. Nothing that a person decided, withdrew or amended is
touched; `supersedes` would have it so anyway, and the plan says how many there are. Who agreed to it: `agreeing`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from stream.automation import STRICTNESS
from stream.certificate import Certificate
from stream.coding import Automation, CodedCertificate, CodedStatus, ManualTask, Route, TaskState
from stream.replay.difference import changes
from stream.replay.outcome import digest, outcome
from stream.replay.recorded import Entry


class Fate(StrEnum):
    """What becomes of a result.

    REVISED: published as the next revision; NEW: published, nothing was recorded; SAME: says what is recorded, but maybe for
    figures, and stays out; HUMAN: a person decided, which stands; AMENDED: a later version of the certificate is recorded;
    WITHDRAWN: the version is; CONFLICT: its contents are not those recorded; HALTED: it is automatic, and automation has
    been lowered in its stratum since; GONE: a person must look, and the certificate can no longer be read; PASSED: left
    alone by a process whose counts Kafka has forgotten since.
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
    PASSED = "passed"


PUBLISHED = (Fate.REVISED, Fate.NEW)
TOLD = {
    Fate.REVISED: "published as the next revision", Fate.NEW: "published; nothing was recorded",
    Fate.SAME: "left out: they say what is recorded", Fate.HUMAN: "left alone: a person decided",
    Fate.AMENDED: "left alone: a later version is recorded", Fate.WITHDRAWN: "left alone: withdrawn",
    Fate.CONFLICT: "left alone: other contents under the same version",
    Fate.HALTED: "left alone: automatic, and automation has been lowered since",
    Fate.GONE: "left alone: a person must look, and the certificate is no longer kept",
    Fate.PASSED: "left alone earlier, for a reason that is no longer known",
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
