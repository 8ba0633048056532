"""The breaker: when it opens, what it lets die, how it closes again."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadletter.breaker import Breaker, BreakerState, Snapshot
from deadletter.breaker_window import BreakerRules, Cause, DeadRecord

RULES = BreakerRules()
SECOND = 1_000
FAR = 10**9


def bad(key: int, source: str = "a") -> DeadRecord:
    """A record that could not be read, or broke the contract."""
    return DeadRecord(key, source, spread=True)


def bug(key: int = 0, source: str = "a") -> DeadRecord:
    """A record that met a bug of ours."""
    return DeadRecord(key, source, spread=False)


def unknown(key: int = 0, source: str = "a") -> DeadRecord:
    """A record whose account nobody knows."""
    return DeadRecord(key, source, spread=False, heals=True)


class Partition:
    """One partition and its breaker; records are tried at the next offset, as an intake does."""

    def __init__(
        self, rules: BreakerRules = RULES, stored: Snapshot | None = None, version: str = "1"
    ) -> None:
        self.rules = rules
        self.now = 0
        self.buried = 0
        self.breaker = Breaker(rules, app_version=version, now=self.now, stored=stored)
        self.offset = self.breaker.seen_to

    def good(self, count: int = 1, source: str = "a") -> None:
        for _ in range(count):
            self.breaker.good(self.offset, source, self.now)
            self.offset += 1

    def dead(self, record: DeadRecord) -> bool:
        """Try a record that dies; True when it was buried."""
        died = self.breaker.dead(self.offset, record, self.now)
        if died:
            self.buried += 1
            self.offset += 1
        return died

    def bury(self, *records: DeadRecord) -> int:
        """Try records until one stands; how many were buried."""
        for count, record in enumerate(records):
            if not self.dead(record):
                return count
        return len(records)

    def probe(self, record: DeadRecord) -> bool:
        """Wait for the next probe and let it fail."""
        self.now = max(self.now, self.breaker.next_probe_at)
        assert self.breaker.may_try(self.offset, self.now)
        return self.dead(record)

    def opened(self) -> Partition:
        """Open it by bugs in a row."""
        self.bury(*map(bug, range(self.rules.consecutive)))
        assert self.breaker.state is BreakerState.OPEN
        return self

    def waiting(self) -> Partition:
        """Spend every head that may be buried alone."""
        self.opened()
        for _ in range((self.rules.alone + 1) * self.rules.probes):
            self.probe(bug())
        assert self.breaker.state is BreakerState.WAITING
        return self

    def restarted(self, version: str = "1") -> Partition:
        """The same partition in another process."""
        again = Partition(self.rules, self.breaker.snapshot(), version)
        again.now = self.now
        return again


# --- opening ------------------------------------------------------------------------------------------------


def test_the_twentieth_dead_record_in_a_row_stands() -> None:
    """It opens before that one is buried."""
    partition = Partition()
    assert 19 == partition.bury(*map(bug, range(30)))
    assert (BreakerState.OPEN, Cause.CONSECUTIVE) == (partition.breaker.state, partition.breaker.cause)


def test_a_good_record_ends_the_row() -> None:
    """Nineteen, a good one, nineteen: nothing opens."""
    partition = Partition()
    partition.good(400)
    for _ in range(2):
        assert 19 == partition.bury(*map(bug, range(19)))
        partition.good()
    assert BreakerState.CLOSED is partition.breaker.state


def test_a_fifth_of_the_window_is_the_most() -> None:
    """Every fourth record dead: with the fiftieth record seen, a quarter is too much."""
    partition = Partition()
    buried = 0
    for number in range(200):
        if number % 4:
            partition.good()
        elif partition.dead(bug(number)):
            buried += 1
        else:
            break
    assert (Cause.RATIO, 13) == (partition.breaker.cause, buried)


def test_exactly_a_fifth_is_not_too_much() -> None:
    """The share must be larger than the limit."""
    partition = Partition()
    for number in range(1_000):
        partition.good(4)
        assert partition.dead(bug(number))
    assert BreakerState.CLOSED is partition.breaker.state


@pytest.mark.parametrize(("keys", "opens"), [(4, False), (5, True)])
def test_unreadable_records_count_only_across_five_keys(keys: int, opens: bool) -> None:
    """One customer's broken export is that customer's problem."""
    partition = Partition()
    partition.bury(*(bad(number % keys) for number in range(100)))
    assert opens is partition.breaker.is_open


def test_unreadable_records_of_one_source_among_others_do_not_open_it() -> None:
    """Thirty bad ones in a row, of thirty keys, where another source was seen."""
    partition = Partition()
    partition.good(source="b")
    assert 30 == partition.bury(*map(bad, range(30)))
    partition.good(20, source="b")
    assert BreakerState.CLOSED is partition.breaker.state


def test_unreadable_records_of_two_sources_open_it() -> None:
    """What strikes several senders is ours."""
    partition = Partition()
    partition.good(30, source="c")
    assert 19 == partition.bury(*(bad(number, "ab"[number % 2]) for number in range(30)))


def test_the_only_source_that_sends_opens_it() -> None:
    """With one source in the window nothing can be compared."""
    partition = Partition()
    partition.good(30)
    assert 19 == partition.bury(*map(bad, range(30)))


def test_a_source_that_fell_silent_is_forgotten_with_the_window() -> None:
    """At most one window is buried although only one of two sources still sends."""
    partition = Partition()
    partition.good(source="b")
    buried = partition.bury(*map(bad, range(2_000)))
    assert (RULES.window - 1, True) == (buried, partition.breaker.is_open)


def test_bugs_count_whoever_sent_them() -> None:
    """A bug is ours, also when one key of one source meets it."""
    partition = Partition()
    partition.good(30, source="b")
    assert 19 == partition.bury(*[bug()] * 30)


def test_what_one_sender_broke_does_not_end_a_row_of_bugs() -> None:
    """A record that does not count is neither good nor dead."""
    partition = Partition()
    assert 20 == partition.bury(*map(bug, range(10)), bad(1), *map(bug, range(20)))


def test_no_room_for_holds_opens_it() -> None:
    """The record stands, and goes on once there is room."""
    partition = Partition()
    partition.breaker.full(partition.now)
    assert (BreakerState.OPEN, Cause.HOLDS_FULL) == (partition.breaker.state, partition.breaker.cause)
    partition.good()
    assert BreakerState.HALF_OPEN is partition.breaker.state


# --- probing ------------------------------------------------------------------------------------------------


def test_a_head_is_probed_with_longer_and_longer_pauses() -> None:
    """Two, four, eight seconds; before that nothing is tried."""
    partition = Partition().opened()
    pauses = []
    for _ in range(3):
        pauses.append(partition.breaker.next_probe_at - partition.now)
        assert not partition.breaker.may_try(partition.offset, partition.breaker.next_probe_at - 1)
        partition.probe(bug())
    assert [2 * SECOND, 4 * SECOND, 8 * SECOND] == pauses


def test_a_poison_head_is_buried_alone_and_the_next_is_tried_at_once() -> None:
    """Three failed probes, and the good records behind it flow."""
    partition = Partition().opened()
    assert [False, False, True] == [partition.probe(bug()) for _ in range(3)]
    assert partition.breaker.may_try(partition.offset, partition.now)
    partition.good(RULES.half_open)
    assert (BreakerState.CLOSED, 20) == (partition.breaker.state, partition.buried)


def test_after_three_heads_buried_alone_it_waits() -> None:
    """Nineteen, three alone, and then none for ever."""
    partition = Partition().waiting()
    assert 19 + 3 == partition.buried
    assert not partition.breaker.may_try(partition.offset, FAR)


def test_a_head_that_may_heal_is_probed_for_as_long_as_it_takes() -> None:
    """It is never buried alone; the pause stays bounded."""
    partition = Partition().opened()
    assert not any(partition.probe(unknown()) for _ in range(50))
    assert RULES.probe_limit_ms == partition.breaker.next_probe_at - partition.now


def test_on_the_way_back_the_next_dead_record_stands() -> None:
    """Half open, no dead letter is written without three failed probes."""
    partition = Partition().opened()
    partition.good(5)
    assert (False, BreakerState.OPEN) == (partition.dead(bug()), partition.breaker.state)


def test_good_records_in_between_do_not_give_back_the_heads_that_were_buried() -> None:
    """A deploy that breaks every second record does not drain the day one by one."""
    partition = Partition().opened()
    for _ in range(100):
        if partition.breaker.state is BreakerState.WAITING:
            break
        while not partition.probe(bug()) and partition.breaker.state is not BreakerState.WAITING:
            pass
        if partition.breaker.state is not BreakerState.WAITING:
            partition.good()
    assert (BreakerState.WAITING, 19 + 3) == (partition.breaker.state, partition.buried)


def test_a_closed_breaker_counts_anew() -> None:
    """What was dead before it opened weighs no longer."""
    partition = Partition().opened()
    partition.good(RULES.half_open)
    assert 19 == partition.bury(*map(bug, range(30)))


# --- held records -------------------------------------------------------------------------------------------


def test_held_records_whose_time_is_over_open_it_and_stay_held() -> None:
    """While it is open none of them dies."""
    partition = Partition()
    died = [partition.breaker.spent(unknown(n), partition.now) for n in range(50)]
    assert [True] * 19 + [False] * 31 == died


def test_records_flow_while_only_held_ones_are_kept_back() -> None:
    """Good records say nothing about what the held ones wait for; accepted held ones do."""
    partition = Partition()
    for number in range(20):
        partition.breaker.spent(unknown(number), partition.now)
    partition.good(1_000)
    assert BreakerState.OPEN is partition.breaker.state
    for _ in range(RULES.half_open):
        partition.breaker.released("a", partition.now)
    assert BreakerState.CLOSED is partition.breaker.state


# --- what people ask ----------------------------------------------------------------------------------------


def test_close_lets_everything_flow_and_counts_anew() -> None:
    """Another nineteen may die before it opens again."""
    partition = Partition().waiting()
    partition.breaker.close(partition.now)
    assert (BreakerState.CLOSED, 19) == (partition.breaker.state, partition.bury(*map(bug, range(30))))


def test_pass_lets_so_many_die_and_then_probes_on() -> None:
    """Seven pass at once; the eighth is the head, and waits again after its three probes."""
    partition = Partition().waiting()
    partition.breaker.let_pass(7, partition.now)
    assert 7 == partition.bury(*map(bug, range(30)))
    for _ in range(RULES.probes - 1):
        partition.probe(bug())
    assert BreakerState.WAITING is partition.breaker.state


def test_what_is_closed_needs_no_pass() -> None:
    """Passes are not kept for a later opening."""
    partition = Partition()
    partition.breaker.let_pass(100, partition.now)
    partition.opened()
    assert 19 == partition.buried


# --- restarts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [BreakerState.OPEN, BreakerState.WAITING])
def test_the_same_version_stays_as_it_was(state: BreakerState) -> None:
    """A restart changes nothing: state, heads buried alone, probes."""
    partition = Partition().opened() if state is BreakerState.OPEN else Partition().waiting()
    assert partition.breaker.snapshot() == partition.restarted().breaker.snapshot()


def test_another_version_probes_again() -> None:
    """What waited is tried at once, with all its probes and heads."""
    partition = Partition().waiting().restarted("2")
    assert partition.breaker.may_try(partition.offset, partition.now)
    assert [False, False, True] == [partition.probe(bug()) for _ in range(3)]


def test_another_version_begins_with_an_empty_window() -> None:
    """The old version's dead records say nothing about the new one."""
    partition = Partition()
    partition.bury(*map(bug, range(19)))
    assert 19 == partition.restarted("2").bury(*map(bug, range(30)))


def test_a_record_that_is_delivered_again_counts_once() -> None:
    """After a crash the records behind the saved position come again: they died already."""
    partition = Partition()
    partition.bury(*map(bug, range(15)))
    again = partition.restarted()
    assert all(again.breaker.dead(offset, bug(), 0) for offset in range(15))
    assert 4 == again.bury(*map(bug, range(30)))


def test_crashes_do_not_give_back_what_was_counted() -> None:
    """A worker that dies after every record buries no more than one that lives."""
    partition = Partition()
    buried = 0
    for number in range(100):
        if partition.breaker.may_try(partition.offset, partition.now):
            buried += partition.dead(bug(number))
        partition = partition.restarted()
    assert 19 == buried


# --- whatever comes -----------------------------------------------------------------------------------------

SMALL = BreakerRules(window=20, at_least=10, consecutive=6, keys=3, half_open=6)
RECORD = st.one_of(
    st.sampled_from(["a", "b", "c"]),
    st.builds(DeadRecord, st.integers(0, 5), st.sampled_from(["a", "b", "c"]), st.booleans(), st.booleans()),
)


@given(st.lists(RECORD, max_size=300), st.lists(st.booleans(), max_size=20))
def test_what_may_die_keeps_to_the_limits(records: list[str | DeadRecord], restarts: list[bool]) -> None:
    """While closed none dies that is too much; while not closed at most three die alone before it is again.

    Restarts in between change nothing.
    """
    partition = Partition(SMALL)
    queue, again = deque(records), deque(restarts)
    window: deque[str | DeadRecord] = deque(maxlen=SMALL.window)
    alone = 0
    while queue and partition.breaker.state is not BreakerState.WAITING:
        if again and again.popleft():
            partition = partition.restarted()
        record, before = queue[0], partition.breaker.state
        partition.now = max(partition.now, partition.breaker.next_probe_at)
        if isinstance(record, str):
            partition.good(source=record)
        elif not partition.dead(record):
            window.clear()
            if record.heals:
                queue.popleft()
            continue
        queue.popleft()
        if before is BreakerState.CLOSED:
            window.append(record)
            assert isinstance(record, str) or not _too_much(window)
        elif isinstance(record, DeadRecord):
            alone += 1
            assert alone <= SMALL.alone
        if partition.breaker.state is BreakerState.CLOSED and before is not BreakerState.CLOSED:
            window.clear()
            alone = 0


def _too_much(window: deque[str | DeadRecord]) -> bool:
    """The opening conditions, said once more and slowly."""
    rows = list(window)
    run = []
    for entry in reversed(rows):
        if isinstance(entry, str):
            break
        run.append(entry)
    dead = [entry for entry in rows if isinstance(entry, DeadRecord)]
    senders = {entry if isinstance(entry, str) else entry.source for entry in rows}
    share = len(rows) >= SMALL.at_least and _struck(dead, senders) / len(rows) > SMALL.ratio_percent / 100
    return _struck(run, senders) >= SMALL.consecutive or share


def _struck(dead: list[DeadRecord], senders: set[str]) -> int:
    kinds = Counter(entry.spread for entry in dead)
    by_senders = [entry for entry in dead if entry.spread]
    keys = {entry.key for entry in by_senders}
    several = len(senders) < 2 or len({entry.source for entry in by_senders}) >= 2
    return kinds[False] + (kinds[True] if len(keys) >= SMALL.keys and several else 0)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["b", "c", "d"])), max_size=200), st.data())
def test_thirty_bad_records_of_one_source_among_good_ones_never_open_it(
    others: list[tuple[int, str]], data: st.DataObject
) -> None:
    """Wherever they stand among the others, whatever their keys: a good record of another came before."""
    rows: list[tuple[int, str] | None] = [(0, "b"), *others]
    for _ in range(30):
        rows.insert(data.draw(st.integers(1, len(rows))), None)
    partition = Partition()
    for number, row in enumerate(rows):
        if row is None:
            assert partition.dead(bad(number))
        else:
            partition.good(source=row[1])
    assert (30, BreakerState.CLOSED) == (partition.buried, partition.breaker.state)


@given(st.integers(0, 600), st.integers(1, 8), st.integers(1, 100), st.booleans())
def test_a_deploy_that_breaks_everything_buries_a_window_and_three(
    before: int, sources: int, keys: int, spread: bool
) -> None:
    """However healthy the partition was before; bugs always, unreadable records once five keys are struck."""
    partition = Partition()
    for number in range(before):
        partition.good(source=f"s{number % sources}")
    healthy = partition.offset
    for number in range(5_000):
        if partition.breaker.state is BreakerState.WAITING:
            break
        record = DeadRecord(number % max(keys, RULES.keys), f"s{number % sources}", spread)
        while not partition.probe(record) and partition.breaker.state is not BreakerState.WAITING:
            pass
    assert BreakerState.WAITING is partition.breaker.state
    assert partition.buried <= RULES.window + RULES.alone
    assert healthy + partition.buried == partition.breaker.seen_to


def test_the_snapshot_holds_all_of_it() -> None:
    """A breaker that is made of its own snapshot answers the same."""
    partition = Partition(replace(RULES, window=30))
    partition.good(40, "b")
    partition.bury(*map(bug, range(5)))
    again = partition.restarted()
    assert partition.breaker.snapshot() == again.breaker.snapshot()
    assert partition.bury(*map(bug, range(9))) == again.bury(*map(bug, range(9)))
