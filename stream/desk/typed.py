"""What somebody typed and has not decided: kept for its author, and given back to him."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import CodedCertificate
from stream.database import upsert
from stream.desk import claims, opening
from stream.desk.context import Context
from stream.desk.drafts import Draft, DraftCode, DraftLine, draft_json, read_draft
from stream.desk.opening import Work
from stream.desk.refusals import NoTask
from stream.desk.tables import DRAFTS
from stream.desk.values import Coder
from stream.nomenclature import icd10


def keep(context: Context, who: Coder, claim_id: str, draft: Draft) -> None:
    """Keep a draft for its author, and lengthen his lease.

    A draft that is the proposal as it came is not kept, and one kept before is let go of: nobody typed it, and an amendment
    must not find it in the place of its own proposal.
    """

    def kept(connection: Connection) -> None:
        row = claims.mine(connection, who, claim_id)
        if _untouched(connection, who, claim_id, draft):
            forget(connection, who, row.certificate_id)
        else:
            put_draft(connection, who, row.certificate_id, row.version, draft, context.clock())
        claims.renew(connection, row, context.clock(), context.lease, beat_s=context.settings.beat_s)

    context.write(kept)


def _untouched(connection: Connection, who: Coder, claim_id: str, draft: Draft) -> bool:
    """Whether a draft holds what its author was shown, and nothing else."""
    try:
        found = opening.work(connection, who, claim_id)
    except NoTask:
        return False  # nobody can tell any more
    if found.blind:
        return not any(draft.codes()) and not draft.underlying
    return proposed(draft, found.base)


def proposed(draft: Draft, base: CodedCertificate, *, places: bool = True) -> bool:
    """Whether a draft is the machine's proposal and nothing else; without `places`, wherever on the line its codes stand."""
    shown = Draft.of(base)
    parts = [[_codes(part, places=places) for part in (one.part1, one.part2)] for one in (draft, shown)]
    return parts[0] == parts[1] and icd10.dotted(draft.underlying) == icd10.dotted(shown.underlying)


def _codes(part: tuple[DraftLine, ...], *, places: bool) -> list[list[DraftCode]]:
    return [
        [
            replace(code, code=icd10.dotted(code.code)) if places else DraftCode(icd10.dotted(code.code))
            for code in line.codes
        ]
        for line in part
    ]


def forget(connection: Connection, who: Coder, certificate_id: str) -> None:
    """Let go of what a person typed for a certificate."""
    same = sa.and_(DRAFTS.c.certificate_id == certificate_id, DRAFTS.c.coder == who.pseudonym)
    connection.execute(sa.delete(DRAFTS).where(same))


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
