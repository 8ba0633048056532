"""What did we believe on day X about day Y? Every state a subscription was ever in, on two clocks."""

from __future__ import annotations

from collections.abc import Sequence

from projections import tier_status
from projections.read_model import Event, ReadModel
from projections.table import Row, Table
from projections.tier_status import COLUMNS, RECEIVED_AT, keys, states

TABLE = Table(
    name="tier_history",
    columns=COLUMNS,
    key=("partition", "position", "subscription_id"),
    appends=True,
    stored=(
        "SELECT DISTINCT ON (subscription_id) {columns} FROM {target} "
        "WHERE account_id = ANY(%s) ORDER BY subscription_id, position DESC"
    ),
    looked_up={"received_at": RECEIVED_AT},
    # A rebuild commits everything anew; when a state became visible first is only known to the old row.
    carried={
        "committed_at": (
            "(SELECT coalesce(old.committed_at, CASE current_setting('track_commit_timestamp') "
            "WHEN 'on' THEN pg_xact_commit_timestamp(old.xmin) END) FROM read.tier_history AS old "
            "WHERE (old.partition, old.position, old.subscription_id) "
            "= (new.partition, new.position, new.subscription_id))"
        )
    },
)


def fold(stored: Sequence[Row], events: Sequence[Event]) -> list[Row]:
    """One row per decision that changed a subscription."""
    return list(states(stored, events))


MODEL = ReadModel(table=TABLE, version=1, fold=fold, keys=keys, latest=tier_status.MODEL)
