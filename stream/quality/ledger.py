"""One case for each certificate: the machine's record of its newest version, and what people decided.

Records may come in any order and any number of times: the state is the same. No text and no entity is kept, so that a
year of 650,000 certificates stays below a gigabyte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from stream.certificate import Place, Residence
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    Modality,
    Origin,
    Underlying,
    read_coded,
    read_correction,
    supersedes,
)
from stream.targeting.subject import EDIT

SUBJECTS = ("coded", "corrections")
"""Topics that a ledger is made from."""
KEPT_FLAGS = ("UNCALIBRATED", "UNCERTIFIED", "UNKNOWN_WORDS")
_T = TypeVar("_T")


@dataclass(slots=True)
class Case:
    """A certificate: all but `decided` is of its newest version.

    Attributes:
        certificate_id: as on the certificate.
        version: the newest version that was coded; 0 where only decisions are known.
        machine: the machine's record that stands, without lines; a withdrawal too.
        human: the record of a person's coding that stands, likewise.
        decided: the decisions on all versions, each once, by time.
        first_at: when the version was first coded, by whomever.
        final_at: when a record first said FINAL.
        conflict: whether two records claim the version for different contents.
    """

    certificate_id: str
    version: int = 0
    machine: CodedCertificate | None = None
    human: CodedCertificate | None = None
    decided: tuple[Correction, ...] = ()
    first_at: datetime | None = None
    final_at: datetime | None = None
    conflict: bool = False

    @property
    def standing(self) -> CodedCertificate | None:
        """The record that stands above the others."""
        if self.machine is None or self.human is None:
            return self.machine or self.human
        return self.machine if supersedes(self.machine, self.human) else self.human

    @property
    def withdrawn(self) -> bool:
        """Whether the certificate was voided."""
        return self.standing is not None and self.standing.status is CodedStatus.WITHDRAWN

    @property
    def counts(self) -> bool:
        """Whether it is a death to count, coded by the machine."""
        return self.machine is not None and not self.withdrawn

    @property
    def final(self) -> bool:
        """Whether the record that stands says FINAL."""
        return self.standing is not None and self.standing.status is CodedStatus.FINAL

    @property
    def month(self) -> str:
        """Month of death, else of receipt, else of coding, as ``2026-03``; "unknown" where none is known."""
        coded = self.standing
        day = coded and (coded.death_date or coded.received_at or coded.coded_at)
        return f"{day:%Y-%m}" if day else "unknown"

    @property
    def decisions(self) -> tuple[Correction, ...]:
        """The decisions on the newest version and on the content that the machine coded."""
        coded = self.standing
        if coded is None or not self.decided:
            return ()
        return tuple(
            d for d in self.decided
            if d.version == coded.version and d.content_hash in ("", coded.content_hash)
        )  # fmt: skip


class Ledger:
    """The cases, by certificate.

    Attributes:
        latest: the latest moment that any record tells.
        unread: records that were no coded certificate and no decision.
    """

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._shared: dict[Any, Any] = {}
        self.latest: datetime | None = None
        self.unread = 0

    def __len__(self) -> int:
        return len(self._cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(list(self._cases.values()))  # whoever counts in a thread is not disturbed by a new case

    def get(self, certificate_id: str) -> Case | None:
        """The case of a certificate."""
        return self._cases.get(certificate_id)

    def fold(self, subject: str, value: dict[str, Any]) -> Case | None:
        """Take a record of a topic, in its Avro or JSON mapping; its case, None where it is no such record."""
        try:
            if subject == "coded":
                # Lines are nine tenths of a record, and nothing here looks at them.
                return self.coded(read_coded({**value, "part1": (), "part2": ()}))
            return self.decide(read_correction({**value, "before": (), "after": ()}))
        except (ValueError, TypeError):
            self.unread += 1
            return None

    def coded(self, record: CodedCertificate) -> Case:
        """Take a coded record; its case as it is then."""
        case = self._case(record.certificate_id)
        if record.version < case.version:
            return case
        record = self._slim(record, case)
        if record.version > case.version:
            case.version, case.machine, case.human = record.version, None, None
            case.first_at, case.final_at, case.conflict = None, None, False
        standing = case.standing
        if standing is not None and standing.content_hash != record.content_hash:
            case.conflict = True
        if record.modality is Modality.HUMAN:
            if case.human is None or supersedes(record, case.human):
                case.human = record
        elif case.machine is None or supersedes(record, case.machine):
            case.machine = record
        case.first_at = _earlier(case.first_at, record.coded_at)
        if record.status is CodedStatus.FINAL:
            case.final_at = _earlier(case.final_at, record.coded_at)
        self._tell(record.coded_at)
        return case

    def decide(self, decision: Correction) -> Case:
        """Take a person's decision; its case as it is then."""
        case = self._case(decision.certificate_id)
        decision = replace(
            decision, certificate_id=case.certificate_id, coder=sys.intern(decision.coder),
            role=sys.intern(decision.role), reason=sys.intern(decision.reason), before=(), after=(),
            underlying_before=_interned(decision.underlying_before),
            underlying_after=_interned(decision.underlying_after),
        )  # fmt: skip
        known = {d.decision_id: d for d in case.decided}
        # One id, two contents: no reason prefers either, but every reading must prefer the same.
        known[decision.decision_id] = max(decision, known.get(decision.decision_id, decision), key=repr)
        case.decided = tuple(sorted(known.values(), key=lambda d: (d.decided_at, d.decision_id)))
        self._tell(decision.decided_at)
        return case

    def _case(self, certificate_id: str) -> Case:
        case = self._cases.get(certificate_id)
        if case is None:
            case = self._cases[certificate_id] = Case(certificate_id)
        return case

    def _tell(self, moment: datetime) -> None:
        self.latest = moment if self.latest is None else max(self.latest, moment)

    def _slim(self, record: CodedCertificate, case: Case) -> CodedCertificate:
        """The record without what nobody counts; equal parts of different records are one object."""
        cause = record.underlying
        return replace(
            record, certificate_id=case.certificate_id,
            underlying=Underlying(_interned(cause.code), cause.confidence, cause.method),
            targeting=self._one(record.targeting), versions=self._one(record.versions),
            death_date=self._one(record.death_date), place=self._one(Place(None, record.place.department)),
            residence=self._one(Residence()), age=self._one(record.age), manner=None, part1=(), part2=(),
            flags=self._one(tuple(f for f in record.flags if f in KEPT_FLAGS or f.startswith(EDIT))),
            origin=self._one(Origin()),
        )  # fmt: skip

    def _one(self, value: _T) -> _T:
        shared: _T = self._shared.setdefault(value, value)
        return shared


def _interned(code: str | None) -> str | None:
    return None if code is None else sys.intern(code)


def _earlier(known: datetime | None, moment: datetime) -> datetime:
    return moment if known is None else min(known, moment)
