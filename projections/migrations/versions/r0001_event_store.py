"""Revision 0001: event store."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0001_event_store.sql")
