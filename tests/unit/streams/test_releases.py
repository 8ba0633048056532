"""Records that wait leave in the order of their key, each to one end, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from deadletter.held import HoldKey
from deadletter.hold_policy import ChannelHolds, HoldPolicy, OnDead
from deadletter.verdicts import Verdict
from schemas.topics import NORMALIZER
from streams.normalizing.resolve import RefRow
from streams.transport import Batch
from tests.support.intake_world import (
    COMMANDS,
    HOLDS,
    NOW_MS,
    PARTNER,
    PORTAL,
    WAIT_MS,
    IntakeWorld,
    in_intake,
    own_rows,
    portal_order,
)
from tierline.domain.identity import dead_letter_id_of
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.errors import LookUpFailed

KEY: HoldKey = (PORTAL, 0, b"k")


def unknown(world: IntakeWorld, reference: str = "r-1", key: bytes | None = b"k") -> Any:
    """A record of an account that nobody knows."""
    return world.record(portal_order(reference, "sub_9"), key=key)


def appear(world: IntakeWorld) -> None:
    """The decider opens sub_9, and tells."""
    world.table += own_rows("sub_9", "acc_9")
    world.context.forget(["sub_9"])
    world.releases.references_changed(["sub_9"])


def outcomes(world: IntakeWorld) -> list[tuple[str, int]]:
    """(Outcome, offset) of the replies in order."""
    return [(reply["outcome"], reply["origin"]["offset"]) for reply in world.replies()]


def test_an_account_that_stays_unknown_is_held_and_its_position_passes() -> None:
    """Stored with its position, told once, nothing dead."""

    async def story(world: IntakeWorld) -> None:
        await world.take(unknown(world))
        await world.pass_time(WAIT_MS)
        assert ([], []) == (world.messages, list(world.desk.records))
        world.save()
        await world.settle()
        held = world.desk.records[PORTAL, 0, 0]
        assert (NOW_MS, NOW_MS + 1_000, ("sub_9",)) == (held.held_at, held.next_attempt_at, held.waits_for)
        assert ([("held", 0)], [], 1) == (outcomes(world), world.dead(), world.position())
        world.save()
        assert [(PORTAL, 0, 0)] == world.desk.told
        [reply] = world.replies()
        assert (False, "r-1", "UNKNOWN_REFERENCE") == (
            reply["retry"],
            reply["reference"],
            reply["reasons"][0]["code"],
        )

    in_intake(story)


def test_a_held_record_goes_at_once_when_its_reference_appears() -> None:
    """Not at the timer; with its own origin; and it leaves the store."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        appear(world)
        await world.release()
        assert ([0], {}, 0) == (world.command_offsets(), world.desk.records, len(world.holds))
        await world.take(unknown(world, "r-2"))
        assert [0, 1] == world.command_offsets()

    in_intake(story)


def test_a_reference_that_came_between_the_last_look_and_the_commit_is_found() -> None:
    """Nobody listened for it then: the holder looks again after its commit."""

    async def story(world: IntakeWorld) -> None:
        await world.take(unknown(world))
        await world.pass_time(WAIT_MS)
        world.table += own_rows("sub_9", "acc_9")
        await world.release()
        assert ([0], {}) == (world.command_offsets(), world.desk.records)

    in_intake(story)


def test_later_records_of_a_held_key_follow_in_order_and_other_keys_pass() -> None:
    """Also a follower whose own account is known, and what comes while the key is emptied."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        await world.take(
            world.record(portal_order("r-3", "sub_1"), key=b"other"),
            world.record(portal_order("r-4", "sub_2"), key=b"k"),
        )
        assert [2] == world.command_offsets()
        appear(world)
        await world.release()
        assert ([2, 0, 1, 3], {}) == (world.command_offsets(), world.desk.records)
        assert [("held", 0), ("held", 1), ("held", 3)] == outcomes(world)
        assert ["UNKNOWN_REFERENCE", "EARLIER_ORDER_WAITS", "EARLIER_ORDER_WAITS"] == [
            reply["reasons"][0]["code"] for reply in world.replies()
        ]

    in_intake(story)


def test_a_follower_that_is_not_stored_yet_when_its_head_goes_is_not_forgotten() -> None:
    """Its own commit tries it."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        await world.take(unknown(world, "r-2"))
        appear(world)
        await world.releases.step()
        await world.settle()
        assert [0] == world.command_offsets()
        await world.release()
        assert ([0, 1], {}) == (world.command_offsets(), world.desk.records)

    in_intake(story)


def test_a_record_whose_key_is_on_its_way_passes_behind_it() -> None:
    """Nothing waits any more; the producer keeps the order."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        appear(world)
        world.hold_answers = True
        await world.releases.step()
        await world.take(unknown(world, "r-2"))
        assert ([0, 1], [(PORTAL, 0, 0)]) == (world.command_offsets(), list(world.desk.records))

    in_intake(story)


def test_without_a_record_key_the_reference_is_held() -> None:
    """Records of other subscriptions pass."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world, key=None))
        await world.take(unknown(world, "r-2", key=None), world.record(portal_order("r-3", "sub_1")))
        assert [2] == world.command_offsets()
        appear(world)
        await world.release()
        assert [2, 0, 1] == world.command_offsets()

    in_intake(story)


def test_a_head_is_tried_at_its_times_and_the_tries_are_stored() -> None:
    """First after one wait, then after the next; never earlier."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        await world.release(999)
        assert 0 == world.desk.records[PORTAL, 0, 0].attempts
        await world.release(1)
        held = world.desk.records[PORTAL, 0, 0]
        assert (1, NOW_MS + 6_000) == (held.attempts, held.next_attempt_at)
        await world.release(4_999)
        assert 1 == world.desk.records[PORTAL, 0, 0].attempts

    in_intake(story)


@pytest.mark.parametrize("told", [True, False], ids=["listened", "missed"])
def test_a_try_for_a_reference_that_is_not_enough_costs_no_attempt(told: bool) -> None:
    """Two references are missing and one appears: the next time stays."""

    async def story(world: IntakeWorld) -> None:
        order = json.dumps(
            {
                "externalId": "PO-1",
                "productOrderItem": [
                    {"id": str(i), "action": "modify", "quantity": 3, "product": {"id": f"sub_{i}"}}
                    for i in (8, 9)
                ],
            }
        ).encode()
        await world.hold(world.record(order, topic=PARTNER))
        world.table += own_rows("sub_9", "acc_9")
        world.context.forget(["sub_9"])
        if told:
            world.releases.references_changed(["sub_9"])
        else:
            world.releases.anything_changed()
        await world.release()
        held = world.desk.records[PARTNER, 0, 0]
        assert (0, NOW_MS + 1_000, []) == (held.attempts, held.next_attempt_at, world.command_offsets())
        world.table += own_rows("sub_8", "acc_8")
        world.context.forget(["sub_8"])
        world.releases.references_changed(["sub_8"])
        await world.release()
        assert (2, {}) == (len(world.on(COMMANDS)), world.desk.records)

    in_intake(story)


async def spend(world: IntakeWorld) -> None:
    """Let every try of a head go by."""
    for wait_ms in (1_000, 5_000, 5_000):
        await world.release(wait_ms)


def test_a_spent_head_is_dead_and_its_key_stays_parked() -> None:
    """Class and code of its hold, exhausted, attempts counted; followers wait for a person, new ones too."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        await spend(world)
        assert [(0, "unknown_account", "UNKNOWN_REFERENCE")] == world.dead()
        [letter] = [m for m in world.messages if m.topic.endswith(".dlq")]
        headers = dict(letter.headers)
        assert (b"true", b"3", b"context") == (
            headers["oms.dlq.exhausted"],
            headers["oms.dlq.attempts"],
            headers["oms.dlq.stage"],
        )
        assert (b"2023-11-14T22:13:20.000Z", b"2023-11-14T22:13:31.000Z") == (
            headers["oms.dlq.first.failed.at"],
            headers["oms.dlq.last.failed.at"],
        )
        await world.take(world.record(portal_order("r-3", "sub_1"), key=b"k"))
        await world.release(1_000_000)
        assert ([], [1, 2], {KEY: 0}) == (
            world.command_offsets(),
            [offset for _, _, offset in world.desk.records],
            world.desk.parked,
        )
        assert ("dead", 0) in outcomes(world)

    in_intake(story)


def test_where_the_policy_says_release_the_followers_of_a_dead_head_go() -> None:
    """In order, at once."""

    async def story(world: IntakeWorld) -> None:
        world.holds.policy = replace(HOLDS, usual=replace(HOLDS.usual, on_dead=OnDead.RELEASE))
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        await spend(world)
        assert ([0], [1], {}) == (
            [o for o, _, _ in world.dead()],
            world.command_offsets(),
            world.desk.records,
        )

    in_intake(story)


def test_a_head_that_is_too_old_is_dead_at_its_next_try() -> None:
    """Whatever tries it has left."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        await world.release(60_000)
        assert [(0, "unknown_account", "UNKNOWN_REFERENCE")] == world.dead()

    in_intake(story)


def test_a_record_is_decided_as_a_whole_when_its_wait_is_over() -> None:
    """What is known of it goes, what is not is dead; nothing of it before."""

    async def story(world: IntakeWorld) -> None:
        items = [
            {"id": str(i), "action": "modify", "quantity": 15, "product": {"id": f"sub_{i}"}} for i in (1, 9)
        ]
        order = json.dumps({"externalId": "PO-1", "productOrderItem": items}).encode()
        await world.hold(world.record(order, topic=PARTNER))
        assert ([], (0, 1)) == (world.command_offsets(), world.desk.records[PARTNER, 0, 0].intents)
        await spend(world)
        assert (1, [(0, "unknown_account", "UNKNOWN_REFERENCE")], {}) == (
            len(world.on(COMMANDS)),
            world.dead(),
            world.desk.records,
        )

    in_intake(story)


def test_what_is_held_already_is_not_held_twice_when_it_is_delivered_again() -> None:
    """A position that lagged behind: same record, same place in the line."""

    async def story(world: IntakeWorld) -> None:
        first, second = unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"other")
        await world.hold(first, second)
        world.restart()
        await world.take(first, second)
        assert (2, [(PORTAL, 0, 0)], 0) == (world.position(), list(world.desk.records), world.intake.parked)
        appear(world)
        await world.release()
        assert [1, 1, 0] == world.command_offsets()

    in_intake(story)


def test_holds_are_taken_over_with_their_times_and_what_was_missed() -> None:
    """The reference appeared while nobody ran."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), unknown(world, "r-2"))
        world.restart()
        await world.release()
        assert ([], 2) == (world.command_offsets(), world.holds.records["portal"])
        world.table += own_rows("sub_9", "acc_9")
        world.context.clear()
        world.restart()
        await world.release()
        assert ([0, 1], {}) == (world.command_offsets(), world.desk.records)

    in_intake(story)


def test_a_channel_that_may_not_have_been_told_is_told_again() -> None:
    """With the same reply id."""

    async def story(world: IntakeWorld) -> None:
        await world.take(unknown(world))
        await world.pass_time(WAIT_MS)
        world.hold_answers = True
        world.save()
        world.restart()
        first, second = world.replies()
        assert first["reply_id"] == second["reply_id"]

    in_intake(story)


def test_a_release_that_was_begun_is_finished_and_repeats_the_same_command() -> None:
    """Killed between the command and the removal: the same origin again is silent at the decider."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        appear(world)
        world.hold_answers = True
        await world.releases.step()
        world.sent.clear()
        world.hold_answers = False
        world.restart()
        await world.release()
        first, second = world.on(COMMANDS)
        assert (first.value, {}) == (second.value, world.desk.records)

    in_intake(story)


def test_a_verdict_on_a_held_record_stands_though_its_account_is_known_by_now() -> None:
    """Killed between the verdict and the removal: dead again under the same id, and parked."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), unknown(world, "r-2"))
        dead = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", None, "Nobody knew it.")
        identity = dead_letter_id_of(NORMALIZER, PORTAL, 0, 0, 0)
        world.stored[identity] = Verdict(identity, NORMALIZER, PORTAL, 0, 0, 0, 1, dead)
        world.table += own_rows("sub_9", "acc_9")
        world.context.clear()
        world.restart()
        await world.release()
        assert ([0], [], [1], {KEY: 0}) == (
            [offset for offset, _, _ in world.dead()],
            world.command_offsets(),
            [offset for _, _, offset in world.desk.records],
            world.desk.parked,
        )

    in_intake(story)


def test_a_dead_head_that_is_not_acknowledged_is_called_dead_again_after_a_restart() -> None:
    """Its key is stored as parked together with its removal, never before: else nobody would try it again."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        world.hold_answers = True
        await spend(world)
        assert [(PORTAL, 0, 0), (PORTAL, 0, 1)] == list(world.desk.records)
        world.sent.clear()
        world.hold_answers = False
        world.restart()
        await world.release()
        assert ([0, 0], [(PORTAL, 0, 1)], {KEY: 0}) == (
            [offset for offset, _, _ in world.dead()],
            list(world.desk.records),
            world.desk.parked,
        )

    in_intake(story)


def test_a_person_can_release_a_parked_key() -> None:
    """Its next record is tried at once; where nothing waits, later records pass again."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        await spend(world)
        request = world.desk.ask(KEY, "release")
        world.releases.people_asked()
        await world.release()
        assert ([1], {KEY: None}) == (world.command_offsets(), world.desk.parked)
        assert world.desk.done[request].startswith("tried")
        await world.take(world.record(portal_order("r-3", "sub_1"), key=b"k"))
        assert [1, 2] == world.command_offsets()

    in_intake(story)


def test_a_person_can_discard_the_head_and_its_followers_go_on() -> None:
    """Stored with the reason, the channel is told, then the record leaves and the request is done."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world), world.record(portal_order("r-2", "sub_1"), key=b"k"))
        request = world.desk.ask(KEY, "discard", reason="sent twice, INC-7")
        world.releases.people_asked()
        await world.release()
        [row] = world.desk.skipped
        assert ((PORTAL, 0, 0), "DISCARDED", "sent twice, INC-7") == (row.place, row.reason, row.detail)
        assert [("held", 0), ("held", 1), ("discarded", 0)] == outcomes(world)
        assert ([1], {}) == (world.command_offsets(), world.desk.records)
        assert world.desk.done[request].startswith("done")

    in_intake(story)


def test_a_follower_can_be_discarded_while_its_head_waits() -> None:
    """The others keep their order."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(*(unknown(world, f"r-{i}") for i in range(3)))
        world.desk.ask(KEY, "discard", offset=1)
        world.releases.people_asked()
        await world.release()
        appear(world)
        await world.release()
        assert ([0, 2], {}, 0) == (world.command_offsets(), world.desk.records, len(world.holds))

    in_intake(story)


def test_a_discard_that_was_cut_short_is_finished() -> None:
    """Killed after the reason was stored: no command, the channel is told, the request is done."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        request = world.desk.ask(KEY, "discard")
        world.releases.people_asked()
        world.hold_answers = True
        await world.releases.step()
        world.save()
        assert {} == world.desk.done
        world.hold_answers = False
        world.sent.clear()
        world.table += own_rows("sub_9", "acc_9")
        world.context.clear()
        world.restart()
        await world.release()
        assert ([], {}) == (world.command_offsets(), world.desk.records)
        assert world.desk.done[request].startswith("done")
        assert ("discarded", 0) == outcomes(world)[-1]

    in_intake(story)


def test_what_is_on_its_way_can_not_be_discarded() -> None:
    """One intent never ends twice."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        held = world.desk.records[PORTAL, 0, 0]
        world.desk.records[PORTAL, 0, 0] = replace(held, begun=True)
        request = world.desk.ask(KEY, "discard")
        world.releases.people_asked()
        await world.release()
        assert ([], "refused: the record is on its way already") == (
            world.desk.skipped,
            world.desk.done[request],
        )

    in_intake(story)


@pytest.mark.parametrize("action", ["release", "discard"])
def test_a_parked_key_without_records_is_freed(action: str) -> None:
    """Whatever is asked of it."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        await spend(world)
        assert 1 == len(world.holds)
        world.desk.ask(KEY, action)
        world.releases.people_asked()
        await world.release()
        assert (0, {KEY: None}) == (len(world.holds), world.desk.parked)

    in_intake(story)


def test_what_was_asked_of_a_hold_that_is_gone_is_answered() -> None:
    """It had left by itself."""

    async def story(world: IntakeWorld) -> None:
        request = world.desk.ask(KEY, "release")
        world.releases.people_asked()
        await world.release()
        assert world.desk.done[request].startswith("gone")

    in_intake(story)


@pytest.mark.parametrize("cap", ["most_records", "most_keys"])
def test_beyond_a_cap_the_partition_stands_still_and_goes_on_when_there_is_room(cap: str) -> None:
    """Nothing is lost or overtaken; other partitions go on; a metric says it."""

    async def story(world: IntakeWorld) -> None:
        world.holds.policy = (
            replace(HOLDS, most_records=2, most_keys=2)
            if cap == "most_records"
            else (replace(HOLDS, most_keys=2))
        )
        keys = (b"k", b"k", b"k") if cap == "most_records" else (b"k", b"l", b"m")
        await world.hold(*(unknown(world, f"r-{i}", key) for i, key in enumerate(keys[:2])))
        await world.take(unknown(world, "r-2", keys[2]), world.record(portal_order("r-3", "sub_1"), key=b"x"))
        await world.take(world.record(portal_order("r-4", "sub_1"), key=b"x"))
        still = {"consumer": NORMALIZER, "topic": PORTAL, "partition": "0"}
        metric = "oms_partition_standing_still"
        assert ([], 2, 1) == (
            world.command_offsets(),
            world.position(),
            world.metrics.registry.get_sample_value(metric, still),
        )
        assert ({(PORTAL, 0)}, {(PORTAL, 0): "holds_full"}) == (world.paused, world.open_breakers)
        appear(world)
        await world.release()
        await world.intake.go_on()
        await world.settle()
        assert ([0, 1, 2, 3, 4], set(), 0) == (
            world.command_offsets(),
            world.paused,
            world.metrics.registry.get_sample_value(metric, still),
        )

    in_intake(story)


def test_one_record_whose_look_up_fails_is_held_and_its_neighbours_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Class dependency, after the budget of the batch; it goes at its next try."""
    monkeypatch.setattr("tierline.kit.retry.LOOK_UP.sleep", _no_sleep)
    broken = True

    async def story(world: IntakeWorld) -> None:
        real = world.context._look_up

        async def look_up(asked: Any) -> list[RefRow]:
            if broken and any(ref == "sub_2" for _, _, ref in asked):
                raise LookUpFailed("40001")
            return list(await real(asked))

        world.context._look_up = look_up
        await world.take(
            world.record(portal_order("r-1", "sub_1")), world.record(portal_order("r-2", "sub_2"))
        )
        world.save()
        held = world.desk.records[PORTAL, 0, 1]
        assert ([0], "dependency", "LOOK_UP_FAILED") == (
            world.command_offsets(),
            held.cause.dead_letter_class,
            held.cause.code,
        )
        nonlocal broken
        broken = False
        await world.release(1_000)
        assert ([0, 1], {}) == (world.command_offsets(), world.desk.records)

    in_intake(story)


async def _no_sleep(_: float) -> None:
    await asyncio.sleep(0)


def test_poison_passes_a_held_key() -> None:
    """Decode and contract never park: the order of what cannot be read means nothing."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        await world.take(world.record(b"{", key=b"k"))
        assert [(1, "decode", "MALFORMED_JSON")] == world.dead()

    in_intake(story)


def test_partitions_that_go_take_their_holds_along() -> None:
    """What was not stored comes again, what was stored is loaded by whoever has them next."""

    async def story(world: IntakeWorld) -> None:
        await world.hold(unknown(world))
        record = unknown(world, "r-2")
        await world.intake.take(Batch(PORTAL, 0, record.offset, (record,)))
        world.progress.give_up([(PORTAL, 0)])
        world.intake.given_up()
        world.releases.given_up()
        appear(world)
        await world.release()
        assert ([], [(PORTAL, 0, 0)], 0) == (
            world.command_offsets(),
            list(world.desk.records),
            len(world.holds),
        )

    in_intake(story)


def test_the_policy_of_the_channel_counts() -> None:
    """Its first wait is its own."""

    async def story(world: IntakeWorld) -> None:
        own = ChannelHolds(retry_after_ms=(77,), attempts=1, longest_ms=60_000)
        world.holds.policy = HoldPolicy(HOLDS.usual, {"portal": own})
        await world.hold(unknown(world))
        assert NOW_MS + 77 == world.desk.records[PORTAL, 0, 0].next_attempt_at

    in_intake(story)
