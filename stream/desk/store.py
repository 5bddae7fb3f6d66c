"""What is known of a certificate, and the queue made of it: `refresh` writes what `life.standing` says into `tasks`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Certificate
from stream.coding import CodedCertificate, DecisionKind, supersedes
from stream.database import upsert
from stream.desk.life import KINDS, Known, Made, Stage, Standing, standing
from stream.desk.records import coded_of
from stream.desk.tables import ACTS, CLAIMS, CODED, DECISIONS, MANUAL, MARKS, OLDER, TASKS, Found
from stream.desk.values import Act
from stream.targeting.subject import EDIT

INTEREST = "INTEREST:"
OUT = -1.0
"""Place of a task that waits for nobody: behind all others, so that the queue's index ends before it."""
AT_ONCE = 500
"""Ids in one statement."""
_MADE = (
    DECISIONS.c.decision_id, DECISIONS.c.certificate_id, DECISIONS.c.version, DECISIONS.c.kind, DECISIONS.c.coder,
    DECISIONS.c.decided_at, DECISIONS.c.cause, DECISIONS.c.supersedes, DECISIONS.c.content_hash, DECISIONS.c.stands,
    DECISIONS.c.holds,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A certificate's facts, as rows.

    Attributes:
        manual: its newest task; None where no topic tells one.
        coded: what the machine and people hold of its newest version.
        made: its decisions, on all versions.
        acts: what holds of what people asked for on the task's version.
    """

    certificate_id: str
    manual: Found | None
    coded: Found | None
    made: tuple[Found, ...]
    acts: frozenset[str]

    @property
    def current(self) -> bool:
        """Whether `coded` is of the task's version."""
        return self.manual is not None and self.coded is not None and self.coded.version == self.manual.version

    @property
    def content_hash(self) -> str:
        """Of the task's version; empty while nobody tells it."""
        if self.coded is not None and self.current:
            return str(self.coded.content_hash)
        return str(self.manual.content_hash) if self.manual is not None else ""

    @property
    def gone(self) -> bool:
        """Whether nobody should look any more."""
        if self.manual is None or not self.manual.open or Act.UNREADABLE in self.acts:
            return True
        newer = self.coded is not None and self.coded.version > self.manual.version
        return newer or (self.coded is not None and self.current and self.coded.withdrawn)

    @property
    def known(self) -> Known:
        """What its life hangs on."""
        assert self.manual is not None
        recorded = self.manual.proposal is not None or (
            self.coded is not None and self.current and self.coded.body is not None
        )
        hashes = ("", self.content_hash)
        made = [_made(row) for row in self.made
                if row.version == self.manual.version and (row.content_hash in hashes or not self.content_hash)]  # fmt: skip
        return Known(self.gone, recorded, made, Act.ESCALATE in self.acts, Act.SECOND in self.acts)

    def base(self) -> CodedCertificate | None:
        """The machine's newest record of the task's version."""
        bodies = [self.manual.proposal if self.manual is not None else None,
                  self.coded.body if self.coded is not None and self.current else None]  # fmt: skip
        return newest(bodies)


def _made(row: Found) -> Made:
    return Made(row.decision_id, DecisionKind(row.kind), row.coder, row.decided_at, row.cause, row.supersedes)


def cases(connection: Connection, ids: Collection[str]) -> dict[str, Case]:
    """The cases of some certificates, each of them."""
    manual = _by_id(connection, sa.select(MANUAL), MANUAL, ids)
    coded = _by_id(connection, sa.select(CODED), CODED, ids)
    made: dict[str, list[Found]] = defaultdict(list)
    for row in _rows(connection, sa.select(*_MADE), DECISIONS, ids):
        made[row.certificate_id].append(row)
    acts: dict[str, set[str]] = defaultdict(set)
    for row in _rows(connection, sa.select(ACTS).where(ACTS.c.holds), ACTS, ids):
        task = manual.get(row.certificate_id)
        if task is not None and task.version == row.version:
            acts[row.certificate_id].add(row.act)
    return {
        one: Case(one, manual.get(one), coded.get(one), tuple(made[one]), frozenset(acts[one])) for one in ids
    }  # fmt: skip


def case(connection: Connection, certificate_id: str) -> Case:
    """The case of one certificate."""
    return cases(connection, [certificate_id])[certificate_id]


def claimed(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """The version that somebody holds, of certificates that are held."""
    chosen = sa.select(CLAIMS.c.certificate_id, CLAIMS.c.version)
    return {row.certificate_id: row.version for row in _rows(connection, chosen, CLAIMS, ids)}


def keep_older(connection: Connection, row: Mapping[str, Any]) -> None:
    """Keep a version for who holds it; the task and the machine's record come from two topics, at two times."""
    same = sa.and_(OLDER.c.certificate_id == row["certificate_id"], OLDER.c.version == row["version"])
    told = {name: value for name, value in row.items() if value}
    if connection.execute(sa.update(OLDER).where(same).values(told)).rowcount == 0:
        connection.execute(OLDER.insert().values(**row))


def older(connection: Connection, certificate_id: str, version: int) -> Found | None:
    """A version that was kept."""
    chosen = sa.select(OLDER).where(OLDER.c.certificate_id == certificate_id, OLDER.c.version == version)
    return connection.execute(chosen).one_or_none()


def newest(bodies: Iterable[bytes | None]) -> CodedCertificate | None:
    """The record that stands above the others."""
    best: CodedCertificate | None = None
    for body in bodies:
        if body is not None:
            found = coded_of(body)
            if best is None or supersedes(found, best):
                best = found
    return best


def lock(connection: Connection, certificate_id: str) -> Found | None:
    """The task's row, which nobody else changes until this transaction ends.

    It is asked for first in every transaction on a certificate: what happens to one is in one order, on any number of
    servers.
    """
    chosen = sa.select(TASKS).where(TASKS.c.certificate_id == certificate_id).with_for_update()
    return connection.execute(chosen).one_or_none()


def _rows(connection: Connection, chosen: sa.Select[Any], table: sa.Table, ids: Collection[str]) -> Iterable[Found]:
    given = list(ids)
    for at in range(0, len(given), AT_ONCE):
        yield from connection.execute(chosen.where(table.c.certificate_id.in_(given[at : at + AT_ONCE])))


def _by_id(connection: Connection, chosen: sa.Select[Any], table: sa.Table, ids: Collection[str]) -> dict[str, Found]:
    return {row.certificate_id: row for row in _rows(connection, chosen, table, ids)}


def refresh(
    connection: Connection, ids: Collection[str], certificates: Mapping[str, Certificate] | None = None
) -> None:
    """Bring the queue into line with the facts of some certificates.

    Args:
        connection: of a transaction that writes.
        ids: the certificates.
        certificates: those whose facts of the topics changed: their rows are written whole.
    """
    certificates = certificates or {}
    found = cases(connection, ids)
    _flag(connection, found.values())
    whole, marks = [], []
    for one in found.values():
        if one.manual is None:
            continue
        now = standing(one.known)
        if one.certificate_id in certificates:
            base = None if one.manual.audit or one.gone else one.base()
            whole.append({**_stage(one, now), **_described(certificates[one.certificate_id], base)})
            marks += _marks(one.certificate_id, base)
        else:
            values = _stage(one, now)
            connection.execute(
                sa.update(TASKS).where(TASKS.c.certificate_id == values.pop("certificate_id")).values(values)
            )
    told = [row["certificate_id"] for row in whole]
    for at in range(0, len(told), AT_ONCE):
        connection.execute(sa.delete(MARKS).where(MARKS.c.certificate_id.in_(told[at : at + AT_ONCE])))
    upsert(connection, TASKS, whole)
    upsert(connection, MARKS, marks, keep=True)


def _stage(one: Case, now: Standing) -> dict[str, Any]:
    manual = one.manual
    assert manual is not None
    since = manual.created_at
    if now.stage in (Stage.SECOND, Stage.DISPUTED, Stage.DONE) and now.last is not None:
        since = max(since, now.last.decided_at)
    place = OUT
    if now.stage in KINDS:
        # Who codes a second time holds up nobody: the first coding is official already.
        place = manual.priority % 1 if now.stage is Stage.SECOND else manual.priority
    return {
        "certificate_id": one.certificate_id, "version": manual.version, "stage": now.stage.value,
        "senior": now.senior, "audit": manual.audit, "place": place, "priority": manual.priority,
        "first_by": now.first.coder if now.first else None, "second_by": now.second.coder if now.second else None,
        "created_at": manual.created_at, "since": since,
    }  # fmt: skip


def _described(certificate: Certificate, base: CodedCertificate | None) -> dict[str, Any]:
    """What a list shows; of a blind task only what stands on the certificate."""
    age = certificate.age
    return {
        "stratum": base.targeting.stratum if base else "", "source": certificate.source.value,
        "department": certificate.place.department, "sex": certificate.sex.value,
        "age": age.value if age else None, "age_unit": age.unit.value if age else None,
        "proposed": base.underlying.code if base else None,
        "confidence": base.underlying.confidence if base else None,
    }  # fmt: skip


def _marks(certificate_id: str, base: CodedCertificate | None) -> list[dict[str, str]]:
    if base is None:
        return []
    found = [("reason", reason.value) for reason in base.targeting.reasons]
    for flag in base.flags:
        if flag.startswith(INTEREST):
            found.append(("group", flag.removeprefix(INTEREST)))
        elif flag.startswith(EDIT):
            found.append(("edit", flag.removeprefix(EDIT)))
        else:
            found.append(("flag", flag))
    return [
        {"certificate_id": certificate_id, "kind": kind, "value": value[:128]} for kind, value in dict.fromkeys(found)
    ]


def _flag(connection: Connection, found: Iterable[Case]) -> None:
    """Tell of each decision whether it stands, and whether its codes are what people hold of its version."""
    for one in found:
        versions: dict[int, list[Found]] = defaultdict(list)
        for row in one.made:
            versions[row.version].append(row)
        for rows in versions.values():
            now = standing(Known(gone=False, recorded=True, made=[_made(row) for row in rows]))
            holds = now.holds.decision_id if now.holds else ""
            for row in rows:
                wanted = (row.decision_id in now.stands, row.decision_id == holds)
                if (row.stands, row.holds) != wanted:
                    connection.execute(
                        sa.update(DECISIONS).where(DECISIONS.c.decision_id == row.decision_id)
                        .values(stands=wanted[0], holds=wanted[1])
                    )  # fmt: skip


def decisions_on(connection: Connection, certificate_id: str) -> Sequence[Found]:
    """All decisions on a certificate with their bodies, by time."""
    chosen = sa.select(DECISIONS).where(DECISIONS.c.certificate_id == certificate_id)
    return connection.execute(chosen.order_by(DECISIONS.c.decided_at, DECISIONS.c.decision_id)).all()
