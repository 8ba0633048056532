"""Which customer a dead record is about: its reference, where it can be read, else its key."""

from __future__ import annotations

import json

import pytest

from streams.touched_account import TouchedAccount
from tests.support.channel_examples import PLANS
from tests.support.dead_letters import portal_value
from tierline.kit.records import Record

PARTNER_ORDER = {
    "externalId": "PO-1",
    "productOrderItem": [
        {"id": "1", "action": "modify", "quantity": 3, "product": {"id": f"PROD-{n}"}} for n in range(2)
    ],
}


def touched(topic: str, key: bytes | None, value: bytes | None, index: int = 0) -> str | None:
    return TouchedAccount(PLANS)(Record(topic, 0, 1, 1, key, value), index)


def test_an_order_that_can_be_read_names_its_subscription() -> None:
    """In the sender's own words, whatever the key is; of each intent its own."""
    partner = json.dumps(PARTNER_ORDER).encode()

    assert "sub_1" == touched("orders.portal.v1", b"other", portal_value("sub_1"))
    assert ["PROD-0", "PROD-1"] == [touched("orders.partner.v1", None, partner, n) for n in range(2)]


@pytest.mark.parametrize(
    ("key", "expected"), [(b"acc_1", "acc_1"), (None, None), (b"", None), (b"\xff", None), (b"a\0b", None)]
)
def test_the_key_stands_in_where_the_order_cannot_be_read(key: bytes | None, expected: str | None) -> None:
    """If it is a text that a person can read."""
    assert expected == touched("orders.portal.v1", key, b"{")
    assert expected == touched("oms.commands.v1", key, b"\0\0")


def test_a_reader_that_fails_is_no_second_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bug that killed the record must not stop its dead letter."""

    def broken(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr("streams.touched_account.read_intents", broken)

    assert "acc_1" == touched("orders.portal.v1", b"acc_1", portal_value("sub_1"))
