"""A scenario document: read without guessing, refused with the field that is wrong."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.domain.billing_record import quote_record
from tierline.domain.refusal import InputRefused
from tierline.domain.scenario import quote_scenario, read_scenario

EXPONENTS = {"USD": 2, "EUR": 2, "JPY": 0}

WORKED: dict[str, Any] = {
    "account": {"time_zone": "UTC", "currency": "USD", "credit_minor": 0, "minimum_due_minor": 0},
    "subscription": {
        "billing_day": 1,
        "period": {"start": "2024-05-01", "end": "2024-06-01"},
        "items": [
            {
                "id": "base",
                "plan": "team",
                "unit_minor": 5000,
                "quantity": 1,
                "interval": "1month",
                "discounts": [{"percent": "25"}],
            }
        ],
        "discounts": [],
        "invoiced": [
            {
                "item": "base",
                "start": "2024-05-01",
                "end": "2024-06-01",
                "quantity": 1,
                "amount_minor": 3750,
                "adjusted_minor": 0,
                "credits": [],
            }
        ],
    },
    "change": {
        "at": "2024-05-12",
        "items": [
            {"id": "base", "plan": "business", "unit_minor": 90_000, "quantity": 1, "interval": "1year"}
        ],
        "discounts": [],
    },
    "mode": "day",
    "cycle": "keep_billing_day",
}
REMOVED = object()


def altered(path: str, value: object) -> dict[str, Any]:
    """The worked scenario with one field set, or removed; ``a.0.b`` walks through lists."""
    document: Any = copy.deepcopy(WORKED)
    *walk, last = path.split(".")
    place = document
    for step in walk:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is REMOVED:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return document  # type: ignore[no-any-return]


def quoted(document: object) -> dict[str, Any]:
    """The record of the scenario's quote."""
    return quote_record(quote_scenario(document, EXPONENTS))


def test_the_worked_scenario() -> None:
    """-2419 (20/31 of 3750) and +87288 (354/365 of 90000), due 84869."""
    record = quoted(WORKED)

    assert [(-2419, 20, 31), (87_288, 354, 365)] == [
        (line["amount_minor"], line["numerator"], line["denominator"]) for line in record["lines"]
    ]
    assert (84_869, 84_869, 0, 0, 0) == (
        record["net_minor"],
        record["due_minor"],
        record["credit_used_minor"],
        record["credit_after_minor"],
        record["carried_minor"],
    )
    assert {"start": "2024-05-01", "end": "2025-05-01"} == record["period"]
    assert {"date": "2025-05-01", "amount_minor": 90_000} == record["next_billing"]
    assert (1, "not_computed", []) == (record["billing_day"], record["tax_basis"], record["zero_lines"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mode", REMOVED),
        ("change.discounts", REMOVED),
        ("subscription.discounts", REMOVED),
        ("account.credit_minor", REMOVED),
        ("account.minimum_due_minor", None),
        ("subscription.invoiced.0.quantity", REMOVED),
        ("subscription.invoiced.0.credits", REMOVED),
        ("subscription.invoiced.0.adjusted_minor", REMOVED),
        ("subscription.invoiced", REMOVED),
        ("subscription.invoiced", None),
        ("subscription.items.0.discounts.0.percent", 25),
        ("subscription.items.0.discounts.0.percent", "25.0"),
        ("subscription.items.0.discounts.0.duration", "forever"),
        ("subscription.items.0.discounts.0.duration", "once"),
        ("subscription.items.0.discounts.0.duration", {"periods": 3}),
        ("subscription.items.0.discounts.0.duration", {"until": "2030-01-01"}),
        ("change.at", "2024-05-12T23:59:59Z"),
        ("change.at", "2024-05-12T10:00+00:00"),
        ("change.items.0.interval", "12month"),
    ],
)
def test_what_may_be_left_out_or_written_otherwise(path: str, value: object) -> None:
    """Defaults and other spellings give the same lines."""
    assert [-2419, 87_288] == [line["amount_minor"] for line in quoted(altered(path, value))["lines"]]


@pytest.mark.parametrize(
    ("field", "path", "value"),
    [
        ("account", "account", REMOVED),
        ("account", "account", []),
        ("account.time_zone", "account.time_zone", "Mars/Olympus"),
        ("account.time_zone", "account.time_zone", 7),
        ("account.currency", "account.currency", "XAU"),
        ("account.currency", "account.currency", REMOVED),
        ("account.credit_minor", "account.credit_minor", -1),
        ("account.credit_minor", "account.credit_minor", "1"),
        ("account.credit_minor", "account.credit_minor", True),
        ("account.minimum_due_minor", "account.minimum_due_minor", "0.5"),
        ("account.carried_minor", "account.carried_minor", 10**15 + 1),
        ("account.credit", "account.credit", 0),
        ("subscription", "subscription", REMOVED),
        ("subscription.billing_day", "subscription.billing_day", 0),
        ("subscription.billing_day", "subscription.billing_day", REMOVED),
        ("subscription.period", "subscription.period", REMOVED),
        ("subscription.period.end", "subscription.period.end", "2024-02-30"),
        ("subscription.period", "subscription.period.end", "2024-04-01"),
        ("subscription.items", "subscription.items", []),
        ("subscription.items", "subscription.items", REMOVED),
        ("subscription.items[0]", "subscription.items.0", 1),
        ("subscription.items[0].unit_minor", "subscription.items.0.unit_minor", -5000),
        ("subscription.items[0].unit_minor", "subscription.items.0.unit_minor", REMOVED),
        ("subscription.items[0].unit_minor", "subscription.items.0.list_minor", 1),
        ("subscription.items[0].quantity", "subscription.items.0.quantity", REMOVED),
        ("subscription.items[0].quantity", "subscription.items.0.quantity", -1),
        ("subscription.items[0].interval", "subscription.items.0.interval", "monthly"),
        ("subscription.items[0].interval", "subscription.items.0.interval", 1),
        ("subscription.items[0].id", "subscription.items.0.id", "  "),
        ("subscription.items[0].id", "subscription.items.0.id", "\ud800"),
        ("subscription.items[0].discounts[0].percent", "subscription.items.0.discounts.0.percent", "1e2"),
        ("subscription.items[0].discounts[0].percent", "subscription.items.0.discounts.0.percent", "-1"),
        ("subscription.items[0].discounts[0].percent", "subscription.items.0.discounts.0.percent", "100.01"),
        ("subscription.items[0].discounts[0].percent", "subscription.items.0.discounts.0.percent", True),
        ("subscription.items[0].discounts[0]", "subscription.items.0.discounts.0", {}),
        ("subscription.items[0].discounts[0].duration", "subscription.items.0.discounts.0.duration", "twice"),
        (
            "subscription.items[0].discounts[0].duration.periods",
            "subscription.items.0.discounts.0.duration",
            {"periods": "2"},
        ),
        ("subscription.items[0].discounts[0].carry_over", "subscription.items.0.discounts.0.carry_over", 1),
        ("subscription.invoiced", "subscription.invoiced", {}),
        ("subscription.invoiced[0].amount_minor", "subscription.invoiced.0.amount_minor", REMOVED),
        ("subscription.invoiced[0].adjusted_minor", "subscription.invoiced.0.adjusted_minor", -1),
        ("subscription.invoiced[0].mode", "subscription.invoiced.0.mode", "days"),
        (
            "subscription.invoiced[0].credits[0]",
            "subscription.invoiced.0.credits",
            [{"start": "2024-04-01", "end": "2024-05-12", "amount_minor": 1}],
        ),
        (
            "subscription.invoiced[0].credits[0].quantity",
            "subscription.invoiced.0.credits",
            [{"start": "2024-05-01", "end": "2024-05-12", "amount_minor": 1, "quantity": 2}],
        ),
        ("subscription.anchor", "subscription.anchor", "2024-05-01"),
        ("change.at", "change.at", "2024-06-01"),
        ("change.at", "change.at", "2024-05-12T10:00:00"),
        ("change.at", "change.at", "2024-05-12 10:00:00Z"),
        ("change.at", "change.at", "20240512"),
        ("change.at", "change.at", "2024-W19-7"),
        ("change.at", "change.at", 1_715_472_000),
        ("change.items", "change.items", REMOVED),
        ("change.when", "change.when", "now"),
        ("mode", "mode", "daily"),
        ("mode", "mode", 1),
        ("cycle", "cycle", "coterm"),
        ("cycle", "cycle", "keep"),
        ("cycle", "cycle", "keep_period"),
        ("modes", "modes", "day"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(field: str, path: str, value: object) -> None:
    """The path names the place in the document."""
    with pytest.raises(InputRefused) as refused:
        quoted(altered(path, value))

    assert field == refused.value.field
    assert refused.value.reason in str(refused.value)


@pytest.mark.parametrize("document", [None, [], "", 1, True])
def test_a_scenario_is_an_object(document: object) -> None:
    """Anything else is refused as a whole."""
    with pytest.raises(InputRefused, match=r"^scenario: "):
        read_scenario(document, EXPONENTS)


def test_the_subscription_of_a_quote_is_the_next_scenario() -> None:
    """Quotes can be chained: what the first one credited is not credited again."""
    first = quoted(WORKED)
    document = altered("subscription", first["subscription"])
    document["change"]["at"] = "2024-05-12"
    document["change"]["items"][0]["plan"] = "enterprise"

    second = quoted(document)

    assert [("credit", -87_288, 1), ("charge", 87_288, None)] == [
        (line["kind"], line["amount_minor"], line["invoiced_index"]) for line in second["lines"]
    ]


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(), st.sampled_from(["2024-05-12", "day", "1month"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)
PATHS = (
    "account",
    "account.time_zone",
    "account.currency",
    "account.credit_minor",
    "subscription",
    "subscription.billing_day",
    "subscription.period.start",
    "subscription.items",
    "subscription.items.0.unit_minor",
    "subscription.items.0.quantity",
    "subscription.items.0.interval",
    "subscription.items.0.discounts",
    "subscription.items.0.discounts.0.percent",
    "subscription.items.0.discounts.0.duration",
    "subscription.invoiced",
    "subscription.invoiced.0.start",
    "subscription.invoiced.0.credits",
    "change.at",
    "change.items",
    "change.items.0.interval",
    "change.discounts",
    "mode",
    "cycle",
)


@given(st.sampled_from(PATHS), json_values)
def test_any_value_anywhere_is_quoted_or_refused(path: str, value: object) -> None:
    """No JSON value crashes the core: InputRefused is the only error, with a field of the document."""
    blamed = path
    try:
        quoted(altered(path, value))
    except InputRefused as refused:
        blamed = refused.field

    assert re.split(r"[.\[]", blamed)[0] in WORKED
