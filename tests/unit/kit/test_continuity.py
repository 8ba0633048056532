"""Nothing twice, nothing left out, nothing dropped between two turns."""

from tierline.kit.continuity import Continuity, Taken
from tierline.kit.records import Record


def record(offset: int, partition: int = 0) -> Record:
    return Record("t", partition, offset, 0, None, b"v")


def test_records_of_a_partition_that_is_not_held_are_left_out() -> None:
    """What the client still had in its queue after a revocation is not ours."""
    assert Taken({0: [record(5)]}, ()) == Continuity().take([record(5), record(9, partition=1)], {0: 5})


def test_records_before_the_lease_are_left_out() -> None:
    """A replay of what is already committed does not reach the handler."""
    assert Taken({0: [record(5)]}, ()) == Continuity().take([record(3), record(4), record(5)], {0: 5})


def test_a_hole_is_read_again_before_it_is_believed() -> None:
    """Missing records are looked for once; a hole that is still there belongs to the log."""
    continuity = Continuity()

    assert Taken({}, (0,)) == continuity.take([record(7)], {0: 5})
    assert Taken({0: [record(7)]}, ()) == continuity.take([record(7)], {0: 5})


def test_a_hole_that_was_filled_at_the_second_look_is_forgotten() -> None:
    """Records that a client lost after a seek are processed in their order."""
    continuity = Continuity()
    continuity.take([record(7)], {0: 5})

    assert Taken({0: [record(5), record(6), record(7)]}, ()) == continuity.take(
        [record(5), record(6), record(7)], {0: 5}
    )
    assert Taken({}, (0,)) == continuity.take([record(9)], {0: 8})


def test_what_a_turn_left_comes_first_in_the_next_one() -> None:
    """A handler that stopped at a decision boundary gets the rest together with what follows."""
    continuity = Continuity()
    continuity.keep(0, [record(5), record(6), record(7)], next_offset=6)

    assert Taken({0: [record(6), record(7), record(8)]}, ()) == continuity.take([record(8)], {0: 6})


def test_what_a_turn_left_survives_a_turn_of_repeats() -> None:
    """Kept records are not lost when only records arrive that were read before."""
    continuity = Continuity()
    continuity.keep(0, [record(6), record(7)], next_offset=6)

    assert Taken({}, ()) == continuity.take([record(7)], {0: 6})
    assert Taken({0: [record(6), record(7), record(8)]}, ()) == continuity.take([record(8)], {0: 6})


def test_a_forgotten_partition_keeps_nothing() -> None:
    """After a reset everything comes from the log again."""
    continuity = Continuity()
    continuity.keep(0, [record(6), record(7)], next_offset=6)
    continuity.forget(0)

    assert Taken({0: [record(6)]}, ()) == continuity.take([record(6)], {0: 6})
