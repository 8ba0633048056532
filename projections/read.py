"""The questions that the command line asks of the read models. Every one is a query, none writes.

Rows come as in ``projections.table``: dictionaries by column, instants in milliseconds, ids as text.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from projections import order_status, tier_history, tier_status
from projections.table import Row, column_list
from schemas.topics import EVENTS, PROJECTOR
from tierline.kit.database import Connection

_LOWEST, _HIGHEST = str(UUID(int=0)), str(UUID(int=2**128 - 1))
_SOME = 5


class NotAnOrderId(ValueError):
    """What was given is not the beginning of an order id, which is hexadecimal digits with dashes."""


def orders_by_id(connection: Connection, beginning: str) -> list[Row]:
    """The orders whose id begins with ``beginning``, five at most. Raises NotAnOrderId."""
    try:
        lowest, highest = (UUID(beginning + rest[len(beginning) :]) for rest in (_LOWEST, _HIGHEST))
    except ValueError:
        raise NotAnOrderId(f"{beginning!r} is not an order id or the beginning of one") from None
    return _rows(
        connection,
        f"{_orders()} WHERE order_id BETWEEN %s AND %s ORDER BY order_id LIMIT {_SOME}",
        lowest,
        highest,
    )


def orders_by_reference(
    connection: Connection, channel: str, reference: str, source: str | None = None
) -> list[Row]:
    """The orders that ``channel`` sent under ``reference``, newest first, of one ``source`` or all."""
    return _rows(
        connection,
        f"{_orders()} WHERE source_ref = %s AND channel = %s AND source = coalesce(%s, source) "
        "ORDER BY received_at DESC, position DESC",
        reference,
        channel,
        source,
    )


def timeline(connection: Connection, order_id: str) -> list[Row]:
    """What happened to an order, in order.

    Columns: type, recorded_at, partition, position, version; and from the audit trail channel, source,
    origin_topic, origin_partition, origin_offset, reason_codes, actor, body (null where the audit trail has
    no such row).
    """
    return _rows(
        connection,
        "SELECT step.type, (extract(epoch FROM step.recorded_at) * 1000)::bigint AS recorded_at,"
        " step.partition, step.position, audit.channel, audit.source, audit.origin_topic,"
        " audit.origin_partition, audit.origin_offset, audit.reason_codes, audit.actor, audit.body "
        "FROM read.order_timeline AS step LEFT JOIN read.audit_entry AS audit USING (partition, position) "
        "WHERE step.order_id = %s ORDER BY step.position",
        order_id,
    )


def tier_now(connection: Connection, subscription_id: str) -> Row | None:
    """What a subscription is on; None for one that does not exist."""
    table = tier_status.TABLE
    return _row(
        connection,
        f"SELECT {column_list(table)} FROM {table.live} WHERE subscription_id = %s",
        subscription_id,
    )


def tier_as_of(connection: Connection, subscription_id: str, *, believed_at: int, about: int) -> Row | None:
    """What was believed at ``believed_at`` about what a subscription was on at ``about``, both in ms.

    None where nothing was known. The later recorded state wins, as it does in ``tier_status``.
    """
    table = tier_history.TABLE
    return _row(
        connection,
        f"SELECT {column_list(table)} FROM {table.live} WHERE subscription_id = %s"
        " AND recorded_at <= to_timestamp(%s / 1000.0) AND effective_at <= to_timestamp(%s / 1000.0)"
        " ORDER BY position DESC LIMIT 1",
        subscription_id,
        believed_at,
        about,
    )


def tier_before(connection: Connection, subscription_id: str, position: int) -> Row | None:
    """What a subscription was on just before the event at ``position`` of its partition; None: nothing."""
    table = tier_history.TABLE
    return _row(
        connection,
        f"SELECT {column_list(table)} FROM {table.live} WHERE subscription_id = %s AND position < %s"
        " ORDER BY position DESC LIMIT 1",
        subscription_id,
        position,
    )


def tier_visible_at(connection: Connection, order_id: str) -> int | None:
    """When the tier that an order brought could be seen, in ms.

    None for an order that changed nothing, and on a server that does not keep commit times.
    """
    row = _row(
        connection,
        "SELECT (extract(epoch FROM coalesce(committed_at, CASE current_setting('track_commit_timestamp') "
        "WHEN 'on' THEN pg_xact_commit_timestamp(xmin) END)) * 1000)::bigint AS visible_at "
        "FROM read.tier_history WHERE subscription_id = "
        "(SELECT subscription_id FROM read.order_status WHERE order_id = %s) AND order_id = %s "
        "ORDER BY position LIMIT 1",
        order_id,
        order_id,
    )
    return row["visible_at"] if row else None


def order_counts(connection: Connection) -> list[Row]:
    """How many orders there are by channel and state: columns channel, state, orders."""
    return _rows(
        connection,
        "SELECT channel, state, count(*) AS orders FROM read.order_status GROUP BY channel, state "
        "ORDER BY channel, state",
    )


def model_states(connection: Connection) -> list[Row]:
    """The read models: columns name, version, next_version, rebuilt_at, rows.

    ``rows`` is PostgreSQL's own estimate, null before it made one.
    """
    return _rows(
        connection,
        "SELECT name, version, next_version, (extract(epoch FROM rebuilt_at) * 1000)::bigint AS rebuilt_at,"
        " (SELECT nullif(reltuples, -1)::bigint FROM pg_class WHERE oid = to_regclass('read.' || name))"
        " AS rows FROM read.read_model ORDER BY name",
    )


def projector_places(connection: Connection, consumer: str = PROJECTOR) -> list[Row]:
    """How far a consumer of the events got: columns partition, decided, applied, moved_at.

    ``decided`` counts the events of the partition in the store, ``applied`` those in the read models.
    """
    return _rows(
        connection,
        "SELECT partition, coalesce((SELECT max(position) + 1 FROM oms.event"
        " WHERE event.partition = lease.partition), 0) AS decided, next_position AS applied,"
        " (extract(epoch FROM updated_at) * 1000)::bigint AS moved_at "
        "FROM oms.lease AS lease WHERE consumer = %s AND topic = %s ORDER BY partition",
        consumer,
        EVENTS.name,
    )


def _orders() -> str:
    return f"SELECT {column_list(order_status.TABLE)} FROM {order_status.TABLE.live}"


def _rows(connection: Connection, query: str, *values: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _row(connection: Connection, query: str, *values: Any) -> Row | None:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchone()
