"""Revision 0004: the breakers of the channels."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0004_breaker.sql")
