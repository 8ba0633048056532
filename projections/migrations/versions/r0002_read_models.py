"""Revision 0002: read models."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0002_read_models.sql")
