"""Revision 0003: dead letters."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0003_dead_letters.sql")
