"""The machine against the blind audits, of what the desk has in its database; measured as `causa quality` does."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.certificate import Source
from stream.coding import (
    CodedCertificate,
    CodedStatus,
    Correction,
    DecisionKind,
    Modality,
    Route,
    Targeting,
    Underlying,
    Versions,
)
from stream.desk.decided import COLUMNS, in_parts
from stream.desk.tables import CODED, DECISIONS, Found
from stream.quality.estimate import Audit, Cell
from stream.quality.ledger import Case


def audit(connection: Connection, since: datetime, until: datetime) -> Audit:
    """The audit of the certificates that the machine coded in the period."""
    columns = CODED.c
    period = sa.and_(columns.machine, ~columns.withdrawn, columns.machine_at >= since, columns.machine_at < until)
    found = Audit()
    cell = (columns.route, columns.stratum, columns.inclusion)
    for route, stratum, inclusion, count in connection.execute(
        sa.select(*cell, sa.func.count()).where(period, ~columns.audit).group_by(*cell)
    ):
        found.certificates[Cell(Route(route), stratum, inclusion)] += count
    rows = connection.execute(sa.select(CODED).where(period, columns.audit).order_by(columns.certificate_id)).all()
    decisions: dict[str, list[Correction]] = defaultdict(list)
    for row in in_parts(connection, sa.select(*COLUMNS), DECISIONS.c.certificate_id, (r.certificate_id for r in rows)):
        decisions[row.certificate_id].append(_slim(row))
    for row in rows:
        made = sorted(decisions[row.certificate_id], key=lambda d: (d.decided_at, d.decision_id))
        found.add(Case(row.certificate_id, row.version, _machine(row), decided=tuple(made)))
    return found


def _machine(row: Found) -> CodedCertificate:
    return CodedCertificate(
        row.certificate_id, row.version, row.content_hash, CodedStatus.PROVISIONAL, Modality.MODEL,
        Underlying(row.code, 0.0), Targeting(Route(row.route), (), row.audit, row.inclusion, stratum=row.stratum),
        Versions(), row.machine_at, source=Source(row.source),
    )  # fmt: skip


def _slim(row: Found) -> Correction:
    return Correction(
        row.decision_id, DecisionKind(row.kind), row.certificate_id, row.version, row.coder, row.role, row.reason,
        row.decided_at, row.content_hash, row.supersedes, underlying_after=row.cause, blind=row.blind,
    )  # fmt: skip
