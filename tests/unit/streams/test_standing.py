"""The intake while a breaker is open: what stands, what flows, how it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from deadletter.breaker import BreakerState
from deadletter.breaker_store import Action, Verb
from tests.support.intake_world import PARTNER, PORTAL, IntakeWorld, in_intake, portal_order
from tierline.kit.records import Record

HERE = (PORTAL, 0)
HOUR_MS = 3_600_000


def bad(world: IntakeWorld, number: int, topic: str = PORTAL) -> Record:
    """A record that cannot be read."""
    return world.record(b'{"broken', key=b"k%d" % number, topic=topic)


def good(world: IntakeWorld, number: int = 0) -> Record:
    """A sound order."""
    return world.record(portal_order(f"r-{number}", "sub_1"))


async def opened(world: IntakeWorld) -> None:
    """Open the breaker of the portal: nineteen are buried, the record at offset 19 stands."""
    await world.take(*(bad(world, number) for number in range(20)))


async def later(world: IntakeWorld, milliseconds: int = HOUR_MS) -> None:
    """Let time pass, and try what stands once."""
    world.wall += milliseconds
    await world.intake.go_on()
    await world.settle()


def breaker_of(world: IntakeWorld) -> Any:
    """The breaker of the portal."""
    return world.breakers._breakers[HERE]


def gauge(world: IntakeWorld) -> float | None:
    """What Prometheus is told of it."""
    return world.metrics.registry.get_sample_value(
        "oms_breaker_open", {"channel": "portal", "partition": "0"}
    )


def test_the_record_that_opens_it_stands_and_all_behind_it() -> None:
    """Nothing of it happens, its batch is not passed, and no more is read; what came before is dead."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        await world.take(good(world), bad(world, 1))
        await world.take(good(world))
        assert (19, 0) == (len(world.dead()), world.position())
        assert ([], {HERE}, 1) == (world.command_offsets(), world.paused, gauge(world))

    in_intake(story)


def test_other_partitions_flow() -> None:
    """A breaker is one channel's, in one partition."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        await world.take(bad(world, 0, PARTNER))
        assert 1 == world.position(PARTNER)

    in_intake(story)


def test_bad_records_count_in_the_order_they_came() -> None:
    """One in five, all in one batch: read first and counted in a row they would open it."""

    async def story(world: IntakeWorld) -> None:
        await world.take(*(bad(world, n) if n % 5 == 4 else good(world, n) for n in range(150)))
        assert (30, 120, 150) == (len(world.dead()), len(world.command_offsets()), world.position())

    in_intake(story)


def test_a_poison_head_is_buried_after_three_probes_and_the_rest_flows() -> None:
    """One dead letter more; what stood behind it leaves in order, and the partition is read again."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        await world.take(*(good(world, number) for number in range(25)))
        for dead in (19, 19, 20):
            await later(world)
            assert dead == len(world.dead())
        assert list(range(20, 45)) == world.command_offsets()
        assert (45, set(), 0) == (world.position(), world.paused, gauge(world))
        assert BreakerState.CLOSED is breaker_of(world).state

    in_intake(story)


def test_a_deploy_that_breaks_everything_buries_three_more_and_then_none() -> None:
    """However often it is tried."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        await world.take(*(bad(world, number) for number in range(50)))
        for _ in range(50):
            await later(world)
        assert (19 + 3, 20) == (len(world.dead()), world.position())
        assert (BreakerState.WAITING, 1) == (breaker_of(world).state, gauge(world))

    in_intake(story)


def test_a_probe_reads_the_bytes_again() -> None:
    """What could not be read and can be now is an order like any other."""

    async def story(world: IntakeWorld) -> None:
        read = world.intake._concluder.understand
        world.intake._concluder.understand = lambda record: read(  # type: ignore[method-assign]
            Record(record.topic, 0, record.offset, record.timestamp_ms, record.key, b"{")
        )
        await world.take(*(good(world, number) for number in range(30)))
        assert ([], 0) == (world.command_offsets(), world.position())
        world.intake._concluder.understand = read  # type: ignore[method-assign]
        await later(world)
        assert (list(range(19, 30)), 30) == (world.command_offsets(), world.position())

    in_intake(story)


@pytest.mark.parametrize(
    ("verb", "count", "dead", "state"),
    [(Verb.CLOSE, 0, 19 + 19, BreakerState.OPEN), (Verb.PASS, 4, 19 + 4, BreakerState.OPEN)],
)
def test_a_person_lets_it_go_on(verb: Verb, count: int, dead: int, state: BreakerState) -> None:
    """Close counts anew; pass lets so many die. What became of the ask is stored with the breaker."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        await world.take(*(bad(world, number) for number in range(50)))
        action = Action(1, PORTAL, 0, 1, verb, count, "ada", "INC-1")
        outdated = Action(2, PORTAL, 0, 7, verb, count, "ada", "another opening")
        world.breakers.do([action, outdated])
        world.intake.breakers_changed()
        await world.intake.go_on()
        await world.settle()
        assert (dead, state) == (len(world.dead()), breaker_of(world).state)
        taken = [(done.action_id, str(outcome)) for done, outcome in world.breakers.take_changes().taken]
        assert [(1, "done"), (2, "outdated")] == taken

    in_intake(story)


def test_a_breaker_that_was_stored_open_lets_nothing_die() -> None:
    """Whoever takes the partition over finds it open, tells so, and probes the head."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        [stored] = world.breakers.take_changes().breakers
        assert (19, "decode", "MALFORMED_JSON") == (
            stored.head and stored.head.offset,
            stored.head and stored.head.dead_letter_class,
            stored.head and stored.head.code,
        )

        async def successor(other: IntakeWorld) -> None:
            other.breakers.load([stored])
            other.offsets[PORTAL] = 19
            assert 1 == gauge(other)
            other.progress.open({HERE: 19})
            await other.take(bad(other, 1), good(other))
            assert ([], []) == (other.dead(), other.command_offsets())

        await successor(IntakeWorld())
        world.breakers.drop()
        assert 0 == gauge(world)

    in_intake(story)


def test_what_was_called_dead_before_dies_again() -> None:
    """A verdict is stored: its dead letter may be missing, and is written although the breaker is open."""

    async def story(world: IntakeWorld) -> None:
        await opened(world)
        [stored] = world.breakers.take_changes().breakers
        world.breakers.load([stored])
        world.progress.give_up([HERE])
        world.intake.given_up()
        world.progress.open({HERE: 0})
        world.offsets[PORTAL] = 0
        await world.take(*(bad(world, number) for number in range(20)))
        ids = [offset for offset, _, _ in world.dead()]
        assert ([*range(19), *range(19)], BreakerState.OPEN) == (ids, breaker_of(world).state)
        assert 19 == world.breakers._heads[HERE].offset

    in_intake(story)


def test_a_held_record_that_would_die_stays_held_while_it_is_open() -> None:
    """Its wait is over, and it is tried again later instead."""

    async def story(world: IntakeWorld) -> None:
        waiting = world.record(portal_order("r-x", "sub_9"), key=b"late")
        await world.hold(waiting)
        await opened(world)
        for _ in range(10):
            world.wall += HOUR_MS
            await world.release()
        assert {"decode"} == {cause for _, cause, _ in world.dead()}
        breaker_of(world).close(world.wall)
        await world.release(24 * HOUR_MS)
        assert ("unknown_account", "UNKNOWN_REFERENCE") in {(c, code) for _, c, code in world.dead()}

    in_intake(story)
