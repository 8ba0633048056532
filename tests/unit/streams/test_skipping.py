"""An intent that asks for nothing leaves with a stored reason: no command, no answer, no wait."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from deadletter.held import SkippedRow
from streams.reading.contract import Document
from streams.reading.intent import Arrival, Intent
from tests.support.channel_examples import examples
from tests.support.intake_world import (
    COMMANDS,
    MARKETPLACE,
    NOW_MS,
    PARTNER,
    WAIT_MS,
    IntakeWorld,
    in_intake,
    own_rows,
)
from tierline.domain.outcome import Skipped, SkipReason

EXAMPLES = {example.name: example.value for example in examples("marketplace")}
KEY = b"guid-1"
NOTHING = Skipped(SkipReason.ACTION_ASKS_NOTHING, "a test")


def operation(name: str, subscription: str = "sub_1") -> bytes:
    """An example of the marketplace, about ``subscription``."""
    return json.dumps(json.loads(EXAMPLES[name]) | {"subscriptionId": subscription}).encode()


def row(offset: int, reason: SkipReason, detail: str) -> SkippedRow:
    """What is stored about the only intent of the record at ``offset``."""
    return SkippedRow((MARKETPLACE, 0, offset), 0, 1, reason, detail)


@pytest.mark.parametrize(
    ("name", "reason", "detail"),
    [
        (
            "change-plan-succeeded",
            SkipReason.OPERATION_NOT_IN_PROGRESS,
            "action ChangePlan, status Succeeded",
        ),
        ("suspend-failed", SkipReason.OPERATION_NOT_IN_PROGRESS, "action Suspend, status Failed"),
        ("subscribe", SkipReason.ACTION_ASKS_NOTHING, "action Subscribe"),
    ],
)
def test_an_operation_that_asks_nothing_is_skipped_with_its_reason(
    name: str, reason: SkipReason, detail: str
) -> None:
    """Of an unknown subscription too: nothing is sent, and the position moves with the stored reason."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(operation(name, "sub_9"), topic=MARKETPLACE))
        assert (0, [], 0) == (world.position(MARKETPLACE), world.messages, world.questions)
        world.save()
        assert (1, [row(0, reason, detail)]) == (world.position(MARKETPLACE), world.desk.skipped)
        assert (1, 0) == (
            world.counted("skipped", "marketplace"),
            world.counted("accepted", "marketplace"),
        )

    in_intake(story)


@pytest.mark.parametrize("stored", [False, True], ids=["parked", "held"])
def test_what_asks_nothing_passes_an_operation_that_waits(*, stored: bool) -> None:
    """It changes nothing, so it needs no place in the order of its key; what follows it keeps its own."""

    async def story(world: IntakeWorld) -> None:
        await world.take(world.record(operation("change-plan", "sub_9"), KEY, MARKETPLACE))
        if stored:
            await world.pass_time(WAIT_MS)
            await world.release()
        await world.take(world.record(operation("change-plan-succeeded", "sub_9"), KEY, MARKETPLACE))
        await world.take(world.record(operation("change-quantity", "sub_9"), KEY, MARKETPLACE))
        world.save()
        assert [1] == [skipped.place[2] for skipped in world.desk.skipped]
        assert [] == world.on(COMMANDS)
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        world.releases.references_changed(["sub_9"])
        await world.pass_time(0)
        await world.release()
        assert ([0, 2], 3) == (world.command_offsets(), world.position(MARKETPLACE))

    in_intake(story)


def two_items(*, first_asks_nothing: bool) -> bytes:
    """A partner's order over sub_8 and sub_9."""
    items = [{"id": str(i), "action": "modify", "quantity": 3, "product": {"id": f"sub_{i}"}} for i in (8, 9)]
    ordered = items if first_asks_nothing else items[::-1]
    return json.dumps({"externalId": "PO-1", "productOrderItem": ordered}).encode()


def sub_8_asks_nothing(world: IntakeWorld) -> None:
    """Let the partner be a channel one of whose intents may ask for nothing."""
    channel, plans = world.channels[PARTNER]

    def intents(document: Document[Any], arrival: Arrival) -> tuple[Intent, ...]:
        return tuple(
            msgspec.structs.replace(i, skipped=NOTHING) if i.subscription_ref == "sub_8" else i
            for i in channel.intents(document, arrival)
        )

    world.channels[PARTNER] = replace(channel, intents=intents), plans


@pytest.mark.parametrize("asking", [0, 1])
def test_of_a_record_that_waits_only_the_intents_that_ask_are_held(asking: int) -> None:
    """The other one is over: its channel is not told that it waits, and no person can discard it."""

    async def story(world: IntakeWorld) -> None:
        sub_8_asks_nothing(world)
        await world.hold(world.record(two_items(first_asks_nothing=asking == 1), topic=PARTNER))
        [held] = world.desk.records.values()
        assert ((asking,), 2, ("sub_9",)) == (held.intents, held.intent_count, held.waits_for)
        assert [SkippedRow((PARTNER, 0, 0), 1 - asking, 2, NOTHING.reason, "a test")] == world.desk.skipped
        assert ([("held", asking)], 1) == (told(world), world.position(PARTNER))
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        world.releases.references_changed(["sub_9"])
        await world.release()
        assert ([0], {}, 1) == (world.command_offsets(), world.desk.records, len(world.desk.skipped))
        assert [("held", asking)] == told(world)

    in_intake(story)


def test_a_record_one_of_whose_intents_was_skipped_waits_on_after_a_restart() -> None:
    """Only what a person discarded is taken out: here the other intent is an order."""

    async def story(world: IntakeWorld) -> None:
        sub_8_asks_nothing(world)
        record = world.record(two_items(first_asks_nothing=True), topic=PARTNER)
        await world.hold(record)
        world.restart()
        await world.take(record)
        assert (1, 1) == (world.position(PARTNER), len(world.desk.records))
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        world.releases.references_changed(["sub_9"])
        await world.release()
        assert ([0], {}, 1) == (world.command_offsets(), world.desk.records, len(world.desk.skipped))
        assert [("held", 1)] == told(world)

    in_intake(story)


def told(world: IntakeWorld) -> list[tuple[str, int]]:
    """(Outcome, intent) of the replies in order."""
    return [(reply["outcome"], reply["intent_index"]) for reply in world.replies()]


def test_every_answer_to_an_operation_names_its_limit() -> None:
    """Whether it waits, dies of its wait, or is taken out; of what cannot be read nobody knows it."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(world.record(operation("change-plan", "sub_9"), KEY, MARKETPLACE))
        await world.take(
            world.record(operation("change-plan", "sub_9"), KEY, MARKETPLACE),
            world.record(b"{", b"other", MARKETPLACE),
        )
        await world.release()
        world.desk.ask((MARKETPLACE, 0, KEY), "discard", offset=1)
        world.releases.people_asked()
        for _ in range(3):
            await world.release(5_000)
        limit = NOW_MS - 5 + 8_000
        assert {("held", 0, limit), ("held", 1, limit), ("discarded", 1, limit), ("dead", 0, limit)} | {
            ("dead", 2, None)
        } == {(r["outcome"], r["origin"]["offset"], r["decide_by"]) for r in world.replies()}

    in_intake(story)


def test_an_operation_that_was_skipped_is_not_skipped_again() -> None:
    """Delivered again after its reason was stored, it is over at once."""

    async def story(world: IntakeWorld) -> None:
        world.intake.remember([], skipped=[(MARKETPLACE, 0, 0, 0)])
        await world.take(world.record(operation("change-plan-succeeded"), topic=MARKETPLACE))
        assert (1, []) == (world.position(MARKETPLACE), world.holds.take_changes().skipped)

    in_intake(story)


def test_many_unsaved_reasons_hold_the_next_batch_back() -> None:
    """Reasons are collected in memory until the next commit; there is an end to that."""

    async def story(world: IntakeWorld) -> None:
        record = world.record(operation("change-plan-succeeded"), topic=MARKETPLACE)
        await world.take(*(replace(record, offset=offset) for offset in range(5_001)))
        assert world.holds.crowded
        world.save()
        assert not world.holds.crowded

    in_intake(story)
