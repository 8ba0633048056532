"""Revision 0008: until when a held order may be refused."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0008_held_decide_by.sql")
