"""Revision 0009: who looked at held records unmasked."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0009_audit_of_holds.sql")
