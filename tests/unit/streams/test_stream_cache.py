"""Streams in memory are bounded and belong to one partition each."""

from streams.deciding.snapshots import EVERY, Stream
from streams.deciding.stream_cache import StreamCache, nothing_yet
from tierline.domain.account import NoAccount
from tierline.domain.subscription import NoSubscription

STREAM = Stream(1, NoAccount())


def test_the_least_recently_used_stream_leaves_first() -> None:
    """A stream that was just asked for stays."""
    cache = StreamCache(kept=2)
    cache.put({"a": STREAM, "b": STREAM}, {"a": 0, "b": 0})
    cache.get("a")
    cache.put({"c": STREAM}, {"c": 0})

    assert [STREAM, None, STREAM] == [cache.get(name) for name in "abc"]


def test_a_stream_without_an_owner_is_not_kept() -> None:
    """What another partition writes would go stale here."""
    cache = StreamCache()
    cache.put({"a": STREAM}, {})

    assert cache.get("a") is None


def test_forgetting_a_partition_leaves_the_others() -> None:
    """A reset drops every stream of the partition and no other."""
    cache = StreamCache()
    cache.put({"a": STREAM, "b": STREAM}, {"a": 0, "b": 1})
    cache.forget([0])

    assert [None, STREAM] == [cache.get(name) for name in "ab"]


def test_a_stream_without_events_has_the_initial_state_of_its_kind() -> None:
    """The id says which."""
    assert Stream(0, NoAccount()) == nothing_yet("account:a")
    assert Stream(0, NoSubscription()) == nothing_yet("subscription:s")


def test_a_snapshot_is_due_after_enough_events() -> None:
    """Counted from the version of the last snapshot."""
    assert not Stream(EVERY + 3, NoAccount(), 4).is_due
    assert Stream(EVERY + 4, NoAccount(), 4).is_due
