"""A claim with all that its holder works on: the version that he was given, its text opened, what came meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Certificate
from stream.coding import CodedCertificate, DecisionKind
from stream.desk import claims, store
from stream.desk.context import Context
from stream.desk.records import certificate_of
from stream.desk.refusals import NoTask
from stream.desk.tables import ACTS, DRAFTS, Found
from stream.desk.values import Act, Banner, Change, Coder, Note
from stream.errors import Shredded


@dataclass(frozen=True, slots=True)
class Work:
    """What a holder works on.

    Attributes:
        row: the claim's.
        case: the certificate as it is now.
        certificate: the version that the claim is on, its texts as they came.
        base: the machine's record of that version.
        content_hash: of that version.
        banner: what came meanwhile.
    """

    row: Found
    case: store.Case
    certificate: Certificate
    base: CodedCertificate
    content_hash: str
    banner: Banner | None

    @property
    def blind(self) -> bool:
        """Whether nothing of the machine's may be shown."""
        return bool(self.row.blind)

    @property
    def kind(self) -> DecisionKind:
        """The decision that the claim is for."""
        return DecisionKind(self.row.kind)


def work(connection: Connection, who: Coder, claim_id: str) -> Work:
    """What a claim's holder works on.

    Raises:
        ClaimLost: he holds it no more.
        NoTask: the version was taken away and kept nowhere.
    """
    row = claims.mine(connection, who, claim_id)
    case = store.case(connection, row.certificate_id)
    banner = banner_of(case, row.version)
    manual = case.manual
    if manual is not None and manual.version == row.version:
        body, base, content_hash = manual.certificate, case.base(), case.content_hash
        if base is None and (kept := store.older(connection, row.certificate_id, row.version)) is not None:
            # The record of the newer version came before its task.
            base, content_hash = store.newest((kept.proposal, kept.body)), content_hash or kept.content_hash
    else:
        kept = store.older(connection, row.certificate_id, row.version)
        if kept is None or kept.certificate is None:
            raise NoTask("the version is kept no more")
        body, base, content_hash = kept.certificate, store.newest((kept.proposal, kept.body)), kept.content_hash
    if base is None:
        raise NoTask("there is no record of the version")
    return Work(row, case, certificate_of(body), base, content_hash or base.content_hash, banner)


def banner_of(case: store.Case, version: int, seen: int | None = None) -> Banner | None:
    """What came since a version was given to somebody.

    Args:
        case: the certificate as it is now.
        version: that he was given.
        seen: revision of the proposal that he has seen; None where nobody tells, or he is to see none.
    """
    manual, coded = case.manual, case.coded
    if coded is not None and coded.version >= version and coded.withdrawn:
        return Banner(Change.VOIDED, coded.version, coded.first_at)
    if manual is not None and manual.version > version:
        newer = coded is not None and coded.version > manual.version
        if manual.open and not newer:
            return Banner(Change.AMENDED, manual.version, manual.created_at)
        return Banner(Change.AMENDED_DONE, max(manual.version, coded.version if coded else 0), manual.created_at)
    if coded is not None and coded.version > version:
        coming = coded.audit or coded.route == "MANUAL"
        return Banner(Change.AMENDED if coming else Change.AMENDED_DONE, coded.version, coded.first_at)
    if manual is None or not manual.open:
        return Banner(Change.AMENDED_DONE, version, None)
    return _revised(case, version, seen) if seen is not None else None


def _revised(case: store.Case, version: int, seen: int) -> Banner | None:
    """That the machine has proposed something else since."""
    told = (row.revision if row is case.manual else row.machine_revision for row in (case.manual, case.coded) if row)
    if max(told, default=0) <= seen:  # most heartbeats: no record is unpacked
        return None
    base = case.base()
    return Banner(Change.REVISED, version, base.coded_at, base.revision) if base and base.revision > seen else None


def opened(context: Context, certificate: Certificate, claim_id: str) -> Certificate:
    """A certificate with its texts plain.

    Raises:
        Shredded: its key was destroyed: the task is closed and the claim is over.
        SealedUnreadable, KeysUnavailable: it does not open here, or not now.
    """
    try:
        return context.opener.open(certificate)
    except Shredded:
        context.write(lambda connection: _close(connection, context, certificate, claim_id))
        raise


def _close(connection: Connection, context: Context, certificate: Certificate, claim_id: str) -> None:
    from stream.desk.reasons import SHREDDED
    from stream.desk.texts import forget

    identifier = certificate.certificate_id
    store.lock(connection, identifier)
    connection.execute(
        ACTS.insert().values(
            certificate_id=identifier, version=certificate.version, act=Act.UNREADABLE.value, who="", why=SHREDDED,
            at=context.clock(), holds=True,
        )
    )  # fmt: skip
    forget(connection, [identifier])
    claims.drop(connection, claim_id)
    connection.execute(sa.delete(DRAFTS).where(DRAFTS.c.certificate_id == identifier))
    store.refresh(connection, [identifier])


def notes(connection: Connection, context: Context, found: Work) -> tuple[Note, ...]:
    """What people wrote on the version, by time; who gives a second opinion reads nothing of the first coder's."""
    row = found.row
    chosen = sa.select(ACTS).where(
        ACTS.c.certificate_id == row.certificate_id, ACTS.c.version == row.version, ACTS.c.who != ""
    )
    first_by = {made.coder for made in found.case.made if made.kind == DecisionKind.FIRST}
    hidden = first_by if found.kind is DecisionKind.SECOND else set()
    return tuple(
        Note(
            Act(act.act), act.why, context.opener.words(act.note, row.certificate_id, row.version) if act.note else "",
            act.who, act.at,
        )
        for act in connection.execute(chosen.order_by(ACTS.c.number)) if act.who not in hidden
    )  # fmt: skip
