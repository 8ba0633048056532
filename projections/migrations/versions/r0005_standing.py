"""Revision 0005: standing of subscriptions, limits of orders."""

from __future__ import annotations

from projections.migrate import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the file of this revision."""
    run_sql("0005_standing.sql")
