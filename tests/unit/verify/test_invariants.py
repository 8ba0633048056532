"""Each invariant holds on a clean log and names the first offender on a damaged one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tierline.verify import invariants
from tierline.verify.evidence import (
    DeadLetter,
    Evidence,
    Intent,
    Place,
    RawRecord,
    StoredEvent,
    TopicEvent,
)

COMPLETED = ("OrderReceived", "OrderValidated", "QuoteIssued", "TierChanged", "OrderCompleted")


def an_event(
    position: int,
    previous: bytes,
    *,
    order: int,
    kind: str,
    index: int,
    count: int,
) -> TopicEvent:
    envelope: dict[str, Any] = {
        "position": position,
        "partition": 0,
        "type": kind,
        "stream_id": "subscription:sub_1",
        "version": position + 1,
        "decision_index": index,
        "decision_count": count,
        "origin": {"topic": "orders.portal.v1", "partition": 0, "offset": order},
        "intent_index": 0,
        "intent_count": 1,
        "order_id": f"order-{order}",
    }
    value = f"{order} {kind}".encode()
    return TopicEvent(
        place=Place("oms.events.v1", 0, position),
        position=position,
        hash_header=hashlib.sha256(previous + value).digest(),
        type_header=kind,
        value=value,
        envelope=envelope,
    )


def a_clean_log(orders: int = 3) -> list[TopicEvent]:
    log: list[TopicEvent] = []
    previous = invariants.GENESIS
    for order in range(orders):
        for index, kind in enumerate(COMPLETED):
            event = an_event(len(log), previous, order=order, kind=kind, index=index, count=len(COMPLETED))
            log.append(event)
            previous = event.hash_header
    return log


def evidence_of(log: list[TopicEvent]) -> Evidence:
    return Evidence(
        raw=[RawRecord(Place("orders.portal.v1", 0, n), b"key", b"value") for n in range(3)],
        topic=log,
        store=[
            StoredEvent(0, e.position, e.envelope["stream_id"], e.envelope["version"], e.hash_header, e.value)
            for e in a_clean_log()
        ],
    )


def a_dead_letter(offset: int, **changes: Any) -> DeadLetter:
    letter = DeadLetter(
        place=Place("orders.portal.v1.tierline-normalizer.dlq", 0, 0),
        id=f"letter-{offset}",
        source=Place("orders.portal.v1", 0, offset),
        intent=Intent(Place("orders.portal.v1", 0, offset), 0),
        intent_count=1,
        dead_letter_class="decode",
        code="MALFORMED_JSON",
        key=b"key",
        value=b"value",
    )
    return dataclasses.replace(letter, **changes)


def renumbered(log: list[TopicEvent]) -> list[TopicEvent]:
    return [dataclasses.replace(e, place=Place("oms.events.v1", 0, offset)) for offset, e in enumerate(log)]


def broken_in(evidence: Evidence) -> dict[str, str | None]:
    return {found.invariant: found.first for found in invariants.judge(evidence) if not found.holds}


def test_a_clean_log_breaks_nothing() -> None:
    """Every invariant holds where nothing was damaged, and each has looked at something."""
    found = invariants.judge(evidence_of(a_clean_log()))

    assert [f for f in found if not f.holds] == []
    assert next(f.checked for f in found if f.invariant == "the hash chain holds") == 15


def test_an_honest_repeat_is_dropped() -> None:
    """The same position with the same bytes is what publishing again after a crash looks like."""
    log = a_clean_log()

    assert broken_in(evidence_of(renumbered([*log[:7], *log[4:]]))) == {}


def dropped(log: list[TopicEvent]) -> list[TopicEvent]:
    return [*log[:6], *log[7:]]


def repeated_with_other_bytes(log: list[TopicEvent]) -> list[TopicEvent]:
    return [*log, dataclasses.replace(log[3], value=b"other", place=Place("oms.events.v1", 0, len(log)))]


def swapped(log: list[TopicEvent]) -> list[TopicEvent]:
    return renumbered([*log[:6], log[7], log[6], *log[8:]])


def edited(log: list[TopicEvent]) -> list[TopicEvent]:
    return [*log[:6], dataclasses.replace(log[6], value=b"edited"), *log[7:]]


def rehashed(log: list[TopicEvent]) -> list[TopicEvent]:
    damaged = edited(log)
    previous = invariants.GENESIS
    whole = []
    for event in damaged:
        previous = hashlib.sha256(previous + event.value).digest()
        whole.append(dataclasses.replace(event, hash_header=previous))
    return whole


@pytest.mark.parametrize(
    ("damage", "invariant", "offender"),
    [
        (dropped, "positions are contiguous", "position 7 where 6 is due"),
        (
            repeated_with_other_bytes,
            "a position is only ever repeated with the same bytes",
            "position 3 again with other bytes",
        ),
        (swapped, "positions are contiguous", "position 7 where 6 is due"),
        (edited, "the hash chain holds", "position 6 does not continue"),
        (rehashed, "store and topic are equal byte for byte", "oms.event (0, 6) differs"),
    ],
)
def test_damage_to_the_log_is_found_and_named(
    damage: Callable[[list[TopicEvent]], list[TopicEvent]], invariant: str, offender: str
) -> None:
    """A dropped, altered, swapped, edited or re-hashed event breaks its invariant and is named."""
    broken = broken_in(evidence_of(damage(a_clean_log())))

    assert offender in str(broken.get(invariant))


def test_a_record_without_outcome_is_lost() -> None:
    """A raw record that neither a decision nor a dead letter mentions is named as lost."""
    evidence = evidence_of(a_clean_log())
    evidence.raw = [*evidence.raw, RawRecord(Place("orders.portal.v1", 0, 3), None, b"?")]

    assert broken_in(evidence).get(invariants.HAS_OUTCOME) == "orders.portal.v1[0]@3: lost, it has no outcome"


def test_a_lost_second_intent_is_found() -> None:
    """A record that says it carries two intents needs two outcomes."""
    log = a_clean_log()
    for event in log[:5]:
        event.envelope["intent_count"] = 2  # type: ignore[index]

    assert "intent 1 is lost" in str(broken_in(evidence_of(log))[invariants.HAS_OUTCOME])


def test_an_intent_that_is_decided_and_dead_has_two_outcomes() -> None:
    """A dead letter for an intent that was also decided is one outcome too many."""
    evidence = evidence_of(a_clean_log())
    evidence.dead_letters = [a_dead_letter(1)]

    assert "ended more than once" in str(broken_in(evidence)[invariants.HAS_NO_SECOND])


def test_the_same_dead_letter_twice_is_one_outcome() -> None:
    """A dead letter written again after a crash has the same id and counts once."""
    evidence = evidence_of(a_clean_log())
    evidence.raw = [*evidence.raw, RawRecord(Place("orders.portal.v1", 0, 3), b"key", b"value")]
    evidence.dead_letters = [a_dead_letter(3), a_dead_letter(3)]

    assert broken_in(evidence) == {}


def test_an_outcome_without_a_record_is_named() -> None:
    """An outcome for a record that nobody published is as wrong as a lost one."""
    evidence = evidence_of(a_clean_log())
    evidence.raw = evidence.raw[:2]

    assert "no such record was published" in str(broken_in(evidence)[invariants.HAS_NO_SECOND])


def test_an_effect_that_happens_twice_is_found() -> None:
    """Two TierChanged of one order are found."""
    log = a_clean_log()
    for event in log[5:10]:
        event.envelope["order_id"] = "order-0"  # type: ignore[index]

    assert "order order-0: OrderReceived again" in str(broken_in(evidence_of(log))["no effect happens twice"])


def test_a_payment_captured_twice_is_found() -> None:
    """The gateway's own books decide how often money was taken."""
    evidence = evidence_of(a_clean_log())
    evidence.captures = {"payment-1": 2}

    assert (
        broken_in(evidence).get("no effect happens twice")
        == "payment payment-1: captured 2 times at the gateway"
    )


def test_a_jump_in_a_stream_is_found() -> None:
    """Versions of a stream are contiguous even where positions are."""
    log = a_clean_log()
    log[8].envelope["version"] = 12  # type: ignore[index]

    assert "is at version 9, the event says 12" in str(
        broken_in(evidence_of(log))["versions of each stream are contiguous"]
    )


def test_a_cut_decision_is_found() -> None:
    """A log that ends within a decision is not whole."""
    evidence = evidence_of(a_clean_log()[:-1])

    assert "the last decision is cut off" in str(broken_in(evidence)["decisions are whole"])


@pytest.mark.parametrize(("limit", "broken"), [(1_000, 0), (999, 1), (None, 0)])
@pytest.mark.parametrize(
    ("kind", "reason", "is_a_no"),
    [
        ("OrderRejected", "BELOW_TIER_MINIMUM", True),
        ("OrderFailed", "PAYMENT_DECLINED", True),
        ("OrderFailed", "SUBSCRIPTION_ENDED", False),
        ("OrderHeld", "MARKETPLACE_ALREADY_ACCEPTED", False),
    ],
)
def test_a_no_after_the_limit_is_found(
    limit: int | None, broken: int, kind: str, reason: str, *, is_a_no: bool
) -> None:
    """A channel that takes silence for a yes was told no too late. That it ended everything is its own no."""
    received = an_event(0, invariants.GENESIS, order=1, kind="OrderReceived", index=0, count=2)
    rejected = an_event(1, invariants.GENESIS, order=1, kind=kind, index=1, count=2)
    told = {"occurred_at": 1_000, "decide_by": limit, "reason_code": reason}
    dated = [
        dataclasses.replace(event, envelope={**event.envelope, **told}) for event in (received, rejected)
    ]

    assert broken * is_a_no == invariants.silence_is_never_followed_by_a_no({0: dated}).broken


@pytest.mark.parametrize(("released", "broken"), [(True, 0), (False, 1)])
def test_a_released_order_may_be_priced_again(*, released: bool, broken: int) -> None:
    """Once for each release; without one it is an effect that happens twice."""
    kinds = ["QuoteIssued", "OrderReleased" if released else "OrderHeld", "QuoteIssued"]
    log = [
        an_event(n, invariants.GENESIS, order=1, kind=kind, index=n, count=3) for n, kind in enumerate(kinds)
    ]

    assert broken == invariants.no_effect_happens_twice(evidence_of(log), {0: log}).broken
