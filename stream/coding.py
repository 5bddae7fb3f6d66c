"""What goes out: codes, tasks, corrections and dead letters, and the one order that decides between them.

A coded record carries no text: offsets point into the raw text of the certificate, for whoever may read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, TypeAdapter

from stream.certificate import Age, Certificate, Form, Manner, Place, Residence, Sealed, Sex, Source

_BASE64 = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class CodedStatus(StrEnum):
    """FINAL: counts as official; PROVISIONAL: a human will look; WITHDRAWN: the certificate was voided."""

    FINAL = "FINAL"
    PROVISIONAL = "PROVISIONAL"
    WITHDRAWN = "WITHDRAWN"


class Modality(StrEnum):
    """Who coded: the expert rules alone, the model (alone or with them), or a person."""

    RULES = "RULES"
    MODEL = "MODEL"
    HUMAN = "HUMAN"


class Method(StrEnum):
    """Who proposed a code: the rules, the model, both alike, or a person who chose it."""

    RULES = "RULES"
    MODEL = "MODEL"
    BOTH = "BOTH"
    HUMAN = "HUMAN"


class Assertion(StrEnum):
    """How the physician asserts an entity. NEGATED ones are not coded."""

    AFFIRMED = "AFFIRMED"
    PROBABLE = "PROBABLE"
    HISTORY = "HISTORY"
    NEGATED = "NEGATED"


class Why(StrEnum):
    """Why a stretch of text has no code."""

    NEGATED = "NEGATED"
    NOT_A_CAUSE = "NOT_A_CAUSE"
    UNKNOWN_WORDS = "UNKNOWN_WORDS"


class Route(StrEnum):
    """Where targeting sends a certificate."""

    AUTO = "AUTO"
    MANUAL = "MANUAL"


class Reason(StrEnum):
    """Why a certificate goes to a person; several may hold."""

    LOW_CONFIDENCE = "LOW_CONFIDENCE"
    MANDATORY_INTEREST = "MANDATORY_INTEREST"
    REJECT = "REJECT"


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another code that was considered, with its probability."""

    code: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Entity:
    """One coded stretch of a line.

    Attributes:
        code: ICD-10 with its dot, four characters where the category has them.
        start: first character in the raw line, inclusive.
        end: last character in the raw line, exclusive.
        confidence: probability that the code is right, calibrated on held-out certificates.
        method: who proposed the code.
        source: the lexicon entry or the model and version that did.
        alternatives: other codes considered, best first.
        due_to: index in this line of the entity that the text says caused this one ("X secondaire à Y").
    """

    code: str
    start: int
    end: int
    confidence: float
    method: Method
    source: str
    alternatives: tuple[Alternative, ...] = ()
    assertion: Assertion = Assertion.AFFIRMED
    due_to: int | None = None


@dataclass(frozen=True, slots=True)
class Uncoded:
    """A stretch of the raw line left without a code, and why."""

    start: int
    end: int
    why: Why


@dataclass(frozen=True, slots=True)
class Duration:
    """Time between onset and death, in days; `approximate` when the words are vague ("qq heures")."""

    days: float
    approximate: bool = False


@dataclass(frozen=True, slots=True)
class CodedLine:
    """The codes of one line, in text order."""

    entities: tuple[Entity, ...] = ()
    uncoded: tuple[Uncoded, ...] = ()
    interval: Duration | None = None


@dataclass(frozen=True, slots=True)
class Underlying:
    """The underlying cause and the rules that led to it, named one by one; no code when nothing could be coded."""

    code: str | None
    confidence: float
    method: Method = Method.RULES
    alternatives: tuple[Alternative, ...] = ()
    steps: tuple[str, ...] = ()


class Automation(StrEnum):
    """How far the machine is trusted just now: by its thresholds, by its stricter ones, or not at all."""

    NORMAL = "NORMAL"
    STRICT = "STRICT"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class Targeting:
    """The route and its reasons; beside them the random audit and its inclusion probability.

    Attributes:
        route: what holds without the audit.
        reasons: why a person must look; several may hold.
        audit: whether the certificate was drawn to be coded again, blind.
        inclusion_probability: probability of that draw.
        policy: version and hash of policy and thresholds.
        stratum: stratum of the policy that the certificate fell into.
        threshold: least confidence for the automatic route there; None where nothing is automatic.
        certified: whether the threshold was fitted on an office's own audits.
        automation: how far the machine was trusted at that moment.
    """

    route: Route
    reasons: tuple[Reason, ...] = ()
    audit: bool = False
    inclusion_probability: float = 0.0
    policy: str = ""
    stratum: str = ""
    threshold: float | None = None
    certified: bool = False
    automation: Automation = Automation.NORMAL


@dataclass(frozen=True, slots=True)
class Versions:
    """Everything that could change an answer, by version or content hash."""

    software: str = ""
    nomenclature: str = ""
    lexicon: str = ""
    rules: str = ""
    coder: str = ""
    underlying: str = ""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in Kafka the certificate was read; empty offline."""

    topic: str = ""
    partition: int = -1
    offset: int = -1


@dataclass(frozen=True, slots=True)
class CodedCertificate:
    """The coded record of one certificate version: one for every valid version, whatever its route.

    `unknown` is the share of the text that neither coder could read, 0 to 1.
    """

    certificate_id: str
    version: int
    content_hash: str
    status: CodedStatus
    modality: Modality
    underlying: Underlying
    targeting: Targeting
    versions: Versions
    coded_at: datetime
    revision: int = 0
    death_date: date | None = None
    sex: Sex = Sex.U
    age: Age | None = None
    place: Place = field(default_factory=Place)
    residence: Residence = field(default_factory=Residence)
    source: Source = Source.ELECTRONIC
    form: Form = Form.GENERAL
    manner: Manner | None = None
    part1: tuple[CodedLine, ...] = ()
    part2: tuple[CodedLine, ...] = ()
    flags: tuple[str, ...] = ()
    unknown: float = 0.0
    origin: Origin = field(default_factory=Origin)
    received_at: datetime | None = None

    def entities(self) -> tuple[Entity, ...]:
        """All entities, Part I first."""
        return tuple(e for line in (*self.part1, *self.part2) for e in line.entities)


class TaskState(StrEnum):
    """OPEN: a coder should look; NONE: an amendment or a void took the work away."""

    OPEN = "OPEN"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class ManualTask:
    """What the coding office's queue gets for a certificate version (compacted by certificate id).

    `certificate` and `proposal` are None when the state is NONE; `proposal` is None too for a blind audit.
    """

    certificate_id: str
    version: int
    revision: int
    state: TaskState
    reasons: tuple[Reason, ...] = ()
    priority: float = 0.0
    audit: bool = False
    certificate: Certificate | None = None
    proposal: CodedCertificate | None = None
    created_at: datetime | None = None


class DecisionKind(StrEnum):
    """Kind of a coder's decision."""

    FIRST = "FIRST"
    SECOND = "SECOND"
    ADJUDICATION = "ADJUDICATION"
    UNDO = "UNDO"


@dataclass(frozen=True, slots=True)
class Correction:
    """A coder's decision on one certificate version, as an event; an undo is a new one.

    `result` is the whole record that it makes of the version, as the worker is to write it to `coded`: FINAL, or
    PROVISIONAL where an undo gives the certificate back; None for a second opinion, which by itself changes nothing.
    """

    decision_id: str
    kind: DecisionKind
    certificate_id: str
    version: int
    coder: str
    role: str
    reason: str
    decided_at: datetime
    content_hash: str = ""
    supersedes: str | None = None
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()
    underlying_before: str | None = None
    underlying_after: str | None = None
    blind: bool = False
    seconds: float = 0.0
    result: CodedCertificate | None = None


@dataclass(frozen=True, slots=True)
class AutomationChange:
    """How far the machine is trusted in a stratum from now on; the last change of a scope holds.

    Attributes:
        scope: stratum of the policy; ``*`` stands for all of them.
        automation: what holds from now on.
        why: the alarm's name and figures, or a person's words.
        who: pseudonym of the person; empty for an alarm.
        policy: version and hash of the policy then in force.
        at: when, UTC.
    """

    scope: str
    automation: Automation
    why: str
    who: str
    policy: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be coded: its bytes as they came, an error code and where it stood.

    `detail` names fields and limits only; it never quotes the record.
    """

    __pydantic_config__ = _BASE64
    error: str
    detail: str
    payload: bytes | Sealed | None
    key: bytes | None
    origin: Origin
    at: datetime
    software: str = ""


_CODED = TypeAdapter(CodedCertificate)
_TASK = TypeAdapter(ManualTask)
_DEAD = TypeAdapter(DeadLetter)
_CORRECTION = TypeAdapter(Correction)
_CHANGE = TypeAdapter(AutomationChange)


def coded_record(coded: CodedCertificate) -> dict[str, Any]:
    """Avro mapping of a coded certificate."""
    record: dict[str, Any] = _CODED.dump_python(coded)
    return record


def coded_json(coded: CodedCertificate) -> dict[str, Any]:
    """JSON mapping of a coded certificate."""
    record: dict[str, Any] = _CODED.dump_python(coded, mode="json")
    return record


def read_coded(value: Any) -> CodedCertificate:
    """Coded certificate from its Avro or JSON mapping."""
    coded: CodedCertificate = _CODED.validate_python(value)
    return coded


def task_record(task: ManualTask) -> dict[str, Any]:
    """Avro mapping of a manual task."""
    record: dict[str, Any] = _TASK.dump_python(task)
    # Naming the branch of a union spares fastavro a validation of the whole record: half of its time.
    for field_name, branch in (("certificate", "causa.Certificate"), ("proposal", "causa.CodedCertificate")):
        if record[field_name] is not None:
            record[field_name] = (branch, record[field_name])
    return record


def read_task(value: Any) -> ManualTask:
    """Manual task from its Avro or JSON mapping."""
    task: ManualTask = _TASK.validate_python(value)
    return task


def dead_letter_record(letter: DeadLetter) -> dict[str, Any]:
    """Avro mapping of a dead letter."""
    record: dict[str, Any] = _DEAD.dump_python(letter)
    return record


def read_dead_letter(value: Any) -> DeadLetter:
    """Dead letter from its Avro or JSON mapping."""
    letter: DeadLetter = _DEAD.validate_python(value)
    return letter


def correction_record(correction: Correction) -> dict[str, Any]:
    """Avro mapping of a correction."""
    record: dict[str, Any] = _CORRECTION.dump_python(correction)
    if record["result"] is not None:
        record["result"] = ("causa.CodedCertificate", record["result"])
    return record


def read_correction(value: Any) -> Correction:
    """Correction from its Avro or JSON mapping."""
    correction: Correction = _CORRECTION.validate_python(value)
    return correction


def change_record(change: AutomationChange) -> dict[str, Any]:
    """Avro mapping of a change of automation."""
    record: dict[str, Any] = _CHANGE.dump_python(change)
    return record


def read_change(value: Any) -> AutomationChange:
    """Change of automation from its Avro or JSON mapping."""
    change: AutomationChange = _CHANGE.validate_python(value)
    return change


def _rank(record: CodedCertificate) -> tuple[Any, ...]:
    """Order among the records of a certificate.

    Within a version a withdrawal stands above all, then a human result above a machine's. Among human results the
    later decision counts before the revision; among machine results the revision counts first, so `coded_at` only
    separates what a revision does not.
    """
    human = record.modality is Modality.HUMAN
    withdrawn = record.status is CodedStatus.WITHDRAWN
    moment = (record.coded_at, record.revision) if human else (record.revision, record.coded_at)
    return (record.version, withdrawn, human, moment, record.content_hash)


def supersedes(a: CodedCertificate, b: CodedCertificate) -> bool:
    """Whether `a` replaces `b`, two records of one certificate.

    The higher version wins; within a version a withdrawal, then a human result, then the higher revision, then the
    later decision. Two identical records do not replace one another, so applying this in any order, any number of
    times, ends in the same state. A same version with another `content_hash` is a conflict: see `conflict`.
    """
    above, below = _rank(a), _rank(b)
    # Equal in rank and yet different: no reason prefers either, but every consumer must prefer the same.
    return above > below if above != below else _canonical(a) > _canonical(b)


def _canonical(record: CodedCertificate) -> str:
    return json.dumps(coded_json(record), sort_keys=True)


def conflict(a: CodedCertificate, b: CodedCertificate) -> bool:
    """Whether two records claim the same version for different contents: report it, choose nothing silently."""
    return a.certificate_id == b.certificate_id and a.version == b.version and a.content_hash != b.content_hash
