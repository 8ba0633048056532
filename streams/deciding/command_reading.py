"""From a record on ``oms.commands.v1`` to a command that may be decided, or to why nobody can decide it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from schemas.codec import Codec
from schemas.errors import DecodeError, UnknownType
from tierline.domain.commands import Command, OpenSubscription
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.domain.values import quickly_made
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Record

MAX_ID = 256
_ID = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_ID}}}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@quickly_made
@dataclass(frozen=True, slots=True)
class Asked:
    """A record that holds a sound command."""

    record: Record
    command: Command


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that nobody can decide.

    ``command`` is there when it is sound, but about something that is not here. A record that breaks the
    rules of the topic may say what it likes about its origin: it is dead for itself, not for an order.
    """

    record: Record
    dead: Dead
    command: Command | None = None


class CommandReader:
    """Reads records with ``codec``; ``partitions`` is the count that every producer computes with."""

    def __init__(self, codec: Codec, partitions: int) -> None:
        self._codec = codec
        self._partitions = partitions

    def read(self, record: Record) -> Asked | Poison:
        """Decode and check ``record``. Raises RegistryUnavailable when its schema cannot be had now."""
        try:
            command = self._codec.to_command(self._codec.read(record.value))
        except DecodeError as error:
            return Poison(record, Dead(DeadLetterClass.DECODE, error.code, None, error.detail))
        except UnknownType:
            return Poison(
                record, _breach("COMMAND_TYPE_UNKNOWN", "type", "this release knows no command of that type")
            )
        breach = self._misplaced(record, command) or _unfit(command)
        return Asked(record, command) if breach is None else Poison(record, breach)

    def _misplaced(self, record: Record, command: Command) -> Dead | None:
        if record.key is None:
            return _breach("MISSING_KEY", "key", "a command's key is its account id")
        if record.key != command.account_id.encode():
            return _breach("KEY_DISAGREES", "key", "the key is not the account id of the command")
        if record.partition != partition_of(command.account_id, self._partitions):
            return _breach("WRONG_PARTITION", "key", "the account belongs to another partition")
        return None


def _unfit(command: Command) -> Dead | None:
    """What the store cannot hold: ids that are no ids."""
    checks: tuple[tuple[str, str, Callable[[str], object]], ...] = (
        ("account_id", command.account_id, _ID.fullmatch),
        ("subscription_id", command.subscription_id, _ID.fullmatch),
        ("origin.topic", command.origin.topic, _ID.fullmatch),
        ("command_id", command.command_id, _UUID.fullmatch),
        ("digest", command.digest, _SHA256.fullmatch),
    )
    for field, value, fits in checks:
        if not fits(value):
            return _breach("INVALID_VALUE", field, f"{len(value)} characters that are not an id of that kind")
    if isinstance(command.body, OpenSubscription):
        for index, ref in enumerate(command.body.external_refs):
            if not all(_ID.fullmatch(part) for part in (ref.channel, ref.source, ref.ref)):
                return _breach(
                    "INVALID_VALUE", f"body.external_refs[{index}]", "empty, too long or a control character"
                )
    return None


def _breach(code: str, field: str, detail: str) -> Dead:
    return Dead(DeadLetterClass.CONTRACT, code, field, detail)
