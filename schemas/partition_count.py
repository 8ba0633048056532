"""The partition count, chosen once: an account's events stay in the partition they began in."""

from __future__ import annotations

from schemas.errors import PartitionCountChanged
from tierline.kit.database import Connection


def check_partitions(connection: Connection, partitions: int) -> None:
    """Remember ``partitions`` at the first start, compare at every later one.

    Commits unless the caller is in a transaction. Raises PartitionCountChanged when they differ.
    """
    with connection.transaction():
        connection.execute(
            "INSERT INTO oms.setting (name, value) VALUES ('partitions', %s) ON CONFLICT (name) DO NOTHING",
            (str(partitions),),
        )
        row = connection.execute("SELECT value FROM oms.setting WHERE name = 'partitions'").fetchone()
    chosen = "" if row is None else row[0]
    if chosen != str(partitions):
        raise PartitionCountChanged(
            f"the event store has {chosen} partitions, TIERLINE_KAFKA__PARTITIONS is {partitions}",
            f"Set TIERLINE_KAFKA__PARTITIONS={chosen}: more partitions need a new topic generation.",
        )
