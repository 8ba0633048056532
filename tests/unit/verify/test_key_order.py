"""Orders of one key are decided in their order, and one that overtakes is named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tierline.verify.evidence import DeadLetter, Evidence, Finding, Intent, Place, RawRecord, TopicEvent
from tierline.verify.invariants import settle
from tierline.verify.key_order import keys_keep_their_order

TOPIC = "orders.portal.v1"


def raw(offset: int, partition: int = 0) -> Place:
    return Place(TOPIC, partition, offset)


def decision(position: int, origin: Place, partition: int = 0, **envelope: Any) -> TopicEvent:
    """The first event of a decision about the order at ``origin``."""
    told = {"origin": origin._asdict(), "decision_index": 0, "intent_index": 0, **envelope}
    return TopicEvent(Place("oms.events.v1", partition, position), position, b"", "", b"", told)


def judged(*decided: TopicEvent, keys: Sequence[bytes | None] = (b"a", b"a", b"b"), **more: Any) -> Finding:
    """What is said where records 0, 1, … have these keys."""
    records = [RawRecord(raw(offset), key, b"") for offset, key in enumerate(keys)]
    return keys_keep_their_order(Evidence(raw=records, **more), settle(decided))


def dead_once(place: Place) -> DeadLetter:
    """A dead letter that was replayed later."""
    return DeadLetter(Place("dlq", 0, 0), "one", place, Intent(place, 0), 1, "contract", "BAD", b"a", b"")


def test_an_order_that_overtakes_one_of_its_key_is_named() -> None:
    """The one that came too late, and what was before it."""
    found = judged(decision(0, raw(1)), decision(1, raw(0)))

    assert (2, 1) == (found.checked, found.broken)
    assert f"{raw(0)}: was decided at oms.events.v1[0]@1, behind {raw(1)} of the same key" == found.first


@pytest.mark.parametrize(
    "found",
    [
        judged(decision(0, raw(0)), decision(1, raw(1))),
        judged(decision(0, raw(2)), decision(1, raw(0)), decision(2, raw(1))),
        judged(decision(0, raw(1), intent_index=1), decision(1, raw(1))),
        judged(decision(0, raw(1)), decision(0, raw(0), partition=1)),
        judged(decision(0, raw(1)), decision(1, raw(0), decision_index=1)),
        judged(decision(0, raw(1)), decision(1, Place("oms.commands.v1", 0, 0))),
        judged(decision(0, raw(1)), decision(1, raw(0)), keys=[None, None]),
        judged(decision(0, raw(1)), decision(1, raw(0)), dead_letters=[dead_once(raw(0))]),
    ],
    ids=[
        "in order",
        "another key",
        "intents of one record",
        "another partition of events",
        "a later event of a decision",
        "not about an order",
        "no key",
        "a dead letter that was replayed",
    ],
)
def test_what_may_come_later_breaks_nothing(found: Finding) -> None:
    """Order is promised per key, for records that went the straight way or waited."""
    assert found.holds
