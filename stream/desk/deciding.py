"""Decisions: a draft checked and written, in one transaction with the row that sends it; an undo likewise.

A decision bears the id of the claim that it ends, and an undo an id made from what it undoes: asked for twice, each is
written once.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Certificate
from stream.coding import CodedCertificate, Correction, DecisionKind, Underlying
from stream.database import upsert
from stream.desk import checking, claims, opening, store
from stream.desk.context import Context
from stream.desk.drafts import Draft, DraftCode, DraftLine, draft_json, read_draft
from stream.desk.folding import decision_row
from stream.desk.life import KINDS, Stage, Standing, may, standing
from stream.desk.opening import Work
from stream.desk.reasons import ACCEPTED, ADJUDICATED, BLIND, DRAWN, SECOND_OPINION
from stream.desk.records import correction_of
from stream.desk.refusals import (
    AlreadyDecided,
    ClaimLost,
    Held,
    Invalid,
    NotAllowed,
    NoTask,
    ReasonMissing,
    StandsOn,
    Superseded,
    Unconfirmed,
)
from stream.desk.tables import ACTS, CLAIMS, DECISIONS, DRAFTS, OUTBOX, TASKS, Found
from stream.desk.values import Act, Checked, Claim, Coder, Decided, Undone
from stream.nomenclature import icd10

_UNDO = uuid.UUID("6f1b1c0e-6f0a-4d43-8d0f-0c5f6f9a7c55")
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


def decide(context: Context, who: Coder, claim_id: str, draft: Draft) -> Decided:
    """Write a decision; see `Desk.decide`."""
    before = context.read(lambda connection: _before(connection, who, claim_id))
    if before is not None:
        return _again(before, draft)
    told = ready(context, who, claim_id, draft)
    found, checked = told.found, told.checked
    if found.banner is not None and not draft.keep_old:
        keep(context, who, claim_id, draft)
        raise Superseded(found.banner)
    if checked.faults or told.coding is None:
        raise Invalid(checked.faults)
    reason = _reason(context, found, draft, checked)
    if unseen := tuple(edit for edit in checked.warnings if edit.id not in draft.confirmed):
        raise Unconfirmed(unseen)
    done = context.write(lambda connection: _written(connection, context, who, claim_id, draft, told, reason))
    if isinstance(done, Decided):
        return done
    keep(context, who, claim_id, draft)
    raise done


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
    banner = opening.banner_of(case, version)
    if banner is not None and not draft.keep_old:
        return Superseded(banner)
    if banner is None:
        _waits(case, found.kind, who)
    now = context.clock()
    at = _after(case, now)
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
    _enter(connection, correction)
    if kind is not DecisionKind.SECOND:
        context.index.put(connection, told.opened, record, claim_id)
    _ask_second(connection, context, correction, draft)
    _end_escalation(connection, identifier, version)
    claims.drop(connection, claim_id)
    connection.execute(sa.delete(DRAFTS).where(DRAFTS.c.certificate_id == identifier, DRAFTS.c.coder == who.pseudonym))
    store.refresh(connection, [identifier])
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


def _after(case: store.Case, now: datetime) -> datetime:
    """Now, and later than every decision on the certificate: their order is the order of their moments."""
    latest = max((row.decided_at for row in case.made), default=None)
    return now if latest is None else max(now, latest + timedelta(milliseconds=1))


def _enter(connection: Connection, correction: Correction) -> None:
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


def keep(context: Context, who: Coder, claim_id: str, draft: Draft) -> None:
    """Keep a draft for its author, and lengthen his lease."""

    def kept(connection: Connection) -> None:
        row = claims.mine(connection, who, claim_id)
        put_draft(connection, who, row.certificate_id, row.version, draft, context.clock())
        claims.renew(connection, row, context.clock(), context.lease, beat_s=context.settings.beat_s)

    context.write(kept)


def put_draft(
    connection: Connection, who: Coder, certificate_id: str, version: int, draft: Draft, at: datetime
) -> None:
    """Keep a draft: one for each person and certificate, the last."""
    body = json.dumps(draft_json(draft), separators=(",", ":"))
    row = {"certificate_id": certificate_id, "coder": who.pseudonym, "version": version, "body": body, "at": at}
    upsert(connection, DRAFTS, [row])


def draft_of(connection: Connection, who: Coder, found: Work) -> Draft | None:
    """What a person had typed for a certificate; on a newer version without places, where it has as many lines."""
    chosen = sa.select(DRAFTS).where(
        DRAFTS.c.certificate_id == found.row.certificate_id, DRAFTS.c.coder == who.pseudonym
    )
    row = connection.execute(chosen).one_or_none()
    if row is None:
        return None
    draft = read_draft(row.body)
    if row.version == found.row.version:
        return draft
    certificate = found.certificate
    if (len(draft.part1), len(draft.part2)) != (len(certificate.part1), len(certificate.part2)):
        return None
    return Draft(_anywhere(draft.part1), _anywhere(draft.part2), draft.underlying, draft.reason)


def _anywhere(part: tuple[DraftLine, ...]) -> tuple[DraftLine, ...]:
    return tuple(DraftLine(tuple(DraftCode(code.code, due_to=code.due_to) for code in line.codes)) for line in part)


def undo(context: Context, who: Coder, decision_id: str, why: str) -> Undone:
    """Take a decision back; see `Desk.undo`."""
    context.offered("undos", why)
    return context.write(lambda connection: _undone(connection, context, who, decision_id, why))


def undo_id(decision_id: str) -> str:
    """Id of the undo of a decision."""
    return uuid.uuid5(_UNDO, decision_id).hex


def _undone(connection: Connection, context: Context, who: Coder, decision_id: str, why: str) -> Undone:
    row = connection.execute(sa.select(DECISIONS).where(DECISIONS.c.decision_id == decision_id)).one_or_none()
    if row is None:
        raise NoTask("there is no such decision")
    if row.coder != who.pseudonym and not who.senior:
        raise NotAllowed("a decision is undone by its author or by a senior")
    identifier = row.certificate_id
    task = store.lock(connection, identifier)
    case = store.case(connection, identifier)
    made = undo_id(decision_id)
    if any(one.decision_id == made for one in case.made):
        held = claims.row_of(connection, identifier)
        return Undone(made, claims.claim_of(held) if held is not None and held.coder == who.pseudonym else None)
    now = undoable(case, row)
    if task is None or now is None:
        raise StandsOn("something stands on the decision")
    base = case.base()
    if base is None:
        raise StandsOn("the machine's record is not there")
    at = _after(case, context.clock())
    held = claims.row_of(connection, identifier)
    if held is not None and held.coder != who.pseudonym and held.expires_at > at:
        raise Held("somebody works on the certificate")
    undone = correction_of(row.body)
    correction = Correction(
        made, DecisionKind.UNDO, identifier, row.version, who.pseudonym, who.role, why, at, base.content_hash,
        supersedes=decision_id, before=undone.after, underlying_before=undone.underlying_after, blind=row.blind,
        result=_left(connection, row, now, base, at),
    )  # fmt: skip
    _enter(connection, correction)
    put_draft(connection, who, identifier, row.version, _draft_of(undone, len(base.part1)), at)
    store.refresh(connection, [identifier])
    return Undone(made, _taken(connection, context, who, identifier, at))


def undoable(case: store.Case, row: Found) -> Standing | None:
    """What stands, if a decision is the last of it and nothing came after; else None."""
    if case.manual is None or case.gone or row.version != case.manual.version or row.kind == DecisionKind.UNDO:
        return None
    now = standing(case.known)
    return now if now.last is not None and now.last.decision_id == row.decision_id else None


def _left(
    connection: Connection, row: Found, now: Standing, base: CodedCertificate, at: datetime
) -> CodedCertificate | None:
    """The record that an undo leaves: the machine's codes; of an adjudication, the first coding's, disputed again."""
    if row.kind == DecisionKind.SECOND:
        return None
    if row.kind == DecisionKind.ADJUDICATION and now.first is not None:
        chosen = sa.select(DECISIONS.c.body).where(DECISIONS.c.decision_id == now.first.decision_id)
        body = connection.execute(chosen).scalar()
        first = correction_of(body).result if body is not None else None
        return checking.given_back(first or base, at)
    return checking.given_back(base, at)


def _draft_of(undone: Correction, part1: int) -> Draft:
    """What was decided, as a draft; of a second opinion without places."""
    if undone.result is not None:
        kept = Draft.of(undone.result)
        return Draft(kept.part1, kept.part2, kept.underlying, undone.reason)
    lines = tuple(DraftLine(tuple(DraftCode(code) for code in line)) for line in undone.after)
    return Draft(lines[:part1], lines[part1:], undone.underlying_after or "", undone.reason)


def _taken(connection: Connection, context: Context, who: Coder, identifier: str, at: datetime) -> Claim | None:
    """The certificate in the hands of who undid, where he may code it."""
    task = store.lock(connection, identifier)
    stage = Stage(task.stage) if task is not None else Stage.GONE
    if task is None or not may(
        stage, senior_only=task.senior, first_by=task.first_by, second_by=task.second_by, who=who.pseudonym,
        senior=who.senior,
    ):  # fmt: skip
        return None
    held = claims.row_of(connection, identifier)
    if held is not None and held.coder == who.pseudonym:
        connection.execute(sa.delete(CLAIMS).where(CLAIMS.c.claim_id == held.claim_id))
    return claims.take(connection, task, KINDS[stage], who, at, context.lease)
