"""One turn of the decider: commands one after another, each seeing what the earlier ones led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streams.deciding.claim_book import ClaimBook
from streams.deciding.command_reading import Asked, Poison
from streams.deciding.recording import Head, Recorder, chained
from streams.deciding.snapshots import Stream
from streams.deciding.stream_cache import nothing_yet
from streams.deciding.turn import Loaded, Rules, Turn, orders_dead_letter_id
from tests.support.order_records import CODEC, command_record
from tests.support.order_values import (
    ACCOUNT,
    CATALOG,
    NOON,
    POLICY,
    REF,
    SUBSCRIPTION,
    a_result,
    an_opening,
    an_order,
    from_elsewhere,
    order_of,
)
from tierline.domain.commands import Command
from tierline.domain.identity import uuid_of
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.domain.state import account_stream, subscription_stream

PARTITION = command_record(an_order()).partition
OTHER_ACCOUNT = "acc_other"


def a_turn(
    *commands: Command, streams: dict[str, Stream] | None = None, dead: dict[str, Dead] | None = None
) -> Turn:
    """A turn on an empty store that takes ``commands``."""
    names = {account_stream(c.account_id) for c in commands} | {
        subscription_stream(c.subscription_id) for c in commands
    }
    loaded = {name: nothing_yet(name) for name in names} | (streams or {})
    heads = {p: Head(p, 0, bytes(32)) for p in range(4)}
    turn = Turn(
        Rules(CATALOG, POLICY),
        Recorder(CODEC, "1.0"),
        Loaded(loaded, ClaimBook({}, {}), {}, dead or {}),
        heads,
        NOON,
    )
    for offset, command in enumerate(commands):
        turn.take(Asked(command_record(command, offset), command))
    return turn


def types(turn: Turn) -> list[str]:
    return [stored.event.type for stored in turn.events]


def outcomes(turn: Turn) -> list[str]:
    return [new.claim.outcome for new in turn.loaded.claims.new.values()]


def test_an_opening_and_an_order_of_one_batch_are_decided_in_their_order() -> None:
    """The order sees the subscription that the same turn opened."""
    turn = a_turn(an_opening(), an_order())

    assert ["AccountOpened", "SubscriptionOpened", "OrderReceived"] == types(turn)[:3]
    assert ["opened", "completed"] == outcomes(turn)


def test_positions_and_hashes_continue_their_partition() -> None:
    """Positions are contiguous over decisions and streams; each hash covers the one before and the bytes."""
    turn = a_turn(an_opening(), an_order())

    assert list(range(len(turn.events))) == [stored.event.position for stored in turn.events]
    previous = bytes(32)
    for stored in turn.events:
        assert chained(previous, stored.value) == stored.hash
        previous = stored.hash
    assert Head(PARTITION, len(turn.events), previous) == turn.heads[PARTITION]


def test_the_bytes_are_those_of_the_whole_event() -> None:
    """What the events of a decision have in common is encoded once, and is the same in each of them."""
    turn = a_turn(an_opening(), an_order(), from_elsewhere(an_order()))

    assert [CODEC.encode_event(stored.event) for stored in turn.events] == [s.value for s in turn.events]


def test_versions_count_per_stream_from_one() -> None:
    """The account and the subscription count for themselves; the event id follows from both."""
    turn = a_turn(an_opening(), an_order())

    account, *subscription = [(s.event.stream_id, s.event.version, s.event.event_id) for s in turn.events]
    assert (account_stream(ACCOUNT), 1) == account[:2]
    assert [(subscription_stream(SUBSCRIPTION), n + 1) for n in range(len(subscription))] == [
        s[:2] for s in subscription
    ]
    assert uuid_of("event", subscription_stream(SUBSCRIPTION), "2") == subscription[1][2]


def test_the_envelope_names_the_decision_and_what_it_was_decided_by() -> None:
    """Index and count within the decision, rules and release, the command's own facts."""
    turn = a_turn(an_opening(), an_order())
    order = an_order()
    decision = [s.event for s in turn.events if s.event.command_id == order.command_id]

    assert [(n, len(decision)) for n in range(len(decision))] == [
        (e.decision_index, e.decision_count) for e in decision
    ]
    first = decision[0]
    assert (order.origin, order.received_at, order.digest, 1) == (
        first.origin,
        first.received_at,
        first.digest,
        first.attempt,
    )
    assert (NOON, NOON, NOON) == (first.occurred_at, first.recorded_at, first.effective_at)
    assert ("p1", "c1", "1.0", "PlaceOrder") == (
        first.policy_version,
        first.catalog_version,
        first.app_version,
        first.command_type,
    )


def test_two_copies_of_one_record_in_a_batch_are_decided_once() -> None:
    """The same origin again is silent, also when nothing of the first is committed yet."""
    turn = a_turn(an_opening(), an_order(), an_order())

    assert 1 == types(turn).count("OrderReceived")
    assert "DuplicateOrderIgnored" not in types(turn)
    assert 2 == len(turn.loaded.claims.origins)


def test_a_duplicate_in_the_same_batch_gets_the_first_outcome() -> None:
    """The same order from another origin is ignored once, with where the first one stands."""
    turn = a_turn(an_opening(), an_order(), from_elsewhere(an_order()))

    assert "DuplicateOrderIgnored" == types(turn)[-1]
    assert order_of(an_order()) == turn.events[-1].event.order_id
    assert ["opened", "completed"] == outcomes(turn)
    assert [1, 1, 1] == [origin.attempt for origin in turn.loaded.claims.origins]


def test_a_claim_follows_its_order_within_the_turn() -> None:
    """A payment result of the same batch moves the claim before it is written."""
    opening, order = an_opening(payment="gateway"), an_order()
    before = a_turn(opening, order)
    requested = next(s.event.body for s in before.events if s.event.type == "PaymentRequested")
    turn = a_turn(opening, order, a_result(order, "declined", requested.amount_minor))  # type: ignore[union-attr]

    assert "OrderFailed" == types(turn)[-1]
    claims = {new.claim.order_id: new.claim for new in turn.loaded.claims.new.values()}
    assert ("failed", ("PAYMENT_DECLINED",)) == (
        claims[order_of(order)].outcome,
        claims[order_of(order)].reasons,
    )
    assert {} == turn.loaded.claims.moved


def test_a_subscription_of_another_account_is_unknown() -> None:
    """An account does not decide about what it does not own: dead letter, nothing written."""
    turn = a_turn(
        an_opening(), an_opening(account_id=OTHER_ACCOUNT, subscription_id="sub_1", external_refs=())
    )
    events = len(turn.events)
    command = an_order(account_id=OTHER_ACCOUNT)
    turn.take(Asked(command_record(command), command))

    assert ["SUBSCRIPTION_UNKNOWN"] == [poison.dead.code for poison in turn.dead]
    assert events == len(turn.events)
    assert command.command_id not in {new.claim.command_id for new in turn.loaded.claims.new.values()}


def test_a_repeat_under_another_account_is_unknown_too() -> None:
    """Not even "ignored" is written into a stream by somebody who does not own it."""
    opening = an_opening(account_id=OTHER_ACCOUNT, subscription_id="sub_1", external_refs=())
    repeat = replace(from_elsewhere(an_order()), account_id=OTHER_ACCOUNT)
    turn = a_turn(an_opening(), an_order(), opening, repeat)

    assert ["SUBSCRIPTION_UNKNOWN"] == [poison.dead.code for poison in turn.dead]
    assert "DuplicateOrderIgnored" not in types(turn)


def test_an_account_that_was_never_opened_is_unknown() -> None:
    """A command that comes too early or to the wrong place is dead, not rejected."""
    turn = a_turn(an_order())

    assert [(DeadLetterClass.UNKNOWN_ACCOUNT, "ACCOUNT_UNKNOWN")] == [
        (poison.dead.dead_letter_class, poison.dead.code) for poison in turn.dead
    ]


def test_a_reference_taken_in_the_same_turn_is_taken() -> None:
    """Two openings of one batch cannot both have a channel's reference."""
    second = an_opening(account_id=OTHER_ACCOUNT, subscription_id="sub_1", offset=1)
    turn = a_turn(an_opening(), second)

    assert ["opened", "rejected"] == outcomes(turn)
    assert 1 == sum(row.ref == REF.ref for row in turn.refs)


def test_an_opened_subscription_is_known_by_its_own_ids_too() -> None:
    """Tierline's ids stand under '*', beside the channel's own reference."""
    turn = a_turn(an_opening())

    assert [
        ("partner", "main", "subscription", REF.ref),
        ("*", "*", "subscription", SUBSCRIPTION),
        ("*", "*", "account", ACCOUNT),
    ] == [row[:4] for row in turn.refs]


def test_what_was_called_dead_stays_dead() -> None:
    """A copy of a command that already has a verdict is not decided, whatever is known by now."""
    order = an_order()
    dead = Dead(DeadLetterClass.UNKNOWN_ACCOUNT, "ACCOUNT_UNKNOWN", "account_id", "then")
    turn = a_turn(an_opening(), order, dead={orders_dead_letter_id(order): dead})

    assert [dead] == [poison.dead for poison in turn.dead]
    assert "OrderReceived" not in types(turn)


def test_a_copy_behind_the_missing_opening_stays_dead_in_the_same_turn() -> None:
    """One intent ends once: the second delivery is not decided just because it came a little later."""
    turn = a_turn(an_order(), an_opening(), an_order())

    assert ["ACCOUNT_UNKNOWN"] * 2 == [poison.dead.code for poison in turn.dead]
    assert "OrderReceived" not in types(turn)


def test_poison_is_put_aside_and_the_rest_goes_on() -> None:
    """One bad record between two good ones changes nothing for them."""
    turn = a_turn(an_opening())
    dead = Dead(DeadLetterClass.DECODE, "BAD_MAGIC", None, "")
    turn.take(Poison(replace(command_record(an_order()), value=b"{}"), dead))
    turn.take(Asked(command_record(an_order()), an_order()))

    assert [dead] == [poison.dead for poison in turn.dead]
    assert ["opened", "completed"] == outcomes(turn)


def test_only_streams_of_the_own_account_are_owned() -> None:
    """A stream that another account's partition writes must not be kept in memory."""
    foreign = a_turn(an_opening()).touched[subscription_stream(SUBSCRIPTION)]
    opening = an_opening(account_id=OTHER_ACCOUNT, subscription_id="sub_1", external_refs=())
    again = an_opening(account_id=OTHER_ACCOUNT)
    turn = a_turn(opening, again, streams={subscription_stream(SUBSCRIPTION): foreign})

    assert {account_stream(OTHER_ACCOUNT), subscription_stream("sub_1")} == set(turn.partition_of)


def test_every_outcome_is_counted_by_channel() -> None:
    """Decisions, repeats and the dead all leave a count."""
    commands: Sequence[Command] = (
        an_opening(),
        an_order(),
        an_order(),
        from_elsewhere(an_order()),
        an_order(account_id="acc_unknown", subscription_id="sub_unknown"),
    )
    turn = a_turn(*commands)

    assert {
        ("import", "opened"): 1,
        ("portal", "completed"): 1,
        ("portal", "redelivered"): 1,
        ("portal", "duplicate"): 1,
        ("portal", "dead"): 1,
    } == dict(turn.outcomes)
