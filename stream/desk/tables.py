"""The desk's tables.

Facts come from the topics and are there again after a rebuild: `manual` (the newest task of each certificate), `coded` (what
the machine and people hold of its newest version), `decisions`. What people did at the desk and no topic tells is kept beside
them: `claims` (with `older`), `acts` (skips, escalations, second opinions asked for), `drafts`, `outbox`, `texts`. `tasks` and `marks` are
made of the others (`stream.desk.store.refresh`), so that the queue is one query.

No column holds a word of a certificate: its texts stand sealed in `manual.certificate` as they came, notes are sealed under
the certificate's key, and `texts` holds keyed hashes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Dialect, Index, Integer, LargeBinary, MetaData, Row, String, Table, Text

VERSION = 1
"""Of the tables' form."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(sa.types.TypeDecorator[datetime]):
    """A moment in UTC as milliseconds, the same and in the same order in both databases."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """To the database."""
        del dialect
        return None if value is None else (value - _EPOCH) // timedelta(milliseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect
        return None if value is None else _EPOCH + timedelta(milliseconds=int(value))


Found = Row[*tuple[Any, ...]]
"""A row as a query gives it."""

TABLES = MetaData()
# A serial number, whose type SQLite wants to be spelt INTEGER.
_Serial = sa.BigInteger().with_variant(Integer, "sqlite")

MANUAL = Table(
    "desk_manual", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("open", sa.Boolean, nullable=False),
    Column("audit", sa.Boolean, nullable=False),
    Column("priority", sa.Float, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("created_at", Moment),
    Column("content_hash", String(64), nullable=False),
    Column("certificate", LargeBinary),
    Column("proposal", LargeBinary),
)  # fmt: skip

CODED = Table(
    "desk_coded", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("withdrawn", sa.Boolean, nullable=False),
    Column("conflict", sa.Boolean, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("final_at", Moment),
    # the machine's record
    Column("machine", sa.Boolean, nullable=False),
    Column("machine_revision", Integer, nullable=False),
    Column("machine_at", Moment),
    Column("route", String(8), nullable=False),
    Column("audit", sa.Boolean, nullable=False),
    Column("stratum", String(40), nullable=False),
    Column("inclusion", sa.Float, nullable=False),
    Column("code", String(8)),
    Column("source", String(12), nullable=False),
    Column("month", String(8), nullable=False),
    Column("body", LargeBinary),
    # a person's record
    Column("human_at", Moment),
    Column("human_final", sa.Boolean, nullable=False),
    Column("human_code", String(8)),
    Index("desk_coded_at", "machine_at"),
    Index("desk_coded_audit", "audit", "machine_at"),
)  # fmt: skip

DECISIONS = Table(
    "desk_decisions", TABLES,
    Column("decision_id", String(64), primary_key=True),
    Column("certificate_id", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("coder", String(128), nullable=False),
    Column("role", String(20), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("decided_at", Moment, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("supersedes", String(64)),
    Column("blind", sa.Boolean, nullable=False),
    Column("seconds", sa.Float, nullable=False),
    Column("changed", sa.Boolean, nullable=False),
    Column("cause", String(8)),
    Column("cause_before", String(8)),
    Column("body", LargeBinary, nullable=False),
    Column("read", sa.Boolean, nullable=False),  # seen on the topic
    Column("stands", sa.Boolean, nullable=False),  # not undone or replaced
    Column("holds", sa.Boolean, nullable=False),  # its codes are what people hold of the version
    Index("desk_decisions_of", "certificate_id"),
    Index("desk_decisions_by", "coder", "decided_at"),
    Index("desk_decisions_at", "decided_at"),
)  # fmt: skip

CLAIMS = Table(
    "desk_claims", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("claim_id", String(40), nullable=False, unique=True),
    Column("coder", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("blind", sa.Boolean, nullable=False),
    Column("claimed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("beat_at", Moment, nullable=False),
    Column("idle_s", sa.Float, nullable=False),
    Index("desk_claims_by", "coder"),
)  # fmt: skip

OLDER = Table(  # a version that somebody holds although a newer one came
    "desk_older", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("certificate", LargeBinary),
    Column("proposal", LargeBinary),
    Column("body", LargeBinary),
    Column("content_hash", String(64), nullable=False),
)  # fmt: skip

ACTS = Table(
    "desk_acts", TABLES,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("certificate_id", String(128), nullable=False),
    Column("version", Integer, nullable=False),
    Column("act", String(12), nullable=False),
    Column("who", String(128), nullable=False),
    Column("why", String(64), nullable=False),
    Column("note", LargeBinary),
    Column("at", Moment, nullable=False),
    Column("holds", sa.Boolean, nullable=False),  # an escalation ends with a decision, or when it is sent back
    Index("desk_acts_of", "certificate_id", "version"),
    Index("desk_acts_at", "at"),
)  # fmt: skip

DRAFTS = Table(
    "desk_drafts", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("coder", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Moment, nullable=False),
)  # fmt: skip

OUTBOX = Table(
    "desk_outbox", TABLES,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("decision_id", String(64), nullable=False, unique=True),
    Column("certificate_id", String(128), nullable=False),
    Column("at", Moment, nullable=False),
)  # fmt: skip

LEASES = Table(
    "desk_leases", TABLES,
    Column("name", String(40), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("expires_at", Moment, nullable=False),
)  # fmt: skip

TEXTS = Table(
    "desk_texts", TABLES,
    Column("hash", String(32), primary_key=True),
    Column("decision_id", String(64), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("certificate_id", String(128), nullable=False),
    Column("codes", Text, nullable=False),
    Column("cause", String(8)),
    Column("at", Moment, nullable=False),
    Index("desk_texts_of", "certificate_id"),
)  # fmt: skip

TASKS = Table(
    "desk_tasks", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("stage", String(12), nullable=False),
    Column("senior", sa.Boolean, nullable=False),  # only a senior may
    Column("audit", sa.Boolean, nullable=False),
    Column("place", sa.Float, nullable=False),  # in the queue, higher first; negative where nobody waits
    Column("priority", sa.Float, nullable=False),
    Column("first_by", String(128)),
    Column("second_by", String(128)),
    Column("created_at", Moment, nullable=False),
    Column("since", Moment, nullable=False),
    Column("stratum", String(40), nullable=False),
    Column("source", String(12), nullable=False),
    Column("department", String(3)),
    Column("sex", String(1), nullable=False),
    Column("age", Integer),
    Column("age_unit", String(8)),
    Column("proposed", String(8)),
    Column("confidence", sa.Float),
    Index("desk_tasks_place", sa.text("place DESC"), "created_at", "certificate_id"),
    Index("desk_tasks_age", "created_at", "certificate_id"),
)  # fmt: skip

MARKS = Table(
    "desk_marks", TABLES,
    Column("certificate_id", String(128), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("value", String(128), primary_key=True),
    Index("desk_marks_value", "kind", "value"),
)  # fmt: skip

DERIVED = (TASKS, MARKS)
FACTS = (MANUAL, CODED)
