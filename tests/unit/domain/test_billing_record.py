"""Billing values as plain JSON, and back without a loss."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tests.support.billing import moment, percent
from tests.support.scenarios import Situation, situations
from tierline.domain.billing_record import (
    billing_from_record,
    billing_record,
    discount_record,
    moment_text,
    quote_record,
)
from tierline.domain.discounts import Discount
from tierline.domain.fields import moment_from
from tierline.domain.proration import quote_change


@given(situations())
def test_a_billing_state_survives_json(situation: Situation) -> None:
    """Written, encoded, decoded and read it is the same value, before and after a change."""
    after = quote_change(situation.account, situation.billing, situation.change).after

    for state in (situation.billing, after):
        assert state == billing_from_record(json.loads(json.dumps(billing_record(state))))


@given(situations())
def test_a_quote_is_plain_json(situation: Situation) -> None:
    """No value needs an encoder of its own."""
    record = quote_record(quote_change(situation.account, situation.billing, situation.change))

    assert record == json.loads(json.dumps(record))


@given(st.integers(0, 100 * 10**9))
def test_percentages_survive_as_decimals(billionths: int) -> None:
    """Up to nine decimals, exactly."""
    whole, rest = divmod(billionths, 10**9)
    discount = percent(f"{whole}.{rest:09}")

    text = discount_record(discount)["percent"]

    assert discount == percent(str(text))
    assert "." not in str(text) or not str(text).endswith("0")


def test_only_what_is_set_is_written() -> None:
    """A plain percentage is just that; a full discount says all."""
    full = Discount(None, 500, 2, moment("2024-12-31"), carry_over=True, id="loyal")

    assert {"percent": "12.5"} == discount_record(percent("12.5"))
    assert {
        "id": "loyal",
        "amount_minor": 500,
        "duration": {"periods": 2, "until": "2024-12-31"},
        "carry_over": True,
    } == discount_record(full)


def test_instants_are_written_in_a_zone_and_read_back_as_the_same_instant() -> None:
    """UTC for storage, the account's zone for people."""
    instant = moment("2024-05-12T10:30:00+02:00")

    assert "2024-05-12T08:30:00+00:00" == moment_text(instant)
    assert "2024-05-12T10:30:00+02:00" == moment_text(instant, ZoneInfo("Europe/Berlin"))
    assert instant == moment_from(moment_text(instant, ZoneInfo("Asia/Kolkata")))
