"""The command of an intent: its bytes, its identity, its digest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from schemas.codec import encode_by_reference
from streams.normalizing.normalize import Normalizer, command_of
from streams.normalizing.resolve import Resolved
from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import Intent, PlanNames, Reading, content_digest
from tests.support.channel_examples import ARRIVAL_MS, PLANS, examples, reading_of
from tierline.domain.identity import order_command_id
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Record

DEPLOYMENT: dict[str, Any] = {
    "tenant_id": "main",
    "livemode": True,
    "app_version": "0.1.0",
    "decide_within_ms": 8_000,
}
NORMALIZER = Normalizer(77, **DEPLOYMENT, partitions=12)
RESOLVED = Resolved("acc_204", "sub_88")
INTENTS = [
    intent
    for example in examples()
    if isinstance(reading := reading_of(example), Reading)
    for intent in reading.intents
]


def intents_of(channel: str, order: dict[str, Any], offset: int = 7) -> tuple[Intent, ...]:
    """What an order asks for."""
    row = CHANNELS[channel]
    record = Record(row.topic.name, 0, offset, ARRIVAL_MS, None, json.dumps(order).encode())
    reading = read_intents(row, record, PlanNames(PLANS, channel))

    assert isinstance(reading, Reading)
    return reading.intents


def portal(**changed: Any) -> Intent:
    """The intent of a portal order with some fields changed."""
    order = {
        "reference": "r-1",
        "subscription_id": "sub_88",
        "target": {"plan": "business-year", "seats": 15},
    }
    return intents_of("portal", {**order, **changed})[0]


def digest(intent: Intent) -> str:
    """The digest of the intent for one subscription."""
    return content_digest("sub_88", intent)


def test_the_fused_bytes_are_those_of_the_reference() -> None:
    """For every example that asks for something."""
    expected = [encode_by_reference(command_of(i, RESOLVED, **DEPLOYMENT), 77) for i in INTENTS]

    assert expected == [NORMALIZER.command(intent, RESOLVED).value for intent in INTENTS]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)
WHOLE = st.integers(-(2**63), 2**63 - 1)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.sampled_from(list(CHANNELS)),
        "source": TEXTS,
        "reference": TEXTS,
        "plan": st.none() | TEXTS,
        "seats": st.none() | WHOLE,
        "modules": st.lists(TEXTS, max_size=4).map(tuple),
        "effective": TEXTS,
        "payment_method": st.none() | TEXTS,
        "requested_by": st.none() | TEXTS,
        "requested_at": st.none() | WHOLE,
        "unavailable": st.lists(TEXTS, max_size=4).map(tuple),
        "validate_only": st.booleans(),
        "modules_complete": st.booleans(),
        "origin_partition": st.integers(0, 2**31 - 1),
        "origin_offset": st.integers(0, 2**63 - 1),
        "received_at": WHOLE,
        "intent_index": st.integers(0, 499),
        "intent_count": st.integers(1, 500),
        "traceparent": st.none() | TEXTS,
        "due_from": st.none() | st.integers(-(2**62), 2**62),
    },
)


@settings(deadline=None, max_examples=200)
@given(changes=CHANGES, account_id=TEXTS, subscription_id=TEXTS)
def test_the_fused_bytes_are_those_of_the_reference_for_any_intent(
    changes: dict[str, Any], account_id: str, subscription_id: str
) -> None:
    """Also for values at the edges of what Avro can hold."""
    intent = structs.replace(INTENTS[0], **changes)
    intent = structs.replace(intent, origin_topic=CHANNELS[intent.channel].topic.name)
    resolved = Resolved(account_id, subscription_id)
    expected = encode_by_reference(command_of(intent, resolved, **DEPLOYMENT), 77)

    assert expected == NORMALIZER.command(intent, resolved).value


def test_a_command_is_addressed_to_the_partition_of_its_account() -> None:
    """Key, partition, identity and type header come with the bytes."""
    framed = NORMALIZER.command(portal(), RESOLVED)
    command_id = order_command_id("portal", "main", "r-1", "sub_88", "order")

    assert ("acc_204", b"acc_204", command_id) == (framed.account_id, framed.key, framed.command_id)
    assert partition_of("acc_204", 12) == framed.partition
    assert b"PlaceOrder" == framed.type


@pytest.mark.parametrize(
    "changed",
    [
        {"requested_by": "usr_7"},
        {"requested_at": "2026-11-23T10:02:11Z"},
        {"effective": "now"},
        {"effective": "1999-12-31"},
        {"target": {"seats": 15, "plan": "BUSINESS-YEAR"}},
        {"target": {"seats": 15, "plan": "gold", "modules": None}},
        {"unknown": {"a": 1}},
        {"account_id": "acc_204"},
    ],
)
def test_the_same_content_has_the_same_digest(changed: dict[str, Any]) -> None:
    """Who asked, when, in which spelling and order, and what is not read does not count."""
    assert digest(portal()) == digest(portal(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"target": {"plan": "business-year", "seats": 16}},
        {"target": {"plan": "business-year"}},
        {"target": {"plan": "business-month", "seats": 15}},
        {"target": {"plan": "business-year", "seats": 15, "modules": ["sso-pack"]}},
        {"target": {"plan": "business-year", "seats": 15, "modules": []}},
        {"payment_method": "pm_1"},
        {"effective": "next_cycle"},
        {"effective": "2099-01-01"},
        {"quote": "q"},
    ],
)
def test_other_content_has_another_digest(changed: dict[str, Any]) -> None:
    """Every field that changes what happens counts."""
    assert digest(portal()) != digest(portal(**changed))


def test_all_modules_afterwards_are_another_content_than_those_that_join() -> None:
    """The same names mean another set."""
    complete = portal(target={"modules": ["sso-pack"]})

    assert digest(complete) != digest(structs.replace(complete, modules_complete=False))


def test_the_digest_names_the_subscription() -> None:
    """The same ask of another subscription is another content."""
    assert content_digest("sub_88", portal()) != content_digest("sub_89", portal())


def test_the_parts_of_a_digest_cannot_run_into_each_other() -> None:
    """Two fields that share their characters differently differ."""
    first = portal(target={"plan": "a", "modules": ["b"]})
    second = portal(target={"plan": "a", "modules": []}, payment_method="b")

    assert digest(first) != digest(second)


def test_asking_only_is_another_command_with_the_same_content() -> None:
    """A check before the order does not use up the order's reference."""
    order, check = portal(), portal(validate_only=True)

    assert digest(order) == digest(check)
    assert NORMALIZER.command(order, RESOLVED).command_id != NORMALIZER.command(check, RESOLVED).command_id


def test_intents_of_one_record_share_their_correlation() -> None:
    """One partner order over two subscriptions is one story; another record is another."""
    item = {"id": "1", "action": "modify", "quantity": 15}
    order = {"externalId": "PO-1", "productOrderItem": [{**item, "product": {"id": p}} for p in ("A", "B")]}
    first, second = intents_of("partner", order)
    again = intents_of("partner", order, offset=8)[0]
    correlation = [command_of(i, RESOLVED, **DEPLOYMENT).correlation_id for i in (first, second, again)]

    assert correlation[0] == correlation[1] != correlation[2]
    assert [(0, 2), (1, 2)] == [(intent.intent_index, intent.intent_count) for intent in (first, second)]


def test_an_order_without_a_reference_is_known_by_its_content() -> None:
    """The order of keys and items, unread fields and offsets of time do not change it; quantities do."""
    one = {"id": "1", "action": "modify", "quantity": 15, "product": {"id": "A"}}
    two = {"id": "2", "action": "modify", "quantity": 3, "product": {"id": "B"}}
    start = {"requestedStartDate": "2026-11-23T00:00:00Z"}
    same_start = {"requestedStartDate": "2026-11-23T01:00:00+01:00"}
    reference = intents_of("partner", {"productOrderItem": [one, two], **start})[0].reference

    assert (
        reference
        == intents_of("partner", {**same_start, "productOrderItem": [two, {**one, "id": "9"}]})[0].reference
    )
    assert (
        reference
        != intents_of("partner", {**start, "productOrderItem": [two, {**one, "quantity": 16}]})[0].reference
    )
