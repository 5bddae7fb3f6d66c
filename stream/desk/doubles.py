"""Second opinions against first codings, and how disputes were settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from stream.coding import DecisionKind
from stream.desk.decided import COLUMNS, in_parts
from stream.desk.tables import ACTS, DECISIONS, Found
from stream.desk.values import Act
from stream.nomenclature.agreement import Level
from stream.quality.kappa import Kappa, by_level


def doubles(connection: Connection, made: Sequence[Found]) -> tuple[dict[Level, Kappa], dict[Level, Kappa]]:
    """Agreement of the second opinions among some decisions with their firsts: of the drawn ones, and of those asked for."""
    seconds = [row for row in made if row.kind == DecisionKind.SECOND and row.stands]
    ids = [row.certificate_id for row in seconds]
    firsts = {
        (row.certificate_id, row.version): row.cause
        for row in in_parts(
            connection,
            sa.select(*COLUMNS).where(DECISIONS.c.kind == DecisionKind.FIRST.value, DECISIONS.c.stands),
            DECISIONS.c.certificate_id,
            ids,
        )
    }
    chosen = sa.select(ACTS.c.certificate_id, ACTS.c.version).where(ACTS.c.act == Act.SECOND.value, ACTS.c.who == "")
    drawn = {tuple(row) for row in in_parts(connection, chosen, ACTS.c.certificate_id, ids)}
    pairs: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for row in seconds:
        key = (row.certificate_id, row.version)
        if key in firsts:
            pairs[key in drawn].append((firsts[key] or "", row.cause or ""))
    return by_level(pairs[True]), by_level(pairs[False])


def adjudicated(connection: Connection, made: Sequence[Found]) -> Counter[str]:
    """Disputes settled among some decisions: ``all``, and those that kept the ``first`` or the ``second`` cause."""
    judged = [row for row in made if row.kind == DecisionKind.ADJUDICATION and row.stands]
    causes = {
        (row.certificate_id, row.version, row.kind): row.cause
        for row in in_parts(
            connection, sa.select(*COLUMNS).where(DECISIONS.c.stands), DECISIONS.c.certificate_id,
            (row.certificate_id for row in judged),
        )
    }  # fmt: skip
    found: Counter[str] = Counter()
    for row in judged:
        found["all"] += 1
        for name, kind in (("first", DecisionKind.FIRST), ("second", DecisionKind.SECOND)):
            found[name] += causes.get((row.certificate_id, row.version, kind)) == row.cause
    return found
