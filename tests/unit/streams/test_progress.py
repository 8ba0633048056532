"""A position moves past a batch only when it and every batch before it are safe."""

from __future__ import annotations

import random

import pytest

from streams.normalizing.progress import OpenBatch, Place, Progress, RecordsPassedOver

PLACE: Place = ("orders.portal.v1", 0)
OTHER: Place = ("orders.portal.v1", 1)


def begun(progress: Progress, first: int, after: int, place: Place = PLACE) -> OpenBatch:
    """A batch that was taken in, one outcome per record."""
    batch = progress.begin(place, first, after, after - first)
    assert batch is not None
    return batch


def settle_all(batch: OpenBatch) -> None:
    while batch.open:
        batch.settle()


@pytest.fixture
def progress() -> Progress:
    """Partition 0 open at offset 10."""
    progress = Progress()
    progress.open({PLACE: 10})
    return progress


def test_one_unsettled_outcome_holds_the_position(progress: Progress) -> None:
    """The un-acknowledged head is never skipped, alone or among others."""
    batch = begun(progress, 10, 15)
    for _ in range(4):
        batch.settle()

    assert {} == progress.moved()
    batch.settle()
    assert {PLACE: 15} == progress.moved()


def test_a_batch_that_finishes_early_waits_for_the_one_before(progress: Progress) -> None:
    """Strictly contiguous: the later one counts when the earlier one is safe."""
    first, second = begun(progress, 10, 12), begun(progress, 12, 20)
    settle_all(second)

    assert {} == progress.moved()
    settle_all(first)
    assert {PLACE: 20} == progress.moved()


def test_holes_in_the_log_are_passed(progress: Progress) -> None:
    """Markers of transactions take offsets that never arrive."""
    batch = progress.begin(PLACE, 10, 15, 2)
    assert batch is not None
    settle_all(batch)
    settle_all(begun(progress, 15, 16))

    assert {PLACE: 16} == progress.moved()


def test_what_is_saved_is_not_moved_again(progress: Progress) -> None:
    """A position is written once."""
    settle_all(begun(progress, 10, 12))
    progress.saved(progress.moved())

    assert {} == progress.moved()
    settle_all(begun(progress, 12, 13))
    assert {PLACE: 13} == progress.moved()


def test_a_record_with_more_intents_holds_until_the_last(progress: Progress) -> None:
    """Each intent is an outcome of its own."""
    batch = begun(progress, 10, 11)
    batch.expect(2)
    batch.settle()
    batch.settle()

    assert {} == progress.moved()
    batch.settle()
    assert {PLACE: 11} == progress.moved()


@pytest.mark.parametrize(
    ("place", "first"), [(PLACE, 9), (OTHER, 10)], ids=["before the position", "partition not open"]
)
def test_a_stale_fetch_is_left_alone(progress: Progress, place: Place, first: int) -> None:
    """It belongs to an assignment that is over."""
    assert progress.begin(place, first, first + 3, 3) is None


def test_a_fetch_that_repeats_is_left_alone(progress: Progress) -> None:
    """What was taken in is not taken in again, settled or not."""
    begun(progress, 10, 15)

    assert progress.begin(PLACE, 12, 16, 4) is None


def test_records_that_were_passed_over_end_the_work(progress: Progress) -> None:
    """A position that went on past them would lose them for good; the lease still stands before them."""
    begun(progress, 10, 15)

    with pytest.raises(RecordsPassedOver, match="begins at 17 where 15 is due"):
        progress.begin(PLACE, 17, 20, 3)
    assert {} == progress.moved()


def test_giving_up_marks_the_open_batches_and_forgets_their_positions(progress: Progress) -> None:
    """Their outcomes are somebody else's now, even when they arrive."""
    batch = begun(progress, 10, 11)
    progress.give_up([PLACE])
    settle_all(batch)

    assert (True, {}, ()) == (batch.given_up, progress.moved(), progress.places())


def test_opening_again_starts_from_the_new_position(progress: Progress) -> None:
    """Nothing of the earlier assignment moves the new one."""
    old = begun(progress, 10, 11)
    progress.open({PLACE: 10})
    settle_all(old)

    assert (True, {}) == (old.given_up, progress.moved())
    settle_all(begun(progress, 10, 11))
    assert {PLACE: 11} == progress.moved()


def test_partitions_move_on_their_own(progress: Progress) -> None:
    """One that waits holds no other."""
    progress.open({OTHER: 0})
    begun(progress, 10, 11)
    settle_all(begun(progress, 0, 4, OTHER))

    assert {OTHER: 4} == progress.moved()


def test_settling_more_than_expected_is_refused(progress: Progress) -> None:
    """A wrong count could move a position past a lost outcome."""
    batch = begun(progress, 10, 11)
    batch.settle()

    with pytest.raises(RuntimeError, match="more outcomes"):
        batch.settle()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_order_the_position_is_the_longest_safe_prefix(seed: int) -> None:
    """Against a model that looks at every record."""
    chance = random.Random(seed)
    progress, offset = Progress(), 0
    progress.open({PLACE: 0})
    batches: list[OpenBatch] = []
    for _ in range(30):
        size = chance.randint(1, 5)
        after = offset + chance.choice([0, 0, 1, 3]) + size  # the log has holes of its own
        batch = progress.begin(PLACE, offset, after, size)
        assert batch is not None
        batches.append(batch)
        offset = after
    outcomes = [batch for batch in batches for _ in range(batch.open)]
    chance.shuffle(outcomes)

    for batch in outcomes:
        batch.settle()
        safe = 0
        for candidate in batches:
            if candidate.open:
                break
            safe = candidate.next_offset
        assert safe == progress.moved().get(PLACE, 0)


def test_the_oldest_open_record_is_that_of_the_first_fetch_with_an_open_outcome() -> None:
    """Where every outcome is safe, nothing older than the last fetch can be open."""
    progress = Progress()
    progress.open({PLACE: 10})
    assert progress.oldest_ms(PLACE) is None

    first, second = progress.begin(PLACE, 10, 11, 1, 1_000), progress.begin(PLACE, 11, 12, 1, 2_000)
    assert 1_000 == progress.oldest_ms(PLACE)

    assert first is not None
    first.settle()
    assert 2_000 == progress.oldest_ms(PLACE)
    assert second is not None
    second.settle()
    assert 2_000 == progress.oldest_ms(PLACE)
