"""Claims and origins in PostgreSQL: which asks were seen, from where, and how they ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from streams.deciding.copy_rows import bigint, copy_block, integer, raw, row, text, texts, uuid, word
from tierline.domain.claims import Claim, OrderMoved
from tierline.domain.commands import Origin
from tierline.domain.values import quickly_made
from tierline.kit.database import Connection

_CLAIMS = """
SELECT command_id::text, attempt, encode(digest, 'hex'), order_id::text, outcome, reasons
  FROM oms.command_claim WHERE command_id = ANY(%s::uuid[]) ORDER BY attempt
"""

_ORIGINS = """
SELECT command_id::text, origin_topic, origin_partition, origin_offset
  FROM oms.command_origin WHERE command_id = ANY(%s::uuid[])
"""

_COPY_CLAIMS = """
COPY oms.command_claim (command_id, attempt, digest, stream_id, order_id, outcome, reasons, partition,
                        first_position) FROM STDIN (FORMAT BINARY)
"""

_COPY_ORIGINS = """
COPY oms.command_origin (command_id, origin_topic, origin_partition, origin_offset, attempt)
FROM STDIN (FORMAT BINARY)
"""

_MOVE = """
UPDATE oms.command_claim AS claim SET outcome = moved.outcome, reasons = moved.reasons::text[]
  FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS moved (order_id, outcome, reasons)
 WHERE claim.order_id = moved.order_id
"""


@quickly_made
@dataclass(frozen=True, slots=True)
class NewClaim:
    """A claim with its place: the stream it is about, and the position of its decision's first event."""

    claim: Claim
    stream_id: str
    partition: int
    first_position: int


@quickly_made
@dataclass(frozen=True, slots=True)
class NewOrigin:
    """A place that an attempt of a command came from."""

    command_id: str
    origin: Origin
    attempt: int


def _uuids(values: Collection[str]) -> str:
    return "{" + ",".join(values) + "}"


def load_claims(connection: Connection, command_ids: Collection[str]) -> dict[str, list[Claim]]:
    """Every attempt of each command, oldest first."""
    found: dict[str, list[Claim]] = {}
    for command_id, attempt, digest, order_id, outcome, reasons in connection.execute(
        _CLAIMS, (_uuids(command_ids),)
    ):
        claim = Claim(command_id, attempt, digest, order_id, outcome, tuple(reasons))
        found.setdefault(command_id, []).append(claim)
    return found


def load_origins(connection: Connection, command_ids: Collection[str]) -> dict[str, set[Origin]]:
    """Every place that each command came from; one without a claim came from nowhere yet."""
    if not command_ids:
        return {}
    found: dict[str, set[Origin]] = {}
    for command_id, topic, partition, offset in connection.execute(_ORIGINS, (_uuids(command_ids),)):
        found.setdefault(command_id, set()).add(Origin(topic, partition, offset))
    return found


def write_claims(connection: Connection, claims: Sequence[NewClaim]) -> None:
    """Insert claims; one that exists raises UniqueViolation."""
    if not claims:
        return
    rows = [
        row(
            uuid(new.claim.command_id),
            integer(new.claim.attempt),
            raw(bytes.fromhex(new.claim.digest)),
            text(new.stream_id),
            uuid(new.claim.order_id),
            word(new.claim.outcome),
            texts(new.claim.reasons),
            integer(new.partition),
            bigint(new.first_position),
        )
        for new in claims
    ]
    with connection.cursor() as cursor, cursor.copy(_COPY_CLAIMS) as copy:
        copy.write(copy_block(rows))


def write_origins(connection: Connection, origins: Sequence[NewOrigin]) -> None:
    """Insert origins; one that exists raises UniqueViolation."""
    if not origins:
        return
    rows = [
        row(
            uuid(new.command_id),
            word(new.origin.topic),
            integer(new.origin.partition),
            bigint(new.origin.offset),
            integer(new.attempt),
        )
        for new in origins
    ]
    with connection.cursor() as cursor, cursor.copy(_COPY_ORIGINS) as copy:
        copy.write(copy_block(rows))


def move_claims(connection: Connection, moved: Mapping[str, OrderMoved]) -> None:
    """Set outcome and reasons of the claims that made these orders."""
    if not moved:
        return
    connection.execute(
        _MOVE,
        (
            _uuids(moved),
            [order.outcome for order in moved.values()],
            ["{" + ",".join(order.reasons) + "}" for order in moved.values()],
        ),
    )
