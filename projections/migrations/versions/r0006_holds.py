"""Revision 0006: holds."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0006_holds.sql")
