"""Dead commands: verdict stored, dead letter and answer acknowledged, and only then does the lease move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from deadletter.envelope import DeadLetter, Stage, dead_letter_message, dead_letter_without_value
from deadletter.verdicts import Verdict, write_verdicts
from schemas.codec import schema_id_of
from schemas.errors import DecodeError
from schemas.topics import CHANNELS, ORDERS, orders_topic
from streams.answering.reply import dead_reply
from streams.deciding.command_reading import Poison
from tierline.domain.commands import Command, Origin
from tierline.kit.broker import Producer, send_all, send_but_large
from tierline.kit.crash_points import reached
from tierline.kit.database import Connection
from tierline.kit.records import Message

SEND_S = 30.0


def letter_of(poison: Poison, app_version: str, now_ms: int) -> DeadLetter:
    """The dead letter of a command record. Without a sound command it is its own origin, one intent."""
    record, command = poison.record, poison.command
    origin = Origin(record.topic, record.partition, record.offset) if command is None else command.origin
    return DeadLetter(
        group=ORDERS,
        record=record,
        origin=origin,
        intent_index=0 if command is None else command.intent_index,
        intent_count=1 if command is None else command.intent_count,
        channel=None if command is None else command.channel,
        source=None if command is None else command.source,
        dead=poison.dead,
        stage=Stage.COMMAND if command is None else Stage.DECIDE,
        app_version=app_version,
        failed_at=now_ms,
        received_at=None if command is None else command.received_at,
        schema_id=_schema_id(record.value),
        command_id=None if command is None else command.command_id,
        traceparent=None if command is None else command.traceparent,
        decide_by=None if command is None else command.decide_by,
    )


def bury(
    connect: Callable[[], Connection],
    producer: Producer,
    letters: Sequence[tuple[DeadLetter, Command | None]],
    now_ms: int,
) -> None:
    """Store the verdicts, then send the dead letters and answers and wait until all are acknowledged.

    Verdicts have a session of their own: they must be durable before the first letter is sent, and stay so
    when the turn is rolled back. A letter that is too large goes without its value. Raises DeliveryFailed;
    the same letters may be sent again.
    """
    with connect() as connection:
        stored = write_verdicts(connection, [_verdict(letter) for letter, _ in letters])
    kept = [replace(letter, dead=v.dead) for (letter, _), v in zip(letters, stored, strict=True)]
    answered = [
        _answer(letter, command, now_ms)
        for letter, (_, command) in zip(kept, letters, strict=True)
        if command is not None and _is_answered(command)
    ]
    too_large = send_but_large(producer, [dead_letter_message(letter) for letter in kept], SEND_S)
    stand_ins = [dead_letter_without_value(kept[number]) for number in too_large]
    send_all(producer, [*stand_ins, *answered], SEND_S)
    reached("orders.after_dead_letters")


def _answer(letter: DeadLetter, command: Command, now_ms: int) -> Message:
    unkeyed = replace(letter, record=replace(letter.record, key=None))
    return dead_reply(unkeyed, command.source, command.source_ref, now_ms)


def _is_answered(command: Command) -> bool:
    """Whether somebody waits for a reply: the sender of an order record of a channel that is answered."""
    return command.channel in CHANNELS and command.origin.topic == orders_topic(command.channel).name


def _verdict(letter: DeadLetter) -> Verdict:
    return Verdict(
        letter.id,
        letter.group,
        letter.origin.topic,
        letter.origin.partition,
        letter.origin.offset,
        letter.intent_index,
        letter.intent_count,
        letter.dead,
    )


def _schema_id(value: bytes | None) -> int | None:
    try:
        return schema_id_of(value or b"")
    except DecodeError:
        return None
