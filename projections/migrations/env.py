"""What Alembic runs: all missing revisions in one transaction, over the connection of ``migrate``."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
