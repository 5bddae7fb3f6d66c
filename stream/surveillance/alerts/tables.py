"""Tables of the alerts, in the surveillance database.

`alerts` holds the newest revision of each; `alerts_revisions` all of them: it is the outbox that the topic and the sinks
are fed from, and the history. Moments are microseconds since 1970, UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

FORM = 1
"""Of the tables."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TABLES = sa.MetaData()
_ID = sa.String(200)
# SQLite counts by itself for INTEGER alone.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

ALERTS = sa.Table(
    "alerts", TABLES,
    sa.Column("alert_id", _ID, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("series", _ID, nullable=False),  # the id without its first day
    sa.Column("certificate_id", sa.String(128), nullable=False),  # of a single case; else empty
    sa.Column("group_id", sa.String(64), nullable=False),
    sa.Column("place", sa.String(8), nullable=False),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("open", sa.SmallInteger, nullable=False),
    sa.Column("held", sa.SmallInteger, nullable=False),
    sa.Column("muted", sa.SmallInteger, nullable=False),
    sa.Column("period_end", sa.String(10), nullable=False),
    sa.Column("raised_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("record", sa.Text, nullable=False),  # JSON
    sa.Index("alerts_open", "open", "kind", "series"),
    sa.Index("alerts_certificate", "certificate_id"),
    sa.Index("alerts_raised", "raised_at"),
)  # fmt: skip
"""The newest revision of each alert."""

REVISIONS = sa.Table(
    "alerts_revisions", TABLES,
    sa.Column("seq", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("alert_id", _ID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("published", sa.SmallInteger, nullable=False),  # it stands in the topic
    sa.Column("fed", sa.SmallInteger, nullable=False),  # what the sinks are to hear of it is settled
    sa.UniqueConstraint("alert_id", "revision"),
    sa.Index("alerts_revisions_published", "published", "seq"),
    sa.Index("alerts_revisions_fed", "fed", "seq"),
    sqlite_autoincrement=True,
)  # fmt: skip
"""All revisions: outbox and history."""

DELIVERIES = sa.Table(
    "alerts_deliveries", TABLES,
    sa.Column("sink", sa.String(64), primary_key=True),
    sa.Column("alert_id", _ID, primary_key=True),
    sa.Column("occasion", sa.String(16), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("made_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("error", sa.String(40), nullable=False),
    sa.Index("alerts_deliveries_due", "state", "due"),
)  # fmt: skip
"""What each sink hears of each alert, once."""

MUTES = sa.Table(
    "alerts_mutes", TABLES,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("alert_id", _ID, nullable=False),
    sa.Column("group_id", sa.String(64), nullable=False),
    sa.Column("place", sa.String(8), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("until", sa.String(10), nullable=False),  # the last day; empty for ever
    sa.Column("who", sa.String(80), nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sqlite_autoincrement=True,
)  # fmt: skip
"""Alerts that no sink hears of; an empty column means any."""

ACTS = sa.Table(
    "alerts_acts", TABLES,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("what", sa.String(16), nullable=False),
    sa.Column("who", sa.String(80), nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("alert_id", _ID, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("alerts_acts_alert", "alert_id"),
)  # fmt: skip
"""Who did what, and why."""

RUNS = sa.Table(
    "alerts_runs", TABLES,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("series", sa.Integer, nullable=False),
    sa.Column("judged", sa.Integer, nullable=False),
    sa.Column("alarms", sa.Integer, nullable=False),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("revisions", sa.Integer, nullable=False),
    sa.Column("rules_version", sa.String(40), nullable=False),
)  # fmt: skip
"""Runs of detection."""

PLACES = sa.Table(
    "alerts_places", TABLES,
    sa.Column("topic", sa.String(249), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next", sa.BigInteger, nullable=False),
)  # fmt: skip
"""Offset in the topic `alerts` behind the last record that is known to be in the tables."""


def micros(moment: datetime) -> int:
    """A moment as the tables keep it; one without zone is UTC."""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (zoned - _EPOCH) // timedelta(microseconds=1)


def moment(number: int) -> datetime:
    """The moment of such a number."""
    return _EPOCH + timedelta(microseconds=number)
