"""Tables of people, sessions, failed logins and the access log, in the database of the service whose pages they guard."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Engine

from stream.database import prepare

VERSION = 1
metadata = sa.MetaData()

people = sa.Table(
    "web_people", metadata,
    sa.Column("pseudonym", sa.String(40), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    # A local account has no issuer; its subject is its login in lower case.
    sa.Column("issuer", sa.String(500), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("roles", sa.String(200), nullable=False),
    sa.Column("password", sa.String(200), nullable=False, default=""),
    # Until when a password that somebody else has set may be used once, to set another.
    sa.Column("password_until", sa.Float),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("made", sa.Float, nullable=False),
    sa.Column("seen", sa.Float),
    sa.UniqueConstraint("issuer", "subject"),
)  # fmt: skip

sessions = sa.Table(
    "web_sessions", metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("pseudonym", sa.String(40), nullable=False, index=True),
    sa.Column("roles", sa.String(200), nullable=False),
    sa.Column("made", sa.Float, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("browser", sa.String(80), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
)  # fmt: skip

devices = sa.Table(
    "web_devices", metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("pseudonym", sa.String(40), nullable=False, index=True),
    sa.Column("made", sa.Float, nullable=False),
)  # fmt: skip

failures = sa.Table(
    "web_failures", metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("slot", sa.BigInteger, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)  # fmt: skip

logins = sa.Table(
    "web_logins", metadata,
    sa.Column("state", sa.String(64), primary_key=True),
    sa.Column("visit", sa.String(64), nullable=False),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(128), nullable=False),
    sa.Column("path", sa.String(2000), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)  # fmt: skip

access = sa.Table(
    "web_access", metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(32), nullable=False),
    sa.Column("who", sa.String(40), nullable=False, index=True),
    sa.Column("roles", sa.String(200), nullable=False),
    sa.Column("act", sa.String(40), nullable=False),
    sa.Column("certificate_id", sa.String(200), index=True),
    sa.Column("version", sa.Integer),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)  # fmt: skip

access_head = sa.Table(
    "web_access_head", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)  # fmt: skip


def make(engine: Engine) -> None:
    """Make the tables where there are none.

    Raises:
        InvalidSettings: the database holds them in another form.
        DatabaseUnavailable: the server is away.
    """
    prepare(engine, metadata, service="web", version=VERSION)
