"""Every intent of a batch ends once, in the order of its key, and the position follows only what is safe."""

from __future__ import annotations

import asyncio
import json
from typing import NoReturn

import pytest

from deadletter.ports import Refusal
from deadletter.verdicts import Verdict
from schemas.topics import NORMALIZER
from streams.transport import Batch
from tests.support.intake_world import (
    COMMANDS,
    PARTNER,
    PORTAL,
    WAIT_MS,
    IntakeWorld,
    ProcessEnded,
    in_intake,
    own_rows,
    portal_order,
)
from tierline.domain.identity import dead_letter_id_of
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.partitioner import partition_of


def partner_order(*subscriptions: str) -> bytes:
    """One order of the partner over several subscriptions: an intent each."""
    items = [
        {"id": str(i), "action": "modify", "quantity": 15, "product": {"id": subscription}}
        for i, subscription in enumerate(subscriptions)
    ]
    return json.dumps({"externalId": "PO-1", "productOrderItem": items}).encode()


def test_a_known_account_makes_a_command_on_its_partition() -> None:
    """Key, partition, type header and bytes, and the position moves when it is acknowledged."""

    async def story(world: IntakeWorld) -> None:
        world.hold_answers = True
        await world.take(world.record(portal_order("r-1", "sub_1")))
        [command] = world.on(COMMANDS)
        assert (b"acc_1", partition_of("acc_1", 4), (("type", b"PlaceOrder"),)) == (
            command.key,
            command.partition,
            command.headers,
        )
        assert (0, 1) == (world.position(), world.counted("accepted"))
        world.answer()
        assert 1 == world.position()

    in_intake(story)


def test_a_batch_asks_the_store_once() -> None:
    """One look-up for all references of a fetch, none for the next fetch of the same accounts."""

    async def story(world: IntakeWorld) -> None:
        await world.take(*(world.record(portal_order(f"r-{i}", f"sub_{1 + i % 2}")) for i in range(50)))
        await world.take(*(world.record(portal_order(f"s-{i}", f"sub_{1 + i % 2}")) for i in range(50)))
        assert (1, list(range(100))) == (world.questions, world.command_offsets())

    in_intake(story)


def test_poison_becomes_a_dead_letter_and_its_neighbours_pass() -> None:
    """The original key and bytes, class, code and origin; an answer to the channel; the partition moves."""

    async def story(world: IntakeWorld) -> None:
        await world.take(
            world.record(portal_order("r-1", "sub_1")),
            world.record(b"\xff\xfe{", key=b"k"),
            world.record(None),
            world.record(portal_order("r-2", "sub_2")),
        )
        assert ([0, 3], 4) == (world.command_offsets(), world.position())
        assert [(1, "decode", "INVALID_UTF8"), (2, "decode", "TOMBSTONE")] == world.dead()
        assert [(b"k", b"\xff\xfe{"), (None, None)] == [
            (m.key, m.value) for m in world.messages if m.topic.endswith(".dlq")
        ]
        assert [("dead", 1, None), ("dead", 2, None)] == [
            (r["outcome"], r["origin"]["offset"], r["reference"]) for r in world.replies()
        ]
        assert 2 == world.counted("dead")

    in_intake(story)


def test_intents_of_one_record_end_each_on_its_own() -> None:
    """One is accepted, one contradicts; the record is done when both are."""

    async def story(world: IntakeWorld) -> None:
        record = world.record(partner_order("sub_1", "sub_1", "sub_2"), topic=PARTNER)
        await world.take(record)
        count = len(world.on(COMMANDS)) + len(world.dead())
        assert (1, 2) == (world.position(PARTNER), count)

    in_intake(story)


def test_an_unknown_account_waits_and_goes_as_soon_as_it_is_known() -> None:
    """Nothing is dead before the wait is over; the position waits with it."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(portal_order("r-1", "sub_9")))
        await world.pass_time(WAIT_MS - 1)
        assert (1, [], [], 0) == (
            world.intake.parked,
            world.command_offsets(),
            world.dead(),
            world.position(),
        )
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        await world.pass_time(0)
        assert (0, [0], [], 1) == (
            world.intake.parked,
            world.command_offsets(),
            world.dead(),
            world.position(),
        )

    in_intake(story)


def test_the_store_is_asked_again_before_an_account_is_called_unknown() -> None:
    """A message that got lost must not cost an order."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(portal_order("r-1", "sub_9")))
        world.table += own_rows("sub_9", "acc_9")
        await world.pass_time(WAIT_MS)
        assert ([0], []) == (world.command_offsets(), world.dead())

    in_intake(story)


def test_a_look_now_and_then_finds_what_nobody_told_of() -> None:
    """Also while "unknown" is still remembered."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(portal_order("r-1", "sub_9")))
        world.table += own_rows("sub_9", "acc_9")
        await world.pass_time(1)
        assert [0] == world.command_offsets()

    in_intake(story)


@pytest.mark.parametrize("told", [True, False], ids=["told of", "now and then"])
def test_parked_records_are_looked_at_in_the_background(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once when a reference appears, and now and then."""
    monkeypatch.setattr("streams.normalizing.intake._LOOK_AGAIN_S", 3_600.0 if told else 0.02)

    async def story(world: IntakeWorld) -> None:
        world.wait_for_ever()
        watching = asyncio.create_task(world.intake.watch())
        await world.take(world.record(portal_order("r-1", "sub_9")))
        async with asyncio.timeout(10):
            while world.questions < 2:  # noqa: ASYNC110 - the intake announces nothing to tests
                await asyncio.sleep(0.005)
        world.table += own_rows("sub_9", "acc_9")
        if told:
            world.context.forget(["sub_9"])
            world.intake.context_changed()
        async with asyncio.timeout(10):
            while not world.command_offsets():  # noqa: ASYNC110 - the intake announces nothing to tests
                await asyncio.sleep(0.005)
        watching.cancel()

    in_intake(story)


def test_later_records_of_a_parked_key_wait_behind_it_and_other_keys_pass() -> None:
    """Order per key, also for a follower whose own account is known."""

    async def story(world: IntakeWorld) -> None:
        await world.take(
            world.record(portal_order("r-1", "sub_9"), key=b"k"),
            world.record(portal_order("r-2", "sub_1"), key=b"other"),
            world.record(portal_order("r-3", "sub_2"), key=b"k"),
        )
        await world.take(world.record(portal_order("r-4", "sub_1"), key=b"k"))
        assert ([1], 3, 0) == (world.command_offsets(), world.intake.parked, world.position())
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        await world.pass_time(0)
        assert ([1, 0, 2, 3], 4) == (world.command_offsets(), world.position())

    in_intake(story)


def test_without_a_record_key_the_reference_orders() -> None:
    """The same subscription waits, another one passes."""

    async def story(world: IntakeWorld) -> None:
        await world.take(
            world.record(portal_order("r-1", "sub_9")),
            world.record(portal_order("r-2", "sub_1")),
            world.record(portal_order("r-3", "sub_9")),
        )
        assert ([1], 2) == (world.command_offsets(), world.intake.parked)
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        await world.pass_time(0)
        assert [1, 0, 2] == world.command_offsets()

    in_intake(story)


def a_verdict(offset: int, index: int = 0, count: int = 1, topic: str = PORTAL) -> Verdict:
    dead = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", None, "Nobody knew it.")
    identity = dead_letter_id_of(NORMALIZER, topic, 0, offset, index)
    return Verdict(identity, NORMALIZER, topic, 0, offset, index, count, dead)


def test_an_intent_once_called_dead_stays_dead_though_its_account_is_known_by_now() -> None:
    """Delivered again after a crash: the same end, not a second one."""

    async def story(world: IntakeWorld) -> None:
        world.intake.remember([a_verdict(0)])
        await world.take(
            world.record(portal_order("r-1", "sub_1")), world.record(portal_order("r-2", "sub_1"))
        )
        assert ([1], [(0, "unknown_account", "UNKNOWN_REFERENCE")]) == (
            world.command_offsets(),
            world.dead(),
        )
        assert "r-1" == world.replies()[0]["reference"]

    in_intake(story)


def test_a_verdict_on_one_intent_leaves_the_others_of_its_record_alive() -> None:
    """And it does not count as a first order of its subscription."""

    async def story(world: IntakeWorld) -> None:
        world.intake.remember([a_verdict(0, index=0, count=2, topic=PARTNER)])
        await world.take(world.record(partner_order("sub_1", "sub_2"), topic=PARTNER))
        assert (1, 1, 1) == (len(world.on(COMMANDS)), len(world.dead()), world.position(PARTNER))

    in_intake(story)


def test_a_verdict_from_when_the_record_was_one_intent_stands_for_all_of_it() -> None:
    """It could not be read then; that a newer release reads two intents does not bring them to life."""

    async def story(world: IntakeWorld) -> None:
        world.intake.remember([a_verdict(0, index=0, count=1, topic=PARTNER)])
        await world.take(world.record(partner_order("sub_1", "sub_2"), topic=PARTNER))
        assert (0, 1, 1) == (len(world.on(COMMANDS)), len(world.dead()), world.position(PARTNER))

    in_intake(story)


@pytest.mark.parametrize("stage", ["decode", "context", "encode"])
def test_a_bug_that_one_record_meets_is_that_records_dead_letter(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exception type and place are recorded, its text (it may quote the payload) is not; others pass."""

    def broken(*_: object, **__: object) -> NoReturn:
        raise ZeroDivisionError("secret payload")

    async def story(world: IntakeWorld) -> None:
        poison = world.record(portal_order("r-1", "sub_1"))
        match stage:
            case "decode":
                monkeypatch.setattr("streams.normalizing.concluding.read_intents", broken)
            case "context":
                monkeypatch.setattr("streams.normalizing.concluding.resolve_record", broken)
            case _:
                world.command = broken
        await world.take(poison)
        assert ([(0, "bug", "UNEXPECTED_ERROR")], 1) == (world.dead(), world.position())
        [letter] = [m for m in world.messages if m.topic.endswith(".dlq")]
        headers = dict(letter.headers)
        assert (b"ZeroDivisionError", stage.encode()) == (
            headers["oms.dlq.exception"],
            headers["oms.dlq.stage"],
        )
        assert not any(b"secret" in value for value in headers.values())

    in_intake(story)


def test_a_command_that_the_broker_finds_too_large_is_that_records_dead_letter() -> None:
    """The partition moves on."""

    async def story(world: IntakeWorld) -> None:
        world.hold_answers = True
        await world.take(world.record(portal_order("r-1", "sub_1")))
        world.answer(Refusal(too_large=True, text="MSG_SIZE_TOO_LARGE"))
        world.hold_answers = False
        await world.settle()
        assert ([(0, "oversize", "COMMAND_TOO_LARGE")], 1) == (world.dead(), world.position())

    in_intake(story)


def test_a_command_that_cannot_be_written_ends_the_process() -> None:
    """Its record is read again by the next one."""

    async def story(world: IntakeWorld) -> None:
        world.hold_answers = True
        await world.take(world.record(portal_order("r-1", "sub_1")))
        with pytest.raises(ProcessEnded):
            world.answer(Refusal(too_large=False, text="UNKNOWN_TOPIC_OR_PART"))
        assert 0 == world.position()

    in_intake(story)


def test_what_was_given_up_is_not_worked_on() -> None:
    """A batch whose partition goes while it waits for the store sends nothing."""

    async def story(world: IntakeWorld) -> None:
        world.hold_look_up = asyncio.Event()
        batch = Batch(PORTAL, 0, 0, (world.record(portal_order("r-1", "sub_1")),))
        taking = asyncio.create_task(world.intake.take(batch))
        await world.settle()
        world.progress.give_up([(PORTAL, 0)])
        world.intake.given_up()
        world.hold_look_up.set()
        await taking
        assert [] == world.messages

    in_intake(story)


def test_parked_records_of_a_partition_that_was_given_up_are_dropped() -> None:
    """They were never acknowledged, so they come again."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(portal_order("r-1", "sub_9")))
        world.progress.give_up([(PORTAL, 0)])
        world.intake.given_up()
        await world.pass_time(WAIT_MS)
        assert (0, []) == (world.intake.parked, world.messages)

    in_intake(story)


def test_a_stale_batch_is_left_alone() -> None:
    """Fetched before a rebalance, delivered after it."""

    async def story(world: IntakeWorld) -> None:
        world.progress.open({(PORTAL, 0): 5})
        await world.take(world.record(portal_order("r-1", "sub_1")))
        assert [] == world.messages

    in_intake(story)


@pytest.mark.parametrize("pressure", ["crowded", "away"])
def test_nothing_is_taken_in_while_the_way_out_or_the_store_is_closed(pressure: str) -> None:
    """Memory is bounded by not reading on."""

    async def story(world: IntakeWorld) -> None:
        setattr(world, pressure, True)
        taking = asyncio.create_task(world.take(world.record(portal_order("r-1", "sub_1"))))
        await world.settle()
        assert [] == world.messages
        setattr(world, pressure, False)
        await taking
        assert [0] == world.command_offsets()

    in_intake(story)


def test_what_waits_for_room_while_its_partition_is_opened_again_comes_again() -> None:
    """Taken in, it would stand before records that are read again, and these would be passed over."""

    async def story(world: IntakeWorld) -> None:
        first, second = (world.record(portal_order(f"r-{n}", "sub_1")) for n in range(2))
        world.away = True
        taking = asyncio.create_task(world.take(second))
        await world.settle()
        world.restart()
        world.away = False
        await taking
        await world.take(first, second)
        assert [0, 1] == world.command_offsets()

    in_intake(story)


def test_unknown_fields_and_strict_readings_are_counted() -> None:
    """Tolerated is not unseen."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(portal_order("r-1", "sub_1", colour="red", mood=1)))
        value = world.metrics.registry.get_sample_value("oms_unknown_fields_total", {"channel": "portal"})
        assert 2 == value

    in_intake(story)
