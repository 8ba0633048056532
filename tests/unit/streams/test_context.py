"""The context cache never answers from before a change it was told of, and stays within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import pytest

from streams.normalizing.context import AccountContext, Asked, refs_in
from streams.normalizing.resolve import RefRow

ONE: Asked = ("portal", "main", "sub_1")
TWO: Asked = ("portal", "main", "sub_2")
UNKNOWN_MS = 2_000


def row(ref: str, channel: str = "*", subscription: str = "") -> RefRow:
    return RefRow(
        channel, "*" if channel == "*" else "main", "subscription", ref, "acc_1", subscription or ref
    )


class World:
    """A table of references, a clock, and what was asked of the table."""

    def __init__(self, capacity: int = 100) -> None:
        self.table: list[RefRow] = [row("sub_1"), row("sub_2")]
        self.now = 0
        self.questions: list[list[str]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self.context = AccountContext(
            self.look_up, capacity=capacity, unknown_ms=UNKNOWN_MS, now_ms=lambda: self.now
        )

    async def look_up(self, asked: Collection[Asked]) -> list[RefRow]:
        refs = {ref for _, _, ref in asked}
        self.questions.append(sorted(refs))
        read = [found for found in self.table if found.ref in refs]
        await asyncio.sleep(0)
        self.before_answer()
        return read


def in_world(story: Callable[[World], Awaitable[None]], capacity: int = 100) -> None:
    asyncio.run(story(World(capacity)))  # type: ignore[arg-type] # stories are coroutines


def test_a_batch_is_one_question_and_the_next_one_none() -> None:
    """Looked up together, then remembered."""

    async def story(world: World) -> None:
        expected = {"sub_1": (row("sub_1"),), "sub_2": (row("sub_2"),)}
        assert expected == await world.context.rows({ONE, TWO})
        assert expected == await world.context.rows({ONE, TWO})
        assert [["sub_1", "sub_2"]] == world.questions

    in_world(story)


def test_rows_of_other_senders_are_not_in_the_answer() -> None:
    """A reference means what its sender means by it, or one of Tierline's own ids."""

    async def story(world: World) -> None:
        world.table += [row("sub_1", "partner", "sub_9"), row("sub_1", "portal", "sub_8")]
        assert {"sub_1": (row("sub_1"), row("sub_1", "portal", "sub_8"))} == await world.context.rows({ONE})

    in_world(story)


def test_a_change_that_was_told_is_looked_up_again() -> None:
    """The account got a second subscription: yesterday's answer is wrong."""

    async def story(world: World) -> None:
        await world.context.rows({ONE, TWO})
        world.table.append(row("sub_1", "portal", "sub_8"))
        world.context.forget(["sub_1"])
        found = await world.context.rows({ONE, TWO})
        assert (2, [["sub_1", "sub_2"], ["sub_1"]]) == (len(found["sub_1"]), world.questions)

    in_world(story)


@pytest.mark.parametrize("change", ["forget", "clear"])
def test_an_answer_that_a_change_overtook_is_not_remembered(change: str) -> None:
    """Read before the change, delivered after it: good for now, not for later."""

    async def story(world: World) -> None:
        def overtake() -> None:
            world.context.forget(["sub_1"]) if change == "forget" else world.context.clear()

        world.before_answer = overtake
        await world.context.rows({ONE})
        world.before_answer = lambda: None
        await world.context.rows({ONE})
        await world.context.rows({ONE})
        assert [["sub_1"], ["sub_1"]] == world.questions

    in_world(story)


def test_unknown_is_remembered_no_longer_than_its_time() -> None:
    """A reference that appears is seen in time, even when nobody told of it."""

    async def story(world: World) -> None:
        world.table.clear()
        assert {"sub_1": ()} == await world.context.rows({ONE})
        world.now = UNKNOWN_MS - 1
        assert {"sub_1": ()} == await world.context.rows({ONE})
        world.table.append(row("sub_1"))
        world.now = UNKNOWN_MS
        assert {"sub_1": (row("sub_1"),)} == await world.context.rows({ONE})
        assert 2 == len(world.questions)

    in_world(story)


def test_in_doubt_only_the_unknown_is_asked_again() -> None:
    """Looking again at parked records costs nothing for what is known."""

    async def story(world: World) -> None:
        world.table = [row("sub_2")]
        await world.context.rows({ONE, TWO})
        await world.context.rows({ONE, TWO}, doubt_unknown=True)
        assert [["sub_1", "sub_2"], ["sub_1"]] == world.questions

    in_world(story)


def test_the_cache_forgets_the_oldest_beyond_its_capacity() -> None:
    """Rows in memory are bounded, however many accounts there are."""

    async def story(world: World) -> None:
        refs = [f"sub_{i}" for i in range(25)]
        world.table = [row(ref) for ref in refs]
        for ref in refs:
            await world.context.rows({("portal", "main", ref)})
        assert 10 == len(world.context)
        await world.context.rows({("portal", "main", "sub_24")})
        await world.context.rows({("portal", "main", "sub_0")})
        assert (26, ["sub_0"]) == (len(world.questions), world.questions[-1])

    in_world(story, capacity=10)


def test_an_account_counts_with_all_its_rows() -> None:
    """The bound is on what takes memory."""

    async def story(world: World) -> None:
        world.table = [row("acc", "portal", f"sub_{i}") for i in range(4)]
        await world.context.rows({("portal", "main", "acc")})
        assert 4 == len(world.context)
        world.context.forget(["acc"])
        assert 0 == len(world.context)

    in_world(story)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ('[["*","*","sub_1"],["partner","eu","P-1"]]', ("sub_1", "P-1")),
        ("[]", ()),
        ("", None),
        ("{}", None),
        ('["sub_1"]', None),
    ],
)
def test_a_message_names_references_or_says_nothing(payload: str, expected: tuple[str, ...] | None) -> None:
    """What cannot be read, or did not fit, may be anything: everything is forgotten then."""
    assert expected == refs_in(payload)
