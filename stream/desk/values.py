"""What the desk takes and gives. A value of a blind task holds nothing of the machine's: such fields are empty then."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from stream.certificate import Age, Certificate, Sex, Source
from stream.coding import CodedCertificate, DecisionKind, Reason, Underlying
from stream.desk.drafts import Draft, Fault
from stream.desk.life import Stage
from stream.targeting.edits import Edit


@dataclass(frozen=True, slots=True)
class Coder:
    """Who works at the desk.

    Attributes:
        pseudonym: as it stands in decisions.
        senior: may take escalated tasks, adjudicate, undo others' decisions and take claims away.
    """

    pseudonym: str
    senior: bool = False

    @property
    def role(self) -> str:
        """As it stands in decisions."""
        return "senior" if self.senior else "coder"


class Order(StrEnum):
    """PRIORITY: what presses most, then where the machine was least sure, then the oldest; OLDEST: the oldest."""

    PRIORITY = "PRIORITY"
    OLDEST = "OLDEST"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which tasks: within a field any of its values, between fields all. An empty field asks for nothing.

    Attributes:
        stages: what they wait for.
        reasons, groups, strata, flags, edits: of the machine's; a blind task is never found by them. Groups are those of
            the policy's list of interest.
        sources, departments: as on the certificate; the department of death.
        audit: drawn by the audit, or not.
        older_than, younger_than: time since the task came.
        free: leave out what somebody else holds.
        order: see `Order`.
    """

    stages: tuple[Stage, ...] = ()
    reasons: tuple[Reason, ...] = ()
    groups: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    departments: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    audit: bool | None = None
    older_than: timedelta | None = None
    younger_than: timedelta | None = None
    free: bool = False
    order: Order = Order.PRIORITY


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list; numbers begin at 0."""

    number: int = 0
    size: int = 50


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task in a list.

    Attributes:
        certificate_id, version, stage: which, and what it waits for.
        kind: the decision that it waits for.
        blind: no proposal is shown for it.
        priority: alert level, 0 to 9, and the entropy of the machine's confidence; None when blind.
        reasons, groups, flags, edits, stratum, proposed, confidence: the machine's; empty when blind.
        source, department, sex, age: as on the certificate.
        created_at: when the task came. since: when it came to its stage.
        held_by: who holds it; None where nobody does.
        skipped: who asks has skipped it.
        amended: its certificate was coded by a person in an older version.
    """

    certificate_id: str
    version: int
    stage: Stage
    kind: DecisionKind
    blind: bool
    priority: float | None
    reasons: tuple[Reason, ...]
    groups: tuple[str, ...]
    flags: tuple[str, ...]
    edits: tuple[str, ...]
    stratum: str
    source: Source
    department: str | None
    sex: Sex
    age: Age | None
    proposed: str | None
    confidence: float | None
    created_at: datetime
    since: datetime
    held_by: str | None
    mine: bool
    skipped: bool
    amended: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of tasks and the number of all."""

    rows: tuple[TaskRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Facets:
    """Numbers of tasks by the values that they can be filtered by."""

    stages: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    strata: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    departments: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    edits: dict[str, int] = field(default_factory=dict)
    audit: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A certificate in somebody's hands until `expires_at`, or until nobody has taken it after that."""

    claim_id: str
    certificate_id: str
    version: int
    coder: str
    kind: DecisionKind
    blind: bool
    claimed_at: datetime
    expires_at: datetime


class Change(StrEnum):
    """What came while somebody held a certificate.

    AMENDED: a newer version, to be coded. AMENDED_DONE: a newer version that no person needs to see. VOIDED: the
    certificate was withdrawn. REVISED: the same version, with another proposal of the machine's (a recode).
    """

    AMENDED = "AMENDED"
    AMENDED_DONE = "AMENDED_DONE"
    VOIDED = "VOIDED"
    REVISED = "REVISED"


@dataclass(frozen=True, slots=True)
class Banner:
    """What the holder must be told.

    Attributes:
        kind: the change.
        version: of the certificate, that it brought.
        at: when, where that is known.
        revision: of the machine's record, for a new proposal.
    """

    kind: Change
    version: int
    at: datetime | None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Renewed:
    """A claim with a new lease, and what came meanwhile."""

    claim: Claim
    banner: Banner | None


class Act(StrEnum):
    """What people do to a task beside deciding; UNREADABLE is the desk's own: the text's key was destroyed."""

    SKIP = "SKIP"
    ESCALATE = "ESCALATE"
    RETURN = "RETURN"
    SECOND = "SECOND"
    UNREADABLE = "UNREADABLE"


@dataclass(frozen=True, slots=True)
class Note:
    """An act with its reason and its words."""

    act: Act
    why: str
    text: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """A decision, as somebody may see it.

    Attributes:
        after: codes by line, Part I first.
        underlying: the cause that it holds.
        changed: it differs from the proposal; False when blind.
        standing: neither undone nor replaced.
        undoable: who asks may undo it now.
        sent: the broker has it.
    """

    decision_id: str
    kind: DecisionKind
    certificate_id: str
    version: int
    coder: str
    role: str
    reason: str
    decided_at: datetime
    seconds: float
    blind: bool
    after: tuple[tuple[str, ...], ...]
    underlying: str | None
    changed: bool
    standing: bool
    undoable: bool
    sent: bool


@dataclass(frozen=True, slots=True)
class Alike:
    """How people coded the same words before.

    Attributes:
        line: Part I lines, then Part II lines, from 0; -1 stands for all lines together.
        codes: of the line; of all lines, one after the other, for -1.
        underlying: for -1, the cause that was held.
        times: certificates that were coded so.
        last: the latest of them.
    """

    line: int
    codes: tuple[str, ...]
    underlying: str | None
    times: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A task with its text, for who holds it.

    Attributes:
        certificate: with plain texts.
        proposal: the machine's newest record of the version; None when blind.
        reasons, flags, stratum: the machine's; empty when blind.
        opinions: the first and the second coding, for who adjudicates.
        earlier: decisions on older versions; none when blind.
        notes: what people wrote when they skipped, escalated or asked.
        alike: the same words coded before; none when blind.
        draft: what this coder had typed.
        banner: what came meanwhile.
        seconds: spent so far.
    """

    claim: Claim
    certificate: Certificate
    proposal: CodedCertificate | None
    reasons: tuple[Reason, ...]
    flags: tuple[str, ...]
    stratum: str
    opinions: tuple[Past, ...]
    earlier: tuple[Past, ...]
    notes: tuple[Note, ...]
    alike: tuple[Alike, ...]
    draft: Draft | None
    banner: Banner | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Checked:
    """What a draft would meet.

    Attributes:
        faults: it cannot be decided with these.
        warnings: edits that it breaks, confirmed or not; one that rejects warns here, too.
        changed: it differs from the proposal; False when blind.
        needs_reason: a reason is mandatory.
        rules: what the rules select from its codes.
    """

    faults: tuple[Fault, ...]
    warnings: tuple[Edit, ...]
    changed: bool
    needs_reason: bool
    rules: Underlying


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that was written.

    Attributes:
        seconds: from the claim to the decision, less idle time.
        stage: what the task waits for now.
        old: it was made on a version that a newer one had replaced.
    """

    decision_id: str
    kind: DecisionKind
    certificate_id: str
    version: int
    decided_at: datetime
    seconds: float
    stage: Stage
    old: bool


@dataclass(frozen=True, slots=True)
class Undone:
    """An undo that was written.

    Attributes:
        decision_id: its own.
        certificate_id, version: what was undone a decision on.
        claim: the certificate in the hands of who undid, where he may code it.
    """

    decision_id: str
    certificate_id: str
    version: int
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Status:
    """What a person wants to see above every page.

    Attributes:
        open, escalated, second, disputed: tasks that this person may do.
        held: certificates that this person holds.
        unsent: decisions that the broker has not acknowledged yet.
        oldest_s: age of the oldest task that this person may do, seconds.
        done_today: this person's decisions since midnight UTC, and the median of their seconds.
    """

    open: int
    escalated: int
    second: int
    disputed: int
    held: int
    unsent: int
    oldest_s: float | None
    done_today: int
    seconds_median_today: float | None
