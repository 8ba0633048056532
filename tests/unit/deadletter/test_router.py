"""One router turns every ending into its effects, and settles it when all of them are safe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from deadletter.envelope import DeadLetter, Stage
from deadletter.held import HeldRecord, SkippedRow
from deadletter.ports import Answered, Refusal
from deadletter.router import AcceptedIntent, DeadIntent, Ending, HeldIntent, Router, SkippedIntent
from deadletter.verdicts import Verdict
from schemas.topics import NORMALIZER
from tierline.domain.commands import Origin
from tierline.domain.outcome import Accepted, Dead, DeadLetterClass, Held, Skipped, SkipReason
from tierline.kit.records import Message, Record
from tierline.kit.telemetry import Metrics

RECORD = Record("orders.portal.v1", 1, 5, 0, b"k", b"bytes")
DLQ = "orders.portal.v1.tierline-normalizer.dlq"
CONTRACT = Dead(DeadLetterClass.CONTRACT, "MISSING_FIELD", "reference", "A field is missing.")
COMMAND = Message("oms.commands.v1", b"acc_1", b"avro", 2, (("type", b"PlaceOrder"),))
TOO_LARGE = Refusal(too_large=True, text="MSG_SIZE_TOO_LARGE")
BROKEN = Refusal(too_large=False, text="TOPIC_AUTHORIZATION_FAILED")


class ProcessEnded(Exception):
    """What the fake exit raises."""


class World:
    """A router with an outlet whose answers the test gives, and a store that remembers."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, Answered]] = []
        self.stored: dict[str, Verdict] = {}
        self.given_up: set[str] = set()
        self.writes: list[int] = []
        self.settled: list[str] = []
        self.kept: list[HeldRecord] = []
        self.let_go: list[SkippedRow] = []
        self.metrics = Metrics()
        self.router = Router(
            outlet=self,
            verdicts=self,
            keeper=self,
            answer=self.reply,
            fail=self.fail,
            metrics=self.metrics,
        )

    def send(self, message: Message, answered: Answered) -> None:
        self.sent.append((message, answered))

    async def write(self, verdicts: Sequence[Verdict]) -> Sequence[Verdict | None]:
        assert [] == [m for m, _ in self.sent if m.topic == DLQ], "sent before its verdict was stored"
        self.writes.append(len(verdicts))
        return [
            None if v.dead_letter_id in self.given_up else self.stored.setdefault(v.dead_letter_id, v)
            for v in verdicts
        ]

    def keep(self, held: HeldRecord, settled: Callable[[], None]) -> None:
        self.kept.append(held)
        settled()

    def skip(self, row: SkippedRow, settled: Callable[[], None]) -> None:
        self.let_go.append(row)
        settled()

    def reply(self, letter: DeadLetter, source: str, reference: str | None) -> Message:
        return Message("orders.portal.replies.v1", letter.record.key, f"{source} {reference}".encode())

    def fail(self, reason: str) -> NoReturn:
        raise ProcessEnded(reason)

    def accepted(self, name: str = "accepted") -> AcceptedIntent:
        def as_dead(dead: Dead, stage: Stage) -> DeadIntent:
            return replace(self.dead(name, dead), letter=replace(self.dead(name, dead).letter, stage=stage))

        return AcceptedIntent(Accepted("c-1"), COMMAND, as_dead, lambda: self.settled.append(name))

    def dead(self, name: str = "dead", dead: Dead = CONTRACT, index: int = 0) -> DeadIntent:
        letter = DeadLetter(
            group=NORMALIZER, record=RECORD, origin=Origin(RECORD.topic, 1, 5), intent_index=index,
            intent_count=2, channel="portal", dead=dead, stage=Stage.CONTRACT, app_version="1", failed_at=0,
        )  # fmt: skip
        return DeadIntent(dead, letter, "main", "r-1", lambda: self.settled.append(name))

    @property
    def topics(self) -> list[str]:
        return [message.topic for message, _ in self.sent]


def in_world(story: Callable[[World], Awaitable[None]]) -> None:
    """Run ``story`` with a router that works in the background."""

    async def run() -> None:
        world = World()
        background = asyncio.create_task(world.router.run())
        try:
            await story(world)
        finally:
            background.cancel()

    asyncio.run(run())


async def routed(world: World, *endings: Ending) -> None:
    """Route and let the background work until nothing waits."""
    for ending in endings:
        world.router.route(ending)
    async with asyncio.timeout(5):
        while world.router.waiting:  # noqa: ASYNC110 - the router announces nothing to tests
            await asyncio.sleep(0)


def test_an_accepted_intent_is_settled_by_the_answer_to_its_command() -> None:
    """Sent is not safe; acknowledged is."""

    async def story(world: World) -> None:
        world.router.route(world.accepted())
        [(message, answered)] = world.sent
        assert (COMMAND, []) == (message, world.settled)
        answered(None)
        assert ["accepted"] == world.settled

    in_world(story)


def test_a_dead_intent_is_settled_when_letter_and_reply_are_both_acknowledged() -> None:
    """The verdict first, then dead letter and reply; one answer is not enough."""

    async def story(world: World) -> None:
        await routed(world, world.dead())
        assert ([DLQ, "orders.portal.replies.v1"], 1) == (world.topics, len(world.stored))
        world.sent[1][1](None)
        assert [] == world.settled
        world.sent[0][1](None)
        assert ["dead"] == world.settled
        labels = {"channel": "portal", "class": "contract"}
        assert 1 == world.metrics.registry.get_sample_value("oms_dead_letters_total", labels)

    in_world(story)


def test_verdicts_of_many_dead_intents_are_stored_together() -> None:
    """One transaction for what came together, not one each."""

    async def story(world: World) -> None:
        await routed(world, *(world.dead(index=i) for i in range(7)))
        assert ([7], 14) == (world.writes, len(world.sent))

    in_world(story)


def test_the_first_verdict_on_an_intent_is_the_one_that_is_sent() -> None:
    """Called dead for one reason, it does not become dead for another."""

    async def story(world: World) -> None:
        earlier = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "UNKNOWN_REFERENCE", None, "Nobody knows it.")
        letter = world.dead().letter
        world.stored[letter.id] = Verdict(letter.id, NORMALIZER, RECORD.topic, 1, 5, 0, 2, earlier)
        await routed(world, world.dead())
        headers = dict(world.sent[0][0].headers)
        assert (b"unknown_account", b"UNKNOWN_REFERENCE") == (
            headers["oms.dlq.class"],
            headers["oms.dlq.code"],
        )

    in_world(story)


def test_nothing_is_sent_for_a_partition_that_was_given_up() -> None:
    """Its new owner decides."""

    async def story(world: World) -> None:
        world.given_up.add(world.dead().letter.id)
        await routed(world, world.dead(), world.dead("other", index=1))
        assert [DLQ, "orders.portal.replies.v1"] == world.topics

    in_world(story)


def test_forgotten_dead_intents_are_not_buried() -> None:
    """What waits when partitions go is delivered again to whoever reads them then."""

    async def story(world: World) -> None:
        world.router.route(world.dead())
        world.router.forget()
        await asyncio.sleep(0)
        assert ([], 0) == (world.sent, world.router.waiting)

    in_world(story)


def test_a_command_over_the_brokers_limit_becomes_a_dead_letter() -> None:
    """The record's own fault: class oversize, and the partition moves on."""

    async def story(world: World) -> None:
        world.router.route(world.accepted())
        world.sent.pop()[1](TOO_LARGE)
        await routed(world)
        headers = dict(world.sent[0][0].headers)
        assert (b"oversize", b"COMMAND_TOO_LARGE", b"produce") == tuple(
            headers[f"oms.dlq.{name}"] for name in ("class", "code", "stage")
        )
        for _, answered in world.sent:
            answered(None)
        assert ["accepted"] == world.settled

    in_world(story)


def test_a_dead_letter_over_the_brokers_limit_is_sent_without_its_value() -> None:
    """It exists, points to its origin, and settles."""

    async def story(world: World) -> None:
        await routed(world, world.dead())
        world.sent[0][1](TOO_LARGE)
        stand_in, answered = world.sent[2]
        assert (DLQ, None, b"5") == (
            stand_in.topic,
            stand_in.value,
            dict(stand_in.headers)["oms.dlq.value.bytes"],
        )
        world.sent[1][1](None)
        answered(None)
        assert ["dead"] == world.settled

    in_world(story)


@pytest.mark.parametrize(
    ("which", "refusal"), [(0, BROKEN), (1, BROKEN), (1, TOO_LARGE)], ids=["letter", "reply", "large reply"]
)
def test_an_outcome_that_cannot_be_written_ends_the_process(which: int, refusal: Refusal) -> None:
    """Going on would lose it: the next process reads the record again."""

    async def story(world: World) -> None:
        await routed(world, world.dead())
        with pytest.raises(ProcessEnded):
            world.sent[which][1](refusal)
        assert [] == world.settled

    in_world(story)


def test_a_refused_command_ends_the_process() -> None:
    """Only its size is a message's own fault."""

    async def story(world: World) -> None:
        world.router.route(world.accepted())
        with pytest.raises(ProcessEnded, match="TOPIC_AUTHORIZATION_FAILED"):
            world.sent[0][1](BROKEN)

    in_world(story)


def test_a_refused_stand_in_ends_the_process() -> None:
    """There is nothing smaller left to try."""

    async def story(world: World) -> None:
        await routed(world, world.dead())
        world.sent[0][1](TOO_LARGE)
        with pytest.raises(ProcessEnded):
            world.sent[2][1](TOO_LARGE)

    in_world(story)


HELD = HeldRecord(
    record=RECORD, hold_key=(RECORD.topic, 1, b"k"), channel="portal", source="main", reference="r-1",
    intents=(0, 1), intent_count=2, cause=CONTRACT, waits_for=("sub_9",), held_at=0, next_attempt_at=1,
)  # fmt: skip


def test_a_held_intent_is_kept_and_nothing_is_sent() -> None:
    """Its channel is told when the hold is durable, not before."""
    world = World()
    for _ in HELD.intents:
        world.router.route(HeldIntent(Held(CONTRACT), HELD, lambda: world.settled.append("held")))
    assert ([HELD, HELD], ["held", "held"], []) == (world.kept, world.settled, world.topics)


def test_a_skipped_intent_is_stored_with_its_reason() -> None:
    """And nothing else happens."""
    world = World()
    row = SkippedRow((RECORD.topic, 1, 5), 0, 1, SkipReason.DISCARDED, "INC-1")
    skipped = Skipped(SkipReason.DISCARDED, "INC-1")
    world.router.route(SkippedIntent(skipped, row, lambda: world.settled.append("skipped")))
    assert ([row], ["skipped"], []) == (world.let_go, world.settled, world.topics)


def test_what_is_told_is_told_when_every_reply_is_acknowledged() -> None:
    """A refused one ends the process."""
    world = World()
    replies = [
        Message("orders.portal.replies.v1", None, b"1"),
        Message("orders.portal.replies.v1", None, b"2"),
    ]
    world.router.tell(replies, lambda: world.settled.append("told"))
    (_, first), (_, second) = world.sent
    first(None)
    assert [] == world.settled
    second(None)
    assert ["told"] == world.settled
    world.router.tell(replies, lambda: world.settled.append("never"))
    with pytest.raises(ProcessEnded):
        world.sent[-1][1](BROKEN)
