"""An intent that asks for nothing leaves with a stored reason: no command, no answer, no wait."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deadletter.held import SkippedRow
from tests.support.channel_examples import examples
from tests.support.intake_world import COMMANDS, MARKETPLACE, WAIT_MS, IntakeWorld, in_intake, own_rows
from tierline.domain.outcome import SkipReason

EXAMPLES = {example.name: example.value for example in examples("marketplace")}
KEY = b"guid-1"


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
