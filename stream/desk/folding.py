"""Records of the topics into the desk's tables, in the transaction that moves the offsets.

Topics come in any order beside one another, and any record may come twice: the facts end the same. A certificate that the
machine codes alone leaves one slim row; lines are kept only of what a person may look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection

from stream.certificate import Certificate
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    ManualTask,
    Modality,
    Route,
    TaskState,
    read_coded,
    read_correction,
    read_task,
)
from stream.database import upsert
from stream.desk import records, store
from stream.desk.tables import CLAIMS, CODED, DECISIONS, DRAFTS, MANUAL, MARKS, TASKS
from stream.reader import Read

log = structlog.get_logger("causa.desk")
SUBJECTS = ("manual", "coded", "corrections")
"""Topics that the desk is made from."""


def fold(connection: Connection, reads: Sequence[Read]) -> None:
    """Take a batch. A record that is not what its topic should hold is left out and told in the log, by its place."""
    batch = _Batch(connection, reads)
    for read in reads:
        try:
            value = _READERS[read.subject](read.value)
        except (ValueError, TypeError, KeyError):
            place = read.place
            log.warning("a record is left out", topic=place.topic, partition=place.partition, offset=place.offset)
            continue
        if isinstance(value, ManualTask):
            batch.task(value)
        elif isinstance(value, CodedCertificate):
            batch.coded(value)
        else:
            batch.decision(value)
    batch.write()


def _coded(value: dict[str, Any]) -> CodedCertificate:
    targeting = value["targeting"]
    watched = targeting["route"] == Route.MANUAL or targeting["audit"] or value["revision"] > 0
    # Lines are nine tenths of a record, and nobody looks at those of a certificate that no person sees.
    return read_coded(value if watched else {**value, "part1": (), "part2": ()})


_READERS: Mapping[str, Callable[[Any], ManualTask | CodedCertificate | Correction]] = {
    "manual": read_task,
    "coded": _coded,
    "corrections": read_correction,
}


class _Batch:
    """The rows that a batch touches, in memory until its end."""

    def __init__(self, connection: Connection, reads: Sequence[Read]) -> None:
        self._connection = connection
        self._ids = list(dict.fromkeys(str(read.value.get("certificate_id")) for read in reads))
        found = store.cases(connection, self._ids)
        self._manual = {k: dict(c.manual._mapping) for k, c in found.items() if c.manual is not None}
        self._coded = {k: dict(c.coded._mapping) for k, c in found.items() if c.coded is not None}
        self._claimed = store.claimed(connection, self._ids)
        self._known = {row.decision_id for c in found.values() for row in c.made}
        self._touched: dict[str, set[str]] = {"manual": set(), "coded": set(), "decisions": set()}
        self._new: dict[str, dict[str, Any]] = {}
        self._read: set[str] = set()
        self._blinded: set[str] = set()
        self._older: dict[tuple[str, int], dict[str, Any]] = {}

    def task(self, task: ManualTask) -> None:
        """Take a task: the newest version, and within one the highest revision, holds."""
        row = self._manual.get(task.certificate_id)
        if row is not None and (task.version, task.revision) < (row["version"], row["revision"]):
            return
        if row is not None and self._claimed.get(task.certificate_id) == row["version"] != task.version:
            kept = {
                name: row[name] for name in ("certificate_id", "version", "certificate", "proposal", "content_hash")
            }
            self._keep(kept)
        if task.state is TaskState.OPEN and task.certificate is not None:
            if task.audit and row is not None and not row["audit"]:
                self._blinded.add(task.certificate_id)
            self._manual[task.certificate_id] = {
                "certificate_id": task.certificate_id, "version": task.version, "revision": task.revision,
                "open": True, "audit": task.audit, "priority": task.priority,
                "reasons": " ".join(task.reasons), "created_at": _came(task),
                "content_hash": task.proposal.content_hash if task.proposal else "",
                "certificate": records.pack_certificate(task.certificate),
                # Nothing of the machine's is kept where a person codes blind.
                "proposal": records.pack_coded(task.proposal) if task.proposal and not task.audit else None,
            }  # fmt: skip
        elif row is None:
            return  # most certificates never were a task
        elif row["version"] == task.version:
            row["open"], row["revision"] = False, task.revision
        else:
            del self._manual[task.certificate_id]
        self._touched["manual"].add(task.certificate_id)

    def coded(self, record: CodedCertificate) -> None:
        """Take a coded record, a machine's or a person's."""
        row = self._coded.get(record.certificate_id)
        if row is not None and record.version < row["version"]:
            return
        if row is not None and self._claimed.get(record.certificate_id) == row["version"] != record.version:
            self._keep({name: row[name] for name in ("certificate_id", "version", "body", "content_hash")})
        if row is None or record.version > row["version"]:
            row = self._coded[record.certificate_id] = _empty(record)
        row["first_at"] = min(row["first_at"], record.coded_at)
        row["conflict"] |= row["content_hash"] != record.content_hash
        row["withdrawn"] |= record.status is CodedStatus.WITHDRAWN
        if record.status is CodedStatus.FINAL:
            row["final_at"] = min(row["final_at"] or record.coded_at, record.coded_at)
        if record.modality is Modality.HUMAN:
            if row["human_at"] is None or record.coded_at >= row["human_at"]:
                row |= {"human_at": record.coded_at, "human_final": record.status is CodedStatus.FINAL,
                        "human_code": record.underlying.code}  # fmt: skip
        elif not row["machine"] or _above(record, row):
            row |= _machine(record)
        self._touched["coded"].add(record.certificate_id)

    def _keep(self, kept: dict[str, Any]) -> None:
        """Keep a version for who holds it; the hash of either source is the same, that of a blind task's is empty."""
        row = self._older.setdefault(
            (kept["certificate_id"], kept["version"]),
            {"certificate": None, "proposal": None, "body": None, "content_hash": ""},
        )
        row |= {name: value for name, value in kept.items() if value}

    def decision(self, correction: Correction) -> None:
        """Take a decision: one of this desk's is now known to be on the topic, another is entered."""
        if correction.decision_id in self._known:
            self._read.add(correction.decision_id)
            return
        self._known.add(correction.decision_id)
        self._new[correction.decision_id] = decision_row(correction, read=True)
        self._touched["decisions"].add(correction.certificate_id)

    def write(self) -> None:
        """Write what changed, and the queue made of it."""
        manual, coded, decisions = (self._touched[name] for name in ("manual", "coded", "decisions"))
        upsert(self._connection, MANUAL, [self._manual[k] for k in sorted(manual) if k in self._manual])
        if dropped := sorted(k for k in manual if k not in self._manual):
            for table in (MANUAL, TASKS, MARKS):
                self._connection.execute(sa.delete(table).where(table.c.certificate_id.in_(dropped)))
        self._forget_seen()
        for row in self._older.values():
            store.keep_older(self._connection, row)
        upsert(self._connection, CODED, [self._coded[k] for k in sorted(coded)])
        upsert(self._connection, DECISIONS, list(self._new.values()))
        if seen := sorted(self._read - self._new.keys()):
            self._connection.execute(
                sa.update(DECISIONS).where(DECISIONS.c.decision_id.in_(seen), ~DECISIONS.c.read).values(read=True)
            )
        changed = sorted(manual | decisions | (coded & self._manual.keys()))
        told = {k: self._certificate(k) for k in changed if k in self._manual and k in manual | coded}
        store.refresh(self._connection, changed, told)

    def _forget_seen(self) -> None:
        """Drafts made with the machine's codes in sight are not carried into an audit; a holder's goes with his claim."""
        held = sa.exists().where(CLAIMS.c.certificate_id == DRAFTS.c.certificate_id, CLAIMS.c.coder == DRAFTS.c.coder)
        if self._blinded:
            chosen = DRAFTS.c.certificate_id.in_(sorted(self._blinded))
            self._connection.execute(sa.delete(DRAFTS).where(chosen, ~held))

    def _certificate(self, certificate_id: str) -> Certificate:
        return records.certificate_of(self._manual[certificate_id]["certificate"])


def _came(task: ManualTask) -> datetime:
    """When a task came: as it says, else as its certificate or its proposal says, so that a rebuild tells the same."""
    certificate, proposal = task.certificate, task.proposal
    told = task.created_at or (certificate and certificate.received_at) or (proposal and proposal.coded_at)
    return told or datetime(1970, 1, 1, tzinfo=UTC)


def _empty(record: CodedCertificate) -> dict[str, Any]:
    return {
        "certificate_id": record.certificate_id, "version": record.version, "content_hash": record.content_hash,
        "withdrawn": False, "conflict": False, "first_at": record.coded_at, "final_at": None, "machine": False,
        "machine_revision": 0, "machine_at": None, "route": "", "audit": False, "stratum": "", "inclusion": 0.0,
        "code": None, "source": record.source.value, "month": "", "body": None, "human_at": None,
        "human_final": False, "human_code": None,
    }  # fmt: skip


def _above(record: CodedCertificate, row: dict[str, Any]) -> bool:
    """Whether a machine's record replaces the one that the row holds, as `stream.coding.supersedes` has it."""
    withdrawn = record.status is CodedStatus.WITHDRAWN
    mine = (withdrawn, record.revision, record.coded_at, record.content_hash)
    return mine >= (
        row["withdrawn"] and not row["route"],
        row["machine_revision"],
        row["machine_at"],
        row["content_hash"],
    )


def _machine(record: CodedCertificate) -> dict[str, Any]:
    targeting = record.targeting
    withdrawn = record.status is CodedStatus.WITHDRAWN
    watched = targeting.route is Route.MANUAL or targeting.audit or record.revision > 0
    day = record.death_date or record.received_at or record.coded_at
    return {
        "content_hash": record.content_hash, "machine": True, "machine_revision": record.revision,
        "machine_at": record.coded_at, "route": "" if withdrawn else targeting.route.value, "audit": targeting.audit,
        "stratum": targeting.stratum, "inclusion": targeting.inclusion_probability, "code": record.underlying.code,
        "source": record.source.value, "month": f"{day:%Y-%m}",
        "body": records.pack_coded(record) if watched and not withdrawn else None,
    }  # fmt: skip


def decision_row(correction: Correction, *, read: bool) -> dict[str, Any]:
    """A decision as a row; whether it stands is told by `store.refresh`."""
    changed = not correction.blind and (correction.before, correction.underlying_before) != (
        correction.after, correction.underlying_after,
    )  # fmt: skip
    return {
        "decision_id": correction.decision_id, "certificate_id": correction.certificate_id,
        "version": correction.version, "kind": correction.kind.value, "coder": correction.coder,
        "role": correction.role, "reason": correction.reason, "decided_at": correction.decided_at,
        "content_hash": correction.content_hash, "supersedes": correction.supersedes, "blind": correction.blind,
        "seconds": correction.seconds, "changed": changed, "cause": correction.underlying_after,
        "cause_before": correction.underlying_before, "body": records.pack_correction(correction),
        "read": read, "stands": False, "holds": False,
    }  # fmt: skip
