"""The import file: a good line becomes one command, a bad one is refused with its number and field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.subscription_import import LineRefused, opening_command, read_line
from tierline.domain.commands import Command, Contract, ExternalRef, InvoicedRow, OpenSubscription

LINE: dict[str, Any] = {
    "account_id": "acc_204",
    "segment": "mid",
    "country": "DE",
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "standing": "good",
    "payment": "gateway",
    "external_refs": [{"channel": "partner", "source": "main", "ref": "PROD-991"}],
    "subscription_id": "sub_88",
    "plan": "team-month",
    "seats": 12,
    "modules": [],
    "opened_at": "2025-11-01T00:00:00Z",
    "billing_day": 1,
    "period": {"start": "2026-11-01", "end": "2026-12-01"},
    "contract": {
        "start": "2025-11-01",
        "end": "2027-10-31",
        "minimum_term_months": 12,
        "minimum_spend_minor": 0,
    },
    "invoiced": [
        {
            "item": "base",
            "start": "2026-11-01",
            "end": "2026-12-01",
            "quantity": 12,
            "amount_minor": 34800,
            "adjusted_minor": 0,
        }
    ],
}


def the_command(line: dict[str, Any] = LINE, number: int = 3, at: int = 1_000) -> Command:
    read = read_line(number, json.dumps(line).encode())
    return opening_command(read, number, "subs.ndjson@1000", at, "0.1.0", "main")


def test_the_example_of_the_contract_becomes_one_command() -> None:
    """Every field of the documented line arrives in the command."""
    body = the_command().body

    assert isinstance(body, OpenSubscription)
    assert ("team-month", 12, 1) == (body.plan, body.seats, body.billing_day)
    assert 1_761_955_200_000 == body.opened_at
    assert Contract("2025-11-01", "2027-10-31", 12, 0) == body.contract
    assert (InvoicedRow("base", "2026-11-01", "2026-12-01", 12, 34800, 0),) == body.invoiced
    assert (ExternalRef("partner", "main", "PROD-991"),) == body.external_refs


def test_the_same_line_in_another_file_is_the_same_ask() -> None:
    """Identity and digest come from the content, the origin from the run."""
    first, second = the_command(number=3, at=1_000), the_command(number=9, at=2_000)

    assert (first.command_id, first.digest) == (second.command_id, second.digest)
    assert first.origin != second.origin


@pytest.mark.parametrize("change", [{"seats": 13}, {"account_id": "acc_205"}, {"external_refs": []}])
def test_other_content_has_another_digest(change: dict[str, Any]) -> None:
    """A changed line is recognised as different under the same subscription."""
    assert the_command().digest != the_command({**LINE, **change}).digest


def test_unknown_fields_are_tolerated() -> None:
    """A newer exporter may add fields; the digest does not change for them."""
    assert the_command().digest == the_command({**LINE, "crm_owner": "x"}).digest


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seats": 0}, "$.seats"),
        ({"seats": 1.5}, "$.seats"),
        ({"seats": 10**9}, "$.seats"),
        ({"currency": "eur"}, "$.currency"),
        ({"country": "Germany"}, "$.country"),
        ({"account_id": ""}, "$.account_id"),
        ({"account_id": "a\u001fb"}, "$.account_id"),
        ({"standing": "fine"}, "$.standing"),
        ({"payment": "cash"}, "$.payment"),
        ({"billing_day": 32}, "$.billing_day"),
        ({"period": {"start": "2026-11-01"}}, "end"),
        ({"opened_at": "2025-11-01T00:00:00"}, "opened_at"),
        ({"opened_at": "yesterday"}, "$.opened_at"),
        ({"invoiced": [{"item": "base"}]}, "$.invoiced[0]"),
    ],
)
def test_a_bad_field_is_named(change: dict[str, Any], field: str) -> None:
    """The refusal carries the number of the line and the field."""
    with pytest.raises(LineRefused) as refused:
        the_command({**LINE, **change})

    assert "line 3" in str(refused.value)
    assert field in str(refused.value)


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    """Garbage is refused like any bad line, never a crash."""
    with pytest.raises(LineRefused, match="line 1"):
        read_line(1, line)
