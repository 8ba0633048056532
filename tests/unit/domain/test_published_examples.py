"""Worked examples that other billing systems publish, with the values that their pages state.

Where a page gives no dates, the dates here have the day counts that it states. Amounts are minor units.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.billing import ACCOUNT, amounts, billing, change, item, quote, row, shares
from tierline.domain.billing import BillingState, Change


@dataclass(frozen=True)
class Published:
    """One published example: who says so, where, and the amounts it states (credits negative)."""

    source: str
    page: str
    state: BillingState
    change: Change
    amounts: list[int]
    net_minor: int


def monthly(
    start: str, end: str, old: int, at: str, new: int, mode: str = "day", billing_day: int = 1
) -> tuple[BillingState, Change]:
    """A plan that was paid in advance, changed within its period."""
    invoiced = (row(start, end, old),)
    state = billing(start, end, item(old, plan="old"), billing_day=billing_day, invoiced=invoiced)
    return state, change(at, item(new, plan="new"), mode=mode)


def longer(
    interval: str, start: str, end: str, old: int, at: str, new: int, cycle: str
) -> tuple[BillingState, Change]:
    """The same for another interval."""
    state = billing(start, end, item(old, interval, plan="old"), invoiced=(row(start, end, old),))
    return state, change(at, item(new, interval, plan="new"), cycle=cycle)


EXAMPLES = [
    Published(
        "Stripe, Prorations: 10 USD to 20 USD halfway through the billing period, -5 USD and +10 USD",
        "docs.stripe.com/billing/subscriptions/prorations",
        *monthly("2024-04-01", "2024-05-01", 1000, "2024-04-16T00:00:00+00:00", 2000, "second"),
        [-500, 1000],
        500,
    ),
    Published(
        "Recurly, Upgrades & Downgrades: $10 to $20 halfway, a $5 credit and a $10 charge, $5 billed",
        "docs.recurly.com/upgrades-downgrades",
        *monthly("2024-04-01", "2024-05-01", 1000, "2024-04-16", 2000),
        [-500, 1000],
        500,
    ),
    Published(
        "Lago, Upgrades behavior, paid in arrears: 14 days of plan A = 45.16, then 17 days of plan B",
        "getlago.com/docs/guide/subscriptions/upgrades-downgrades",
        billing("2024-01-01", "2024-02-01", item(10_000, plan="A"), invoiced=()),
        change("2024-01-15", item(20_000, plan="B")),
        [4516, 10_968],
        15_484,
    ),
    Published(
        "Lago, plan paid in advance: 27.10 for the new plan less 13.55 for the unused 21 days, 13.55",
        "lago-api app/services/credit_notes/create_from_termination.rb, with the figures of its 2023 guide",
        *monthly("2024-05-01", "2024-06-01", 2000, "2024-05-11", 4000),
        [-1355, 2710],
        1355,
    ),
    Published(
        "Zoho Billing, Prorated billing: [$100/31] * 16 = $51.61, [$50/31] * 16 = $25.81, balance $25.80",
        "zoho.com/in/billing/features/prorated-billing",
        *monthly("2024-08-01", "2024-09-01", 5000, "2024-08-16", 10_000),
        [-2581, 5161],
        2580,
    ),
    Published(
        "Zoho Billing help, Proration: April 5th to 15th, credits $200, new invoice $333.33, billed $133.33",
        "zohohelp.com/au/billing/help/settings/subscriptions/proration.html",
        billing(
            "2024-04-05",
            "2024-05-05",
            item(30_000, plan="b"),
            billing_day=5,
            invoiced=(row("2024-04-05", "2024-05-05", 30_000),),
        ),
        change("2024-04-15", item(50_000, plan="p")),
        [-20_000, 33_333],
        13_333,
    ),
    Published(
        "Zoho community, Fair billing: $1 x 15 = $15 credit, $2 x 15 = $30, net payable $15",
        "help.zoho.com/portal/community/topic/fair-billing-prorated-billing",
        *monthly("2024-04-01", "2024-05-01", 3000, "2024-04-16", 6000),
        [-1500, 3000],
        1500,
    ),
    Published(
        "Nadles, Upgrades: $100 * (5/31) = $16.13 credited, $300 * (5/31) = 48.39, due $32.26",
        "docs.nadles.com/subscriptions/upgrades-and-downgrades",
        *monthly("2024-01-01", "2024-02-01", 10_000, "2024-01-27", 30_000),
        [-1613, 4839],
        3226,
    ),
    Published(
        "Nadles, Downgrades: 16.13 - $48.39 = -$32.26",
        "docs.nadles.com/subscriptions/upgrades-and-downgrades",
        *monthly("2024-01-01", "2024-02-01", 30_000, "2024-01-27", 10_000),
        [-4839, 1613],
        -3226,
    ),
    Published(
        "Lokalise: $1920/365 * 265 = $1393.97, the difference of $4800 is $3406.03, anchored this day",
        "docs.lokalise.com/en/articles/2215560",
        *longer("1year", "2023-01-01", "2024-01-01", 192_000, "2023-04-11", 480_000, "restart"),
        [-139_397, 480_000],
        340_603,
    ),
    Published(
        "Flexprice, example 1: day 10 of 30, credit 33.33, charge 66.67, net 33.34",
        "docs.flexprice.io, What is Proration?",
        *monthly("2024-04-01", "2024-05-01", 5000, "2024-04-11", 10_000),
        [-3333, 6667],
        3334,
    ),
    Published(
        "Flexprice, example 2: quarterly, day 45 of 90, credit 150.00, charge 75.00, net -75.00",
        "docs.flexprice.io, What is Proration?",
        *longer("1quarter", "2023-01-01", "2023-04-01", 30_000, "2023-02-15", 15_000, "keep_period"),
        [-15_000, 7500],
        -7500,
    ),
    Published(
        "Flexprice, example 3: yearly, day 100 of 365, credit (265/365) x 600 = 435.62",
        "docs.flexprice.io, What is Proration?",
        *longer("1year", "2023-01-01", "2024-01-01", 60_000, "2023-04-11", 0, "keep_period"),
        [-43_562],
        -43_562,
    ),
    Published(
        "Autumn, Proration: $20 to $50 halfway through the cycle, $15 charged",
        "docs.useautumn.com/documentation/modelling-pricing/proration",
        *monthly("2024-04-01", "2024-05-01", 2000, "2024-04-16", 5000),
        [-1000, 2500],
        1500,
    ),
    Published(
        "Baremetrics: $12 to $24 a week later, $9 unused credit and $18 of usage",
        "changelog.baremetrics.com/api---proration-charge-fixes-ymQbm",
        *monthly("2023-02-01", "2023-03-01", 1200, "2023-02-08", 2400, "second"),
        [-900, 1800],
        900,
    ),
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.source.split(":")[0])
def test_published_example(example: Published) -> None:
    """Our lines come to the amounts that the page states."""
    answer = quote(example.state, example.change, ACCOUNT)

    assert example.amounts == amounts(answer)
    assert example.net_minor == answer.net_minor


ZUORA = [
    # first day, first day after, month that is prorated, actual days, actual / 360, strict 30 / 360
    ("2021-01-27", ("2021-01-01", "2021-02-01"), (5, 31), (5, 30), (4, 30)),
    ("2021-02-27", ("2021-02-01", "2021-03-01"), (2, 28), (2, 30), (4, 30)),
]


@pytest.mark.parametrize(("at", "month", "actual", "actual30", "thirty360"), ZUORA)
def test_zuora_proration_ratios(
    at: str,
    month: tuple[str, str],
    actual: tuple[int, int],
    actual30: tuple[int, int],
    thirty360: tuple[int, int],
) -> None:
    """Zuora, "When prorating a month, assume 30 days in a month or use actual days?": its table of ratios."""
    expected = {"day": actual, "actual30": actual30, "thirty360": thirty360}
    state = billing(*month, item(0), invoiced=())

    found = {
        mode: shares(quote(state, change(at, item(6000, plan="new"), mode=mode)))[0][1:] for mode in expected
    }

    assert expected == found


def test_stripe_invoice_to_the_second() -> None:
    """A Stripe invoice made public as gist matthewarkin/27bcfdf6: "Unused time on monthly widgets", -364."""
    state, asked = monthly(
        "2017-02-14T00:00:00+00:00",
        "2017-03-14T00:00:00+00:00",
        1000,
        "2017-03-03T19:14:48+00:00",
        10_000,
        "second",
        14,
    )

    assert -364 == amounts(quote(state, asked))[0]
