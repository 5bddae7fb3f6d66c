"""Either database for the tests of alerts: SQLite, and PostgreSQL where one is installed."""

from __future__ import annotations

from surveillance.counts.conftest import empty_postgres, engine, postgres

__all__ = ["empty_postgres", "engine", "postgres"]
