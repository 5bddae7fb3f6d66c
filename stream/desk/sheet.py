"""A task laid before its holder: the certificate, and of all that is known of it what he may see."""

from __future__ import annotations

from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk import claims, holding, opening, typed
from stream.desk.context import Context
from stream.desk.past import past
from stream.desk.values import Coder, Opened


def task(context: Context, who: Coder, claim_id: str) -> Opened:
    """See `Desk.task`."""
    found = context.read(lambda connection: opening.work(connection, who, claim_id))
    certificate = opening.opened(context, found.certificate, claim_id)
    claim = holding.renew(context, who, claim_id, 0.0).claim

    def told(connection: Connection) -> Opened:
        decisions = past(connection, who, found.case)
        judged = found.kind is DecisionKind.ADJUDICATION
        version = found.row.version
        opinions = tuple(
            one for one in decisions if one.version == version and one.standing and one.kind is not DecisionKind.UNDO
        )
        base = None if found.blind else found.base
        return Opened(
            claim, certificate, base, base.targeting.reasons if base else (), base.flags if base else (),
            base.targeting.stratum if base else "", opinions if judged else (),
            () if found.blind else tuple(one for one in decisions if one.version < version),
            opening.notes(connection, context, found),
            () if found.blind else context.index.alike(connection, certificate),
            typed.draft_of(connection, who, found), found.banner,
            claims.seconds(found.row, context.clock(), beat_s=context.settings.beat_s),
        )  # fmt: skip

    return context.read(told)
