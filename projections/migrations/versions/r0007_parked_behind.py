"""Revision 0007: which dead letter the records of a parked key wait behind."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0007_parked_behind.sql")
