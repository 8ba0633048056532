"""Parked records keep the order of their key, have their own deadlines, and are bounded."""

from __future__ import annotations

from streams.normalizing.parking import Parked, Parking


def a_parking(*parked: tuple[str, str, int]) -> Parking[str]:
    """Records as (key, item, deadline), 10 bytes each; at most 4 records or 100 bytes."""
    parking: Parking[str] = Parking(most_records=4, most_bytes=100)
    for key, item, deadline in parked:
        parking.park(key, Parked(item, 10, deadline))
    return parking


def shown(parking: Parking[str], leaving: set[str]) -> list[str]:
    """What was shown, in order, when the items in ``leaving`` leave."""
    seen: list[str] = []

    def leaves(parked: Parked[str]) -> bool:
        seen.append(parked.item)
        return parked.item in leaving

    parking.look_again(leaves)
    return seen


def test_records_of_a_key_leave_in_order_and_the_first_that_stays_holds_the_rest() -> None:
    """A follower that could go waits for its head."""
    parking = a_parking(("a", "a1", 0), ("a", "a2", 0), ("a", "a3", 0))

    assert ["a1", "a2"] == shown(parking, {"a1", "a3"})
    assert ["a2", "a3"] == list(parking.items())
    assert ["a2", "a3"] == shown(parking, {"a2", "a3"})
    assert (0, False) == (len(parking), "a" in parking)


def test_keys_do_not_wait_for_each_other() -> None:
    """One account that nobody knows delays no other."""
    parking = a_parking(("a", "a1", 0), ("b", "b1", 0))

    assert ["a1", "b1"] == shown(parking, {"b1"})
    assert (True, False) == ("a" in parking, "b" in parking)


def test_the_next_deadline_is_that_of_the_first_in_line() -> None:
    """A follower's deadline matters when its head has left."""
    parking = a_parking(("a", "a1", 50), ("a", "a2", 20), ("b", "b1", 60))

    assert 50 == parking.next_deadline_ms()
    shown(parking, {"a1"})
    assert 20 == parking.next_deadline_ms()
    assert Parking[str](most_records=1, most_bytes=1).next_deadline_ms() is None


def test_it_is_full_by_count_or_by_bytes_and_has_room_again_when_some_left() -> None:
    """Memory is bounded; whoever reads stops while it is full."""
    by_count = a_parking(*(("a", f"a{i}", 0) for i in range(4)))
    by_bytes: Parking[str] = Parking(most_records=4, most_bytes=100)
    by_bytes.park("a", Parked("large", 100, 0))

    assert (True, True) == (by_count.full, by_bytes.full)
    shown(by_count, {"a0"})
    shown(by_bytes, {"large"})
    assert (False, False) == (by_count.full, by_bytes.full)


def test_dropping_takes_out_what_was_given_up_and_nothing_else() -> None:
    """Partitions that went take their records with them."""
    parking = a_parking(("a", "gone1", 5), ("a", "a2", 7), ("b", "gone2", 5))
    parking.drop(lambda item: item.startswith("gone"))

    assert (["a2"], 1, 7) == (list(parking.items()), len(parking), parking.next_deadline_ms())
