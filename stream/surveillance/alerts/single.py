"""Single cases: one death by a condition that matters by itself raises an alert as soon as it is coded.

Whatever the machine reads speaks, provisional and unsure codes too: such an alert is unverified until a person's result
comes, which confirms it or ends it. The record that counts is the one that `supersedes` all others of its certificate, as
the counts hold it; a late or repeated record changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import Assertion, CodedCertificate, CodedStatus, Modality, read_coded
from stream.database import PARAMETERS
from stream.nomenclature import icd10
from stream.reader import Read
from stream.surveillance.alerts.alert import Alert, AlertStatus, Kind, case_id
from stream.surveillance.alerts.lifecycle import KEPT, changed, ended
from stream.surveillance.alerts.rules import Rules
from stream.surveillance.alerts.store import Standing, of_certificates, write
from stream.surveillance.alerts.tables import micros
from stream.surveillance.counts.tables import DEATHS, FOREVER

METHOD = "single_case"
WITHDRAWN = "WITHDRAWN: the certificate was withdrawn"
CONFIRMED = "CONFIRMED: a person's result holds it"
REFUTED = "REFUTED: a person's result does not hold it"
RECODED = "RECODED: the newest result does not hold it"
HISTORY = "HISTORY: the certificate tells it of the past"
UNSURE = "UNSURE: the code has a confidence of {:.0%}"
SURE = 0.9
"""Confidence of a code under which an alert says so."""

Rank = tuple[int, bool, bool, int, int, str]


@dataclass(frozen=True, slots=True)
class Case:
    """What a coded record says of one group.

    Attributes:
        group: that alerts of single deaths.
        due: whether the death is due to it.
        confidence: of the surest code that speaks for it; 0 where a flag does.
        history: whether every code that speaks for it is told of the past.
    """

    group: str
    due: bool
    confidence: float
    history: bool


class Singles:
    """Folds coded records into single-case alerts.

    Args:
        rules: which groups speak, and how loud.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules, self._groups = rules, rules.groups
        self._nomenclature = icd10.load()
        codes = sorted(self._nomenclature)
        self._speaking: frozenset[str] = frozenset(
            code
            for group in rules.levels
            for of in (self._groups[group].underlying, self._groups[group].any)
            if of is not None
            for code in of.members(codes)
        )
        self._flags = frozenset(self._groups[group].flag for group in rules.levels) - {""}
        self._may = lru_cache(20_000)(self._may_speak)

    def fold(self, connection: Connection, reads: Sequence[Read], now: datetime) -> list[Alert]:
        """Alerts made, revised and ended by some records, behind the counts' own fold of them in the same transaction.

        Args:
            connection: of a transaction that writes.
            reads: of any subjects; `coded` alone counts.
            now: the moment.
        """
        coded = [read.value for read in reads if read.subject == "coded"]
        before = of_certificates(connection, {str(value["certificate_id"]) for value in coded})
        speaking = [v for v in coded if str(v["certificate_id"]) in before or self._speaks(v)]
        if not speaking:
            return []
        newest: dict[str, CodedCertificate] = {}
        holds = _holding(connection, {str(value["certificate_id"]) for value in speaking})
        for value in speaking:
            record = read_coded(value)
            if holds.get(record.certificate_id) == _rank(record):
                newest[record.certificate_id] = record
        standing = Standing.of(connection, self._rules, now)
        written: list[Alert] = []
        for name, record in newest.items():
            made = list(self._after(record, before.get(name, {}), now))
            written += write(connection, made, standing, name)
        return written

    def cases(self, record: CodedCertificate) -> dict[str, Case]:
        """What a record says of the groups that speak, by group; those that stand beside a narrower one are left out."""
        if record.status is CodedStatus.WITHDRAWN:
            return {}
        found = self._groups.apart(record)
        told = (found.due | found.mentioned) & self._rules.levels.keys()
        beside = self._rules.file.single.beside
        return {
            group: self._case(record, group, group in found.due)
            for group in sorted(told)
            if beside.get(group) not in told
        }

    def _case(self, record: CodedCertificate, group: str, due: bool) -> Case:
        speaks = [entity for entity in record.entities() if self._of(group, entity.code)]
        sure = [entity.confidence for entity in speaks]
        if due and record.underlying.code and self._of(group, record.underlying.code):
            sure.append(record.underlying.confidence)
        history = bool(speaks) and all(entity.assertion is Assertion.HISTORY for entity in speaks)
        return Case(group, due, max(sure, default=0.0), history)

    def _of(self, group: str, code: str) -> bool:
        """Whether a code speaks for a group, whoever the person is."""
        here = self._groups[group]
        written = self._nomenclature.written(code) or code
        return any(codes is not None and codes.holds(written) for codes in (here.any, here.underlying))

    def _after(self, record: CodedCertificate, before: Mapping[str, Alert], now: datetime) -> Iterator[Alert]:
        cases = self.cases(record)
        human = _decided(record)
        for group, alert in before.items():
            if alert.open and group not in cases:
                gone = WITHDRAWN if record.status is CodedStatus.WITHDRAWN else REFUTED if human else RECODED
                yield replace(ended(alert, gone, now), verified=human)
        young = now - _zoned(record.coded_at, now) < timedelta(days=self._rules.file.single.days)
        for group, case in cases.items():
            known = before.get(group)
            if known is None:
                if young:
                    yield self._raised(record, case, now)
                continue
            told = self._told(known, record, case)
            if any(note.startswith("CLOSED") for note in known.notes):
                # Time has ended it; what people find still belongs to it.
                if told.verified and not known.verified:
                    yield changed(told, now)
            elif _differs(known, told) and (known.open or young):
                status = AlertStatus.REVISED if known.open else AlertStatus.NEW
                yield replace(told, open=True, status=status, revision=known.revision + 1, updated_at=now)

    def _raised(self, record: CodedCertificate, case: Case, now: datetime) -> Alert:
        level = float(self._rules.levels[case.group])
        blank = Alert(
            case_id(case.group, record.certificate_id), AlertStatus.NEW, case.group, "FR", now.date(), now.date(), 1.0,
            0.0, 0.0, level, 1.0, METHOD, f"rules {self._rules.version}", now, (record.certificate_id,),
            kind=Kind.SINGLE_CASE, level=int(level), updated_at=now,
        )  # fmt: skip
        return self._told(blank, record, case)

    def _told(self, alert: Alert, record: CodedCertificate, case: Case) -> Alert:
        """An alert as a record tells it."""
        human = _decided(record)
        received = record.received_at or record.coded_at
        day = record.death_date or received.date()
        notes = [note for note in alert.notes if note.startswith((*KEPT, "CLOSED"))]
        if human:
            notes.append(CONFIRMED)
        elif case.confidence < SURE:
            notes.append(UNSURE.format(case.confidence))
        if case.history:
            notes.append(HISTORY)
        place = record.place.department or ""
        versions = record.versions
        return replace(
            alert, place=place if place in self._rules.places else "FR", period_start=day, period_end=day,
            by="UNDERLYING" if case.due else "ANY", sex=record.sex if record.sex.value != "U" else None,
            verified=human, notes=tuple(notes), groups_version=self._groups.version, rules_version=self._rules.version,
            coded_versions=f"rules {versions.rules}, coder {versions.coder}, {record.status.value} {record.modality.value}",
        )  # fmt: skip

    def _speaks(self, value: Mapping[str, Any]) -> bool:
        """Whether a record may be a case: asked of every record, and so without reading it whole."""
        underlying = value["underlying"]["code"]
        if underlying and self._may(underlying):
            return True
        lines = (*value["part1"], *value["part2"])
        return any(self._may(entity["code"]) for line in lines for entity in line["entities"]) or bool(
            self._flags and self._flags.intersection(value["flags"])
        )

    def _may_speak(self, code: str) -> bool:
        return code in self._speaking or (self._nomenclature.written(code) or "") in self._speaking


def _decided(record: CodedCertificate) -> bool:
    """Whether a person's result stands; an undone decision leaves the machine's codes, provisional, under a person's name."""
    return record.modality is Modality.HUMAN and record.status is CodedStatus.FINAL


def _differs(alert: Alert, told: Alert) -> bool:
    """Whether a record tells people something else; that other versions coded it is nothing to tell."""
    same = ("place", "period_start", "by", "sex", "verified")
    notes = tuple(note for note in alert.notes if note not in (REFUTED, RECODED, WITHDRAWN))
    return not alert.open or notes != told.notes or any(getattr(alert, name) != getattr(told, name) for name in same)


def _holding(connection: Connection, ids: set[str]) -> dict[str, Rank]:
    """Rank of the record that holds, of some certificates."""
    found: dict[str, Rank] = {}
    listed = sorted(ids)
    for at in range(0, len(listed), PARAMETERS - 1):
        chosen = sa.select(DEATHS).where(
            DEATHS.c.certificate_id.in_(listed[at : at + PARAMETERS - 1]), DEATHS.c.until == FOREVER
        )
        for row in connection.execute(chosen):
            found[row.certificate_id] = (
                row.version, bool(row.withdrawn), bool(row.human), row.revision, row.coded_at, row.content_hash
            )  # fmt: skip
    return found


def _rank(record: CodedCertificate) -> Rank:
    """As `supersedes` orders them."""
    return (
        record.version, record.status is CodedStatus.WITHDRAWN, record.modality is Modality.HUMAN, record.revision,
        micros(record.coded_at), record.content_hash,
    )  # fmt: skip


def _zoned(moment: datetime, like: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=like.tzinfo)
