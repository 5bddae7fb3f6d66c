"""Decisions: a draft checked and written, in one transaction with the row that sends it and the row of the access log.

A decision bears the id of the claim that it ends: asked for twice, it is written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Certificate
from stream.coding import CodedCertificate, Correction, DecisionKind, Underlying
from stream.desk import checking, claims, opening, store, typed
from stream.desk.context import Context
from stream.desk.drafts import Draft
from stream.desk.folding import decision_row
from stream.desk.life import KINDS, Stage, Standing, may, standing
from stream.desk.opening import Work
from stream.desk.reasons import ACCEPTED, ADJUDICATED, BLIND, DRAWN, SECOND_OPINION
from stream.desk.records import correction_of
from stream.desk.refusals import (
    AlreadyDecided,
    ClaimLost,
    Invalid,
    NotAllowed,
    NoTask,
    ReasonMissing,
    Superseded,
    Unconfirmed,
)
from stream.desk.tables import ACTS, DECISIONS, OUTBOX, TASKS, Found
from stream.desk.trail import Trail
from stream.desk.values import Act, Banner, Change, Checked, Coder, Decided
from stream.nomenclature import icd10

_NOTHING = Underlying(None, 0.0)


@dataclass(frozen=True, slots=True)
class Ready:
    """A draft held against its certificate; `coding` is None where it has faults."""

    found: Work
    opened: Certificate
    checked: Checked
    coding: checking.Coding | None


def ready(context: Context, who: Coder, claim_id: str, draft: Draft) -> Ready:
    """Open the certificate and check a draft. Raises as `opening.work` and `opening.opened` do."""
    found = context.read(lambda connection: opening.work(connection, who, claim_id))
    certificate = opening.opened(context, found.certificate, claim_id)
    faults = checking.faults(draft, certificate)
    if faults:
        return Ready(found, certificate, Checked(faults, (), changed=False, needs_reason=False, rules=_NOTHING), None)
    made = checking.coding(draft, certificate, found.base, blind=found.blind)
    off = {edit for edit, severity in context.office.edits.items() if severity == "off"}
    warnings = tuple(edit for edit in made.broken if edit.id not in off)
    changed = not found.blind and _differs(made, found.base)
    # What a second opinion or a judgement changes is told by the codings themselves.
    needs = changed and found.kind is DecisionKind.FIRST
    return Ready(found, certificate, Checked((), warnings, changed, needs, made.rules), made)


def _differs(made: checking.Coding, base: CodedCertificate) -> bool:
    codes = tuple(tuple(e.code for e in line.entities) for line in (*made.part1, *made.part2))
    return (codes, made.cause.code) != (checking.codes_of(base), base.underlying.code)


def decide(context: Context, who: Coder, claim_id: str, draft: Draft, trail: Trail, *, kept: bool = False) -> Decided:
    """Write a decision; see `Desk.decide`."""
    before = context.read(lambda connection: _before(connection, who, claim_id))
    if before is not None:
        return _again(before, draft)
    told = ready(context, who, claim_id, draft)
    found, checked = told.found, told.checked
    banner = opening.banner_of(found.case, found.row.version, None if found.blind else draft.seen)
    if banner is not None and not _insists(draft, banner):
        if not kept:
            typed.keep(context, who, claim_id, draft)
        raise Superseded(banner)
    if checked.faults or told.coding is None:
        raise Invalid(checked.faults)
    reason = _reason(context, found, draft, checked)
    if unseen := tuple(edit for edit in checked.warnings if edit.id not in draft.confirmed):
        raise Unconfirmed(unseen)
    try:
        done = context.write(
            lambda connection: _written(connection, context, who, claim_id, draft, told, reason, trail), trail
        )
    except ClaimLost:
        # A transaction whose answer was lost is done again, and finds its claim ended by what it wrote itself.
        before = context.read(lambda connection: _before(connection, who, claim_id))
        if before is None:
            raise
        return _again(before, draft)
    if isinstance(done, Decided):
        return done
    if not kept:
        typed.keep(context, who, claim_id, draft)
    raise done


def _insists(draft: Draft, banner: Banner) -> bool:
    """Whether a draft is decided although this came: on an older version of a certificate, where its author says so."""
    return draft.keep_old and banner.kind in (Change.AMENDED, Change.AMENDED_DONE)


def _before(connection: Connection, who: Coder, claim_id: str) -> Found | None:
    """The decision that a claim has led to."""
    chosen = sa.select(DECISIONS, TASKS.c.stage, TASKS.c.version.label("now")).outerjoin(
        TASKS, TASKS.c.certificate_id == DECISIONS.c.certificate_id
    )
    return connection.execute(
        chosen.where(DECISIONS.c.decision_id == claim_id, DECISIONS.c.coder == who.pseudonym)
    ).one_or_none()


def _again(row: Found, draft: Draft) -> Decided:
    made = correction_of(row.body)
    same = tuple(tuple(icd10.dotted(code) for code in line) for line in draft.codes()) == made.after
    if not same or icd10.dotted(draft.underlying) != made.underlying_after:
        raise AlreadyDecided(row.decision_id)
    return Decided(
        row.decision_id, DecisionKind(row.kind), row.certificate_id, row.version, row.decided_at, row.seconds,
        Stage(row.stage) if row.stage else Stage.GONE, row.now != row.version,
    )  # fmt: skip


def _reason(context: Context, found: Work, draft: Draft, checked: Checked) -> str:
    if draft.reason and draft.reason not in (ACCEPTED, BLIND, SECOND_OPINION, ADJUDICATED):
        if not context.reasons.offers("changes", draft.reason):
            raise ReasonMissing("no reason of changes has this code")
    elif checked.needs_reason:
        raise ReasonMissing("the proposal is changed")
    if found.kind is DecisionKind.SECOND:
        return draft.reason or SECOND_OPINION
    if found.kind is DecisionKind.ADJUDICATION:
        return draft.reason or ADJUDICATED
    if found.blind:
        return BLIND
    return draft.reason if checked.changed else ACCEPTED


def _written(
    connection: Connection,
    context: Context,
    who: Coder,
    claim_id: str,
    draft: Draft,
    told: Ready,
    reason: str,
    trail: Trail,
) -> Decided | Superseded:
    """Look again at what may have changed since the draft was checked, then write all of it."""
    found, coding = told.found, told.coding
    assert coding is not None
    identifier, version = found.row.certificate_id, found.row.version
    store.lock(connection, identifier)
    row = claims.mine(connection, who, claim_id)
    if row.version != version:
        raise ClaimLost("the claim is on another version by now")
    case = store.case(connection, identifier)
    banner = opening.banner_of(case, version, None if found.blind else draft.seen)
    if banner is not None and not _insists(draft, banner):
        return Superseded(banner)
    if banner is None:
        _waits(case, found.kind, who)
    now = context.clock()
    at = after(case, now)
    base = found.base
    record = checking.result(base, coding, at)
    spent = claims.seconds(row, now, beat_s=context.settings.beat_s)
    kind = found.kind
    correction = Correction(
        claim_id, kind, identifier, version, who.pseudonym, who.role, reason, at, record.content_hash,
        before=() if found.blind else checking.codes_of(base), after=checking.codes_of(record),
        underlying_before=None if found.blind else base.underlying.code, underlying_after=coding.cause.code,
        blind=found.blind, seconds=spent, result=None if kind is DecisionKind.SECOND else record,
    )  # fmt: skip
    enter(connection, correction)
    if kind is not DecisionKind.SECOND:
        context.index.put(connection, told.opened, record, claim_id)
    _ask_second(connection, context, correction, draft)
    _end_escalation(connection, identifier, version)
    claims.drop(connection, claim_id)
    typed.forget(connection, who, identifier)
    store.refresh(connection, [identifier])
    trail.write(connection, "DECIDED", identifier, version, {"decision": claim_id, "kind": kind.value})
    stage = connection.execute(sa.select(TASKS.c.stage).where(TASKS.c.certificate_id == identifier)).scalar()
    return Decided(
        claim_id, kind, identifier, version, at, spent, Stage(stage) if stage else Stage.GONE, banner is not None
    )  # fmt: skip


def _waits(case: store.Case, kind: DecisionKind, who: Coder) -> Standing:
    """What a task waits for, if it is this decision by this person.

    Raises:
        NoTask: it waits for something else.
        NotAllowed: it waits for somebody else.
    """
    now = standing(case.known)
    if KINDS.get(now.stage) is not kind:
        raise NoTask(f"the task waits for nothing of this kind: {now.stage}")
    if not may(now.stage, senior_only=now.senior, first_by=now.first.coder if now.first else None,
               second_by=now.second.coder if now.second else None, who=who.pseudonym, senior=who.senior):  # fmt: skip
        raise NotAllowed("the task waits for somebody else")
    return now


def after(case: store.Case, now: datetime) -> datetime:
    """Now, and later than every decision on the certificate: their order is the order of their moments."""
    latest = max((row.decided_at for row in case.made), default=None)
    return now if latest is None else max(now, latest + timedelta(milliseconds=1))


def enter(connection: Connection, correction: Correction) -> None:
    """Write a decision, and the row that sends it."""
    connection.execute(DECISIONS.insert().values(**decision_row(correction, read=False)))
    connection.execute(
        OUTBOX.insert().values(
            decision_id=correction.decision_id, certificate_id=correction.certificate_id, at=correction.decided_at
        )
    )


def _ask_second(connection: Connection, context: Context, made: Correction, draft: Draft) -> None:
    if made.kind is not DecisionKind.FIRST:
        return
    drawn = context.index.drawn(made.certificate_id, made.version, context.settings.second_share)
    if not drawn and not draft.second:
        return
    asked = sa.exists().where(
        ACTS.c.certificate_id == made.certificate_id, ACTS.c.version == made.version, ACTS.c.act == Act.SECOND.value
    )
    if connection.execute(sa.select(asked)).scalar():
        return
    # A draw comes before a wish: what was drawn is a fair sample, whatever its first coder thought of it.
    who, why = ("", DRAWN) if drawn else (made.coder, "UNSURE")
    connection.execute(
        ACTS.insert().values(
            certificate_id=made.certificate_id, version=made.version, act=Act.SECOND.value, who=who, why=why,
            at=made.decided_at, holds=True,
        )
    )  # fmt: skip


def _end_escalation(connection: Connection, certificate_id: str, version: int) -> None:
    same = sa.and_(ACTS.c.certificate_id == certificate_id, ACTS.c.version == version)
    connection.execute(sa.update(ACTS).where(same, ACTS.c.act == Act.ESCALATE.value, ACTS.c.holds).values(holds=False))
