"""The next period: where it lies, what is invoiced for it, and what stays of the one before."""

from __future__ import annotations

from dataclasses import replace

from tests.support.billing import ACCOUNT, billing, change, item, moment, percent, period, quote, row
from tierline.domain.modes import Mode
from tierline.domain.renewal import roll_period


def test_a_period_rolls_to_the_billing_day_and_is_invoiced_in_advance() -> None:
    """31 January to 29 February to 31 March; one row per item at the discounted price and the plan's mode."""
    items = (item(1001, discounts=(percent("50"),)), item(500, item_id="extra"))
    state = replace(
        billing(
            "2024-01-31",
            "2024-02-29",
            *items,
            billing_day=31,
            invoiced=(row("2024-01-31", "2024-02-29", 501),),
        ),
        mode=Mode.DAY,
    )

    rolled = roll_period(ACCOUNT, state)

    assert period("2024-02-29", "2024-03-31") == rolled.period == rolled.after.period
    assert (
        row("2024-02-29", "2024-03-31", 501, mode=Mode.DAY),
        row("2024-02-29", "2024-03-31", 500, item_id="extra", mode=Mode.DAY),
    ) == rolled.rows
    assert rolled.rows == rolled.after.invoiced


def test_rows_that_still_run_stay_and_others_go() -> None:
    """A state does not grow with its history."""
    ahead = row("2024-06-01", "2024-07-01", 10, item_id="ahead")
    state = billing(
        "2024-05-01", "2024-06-01", item(3100), invoiced=(row("2024-05-01", "2024-06-01", 3100), ahead)
    )

    assert ahead == (roll_period(ACCOUNT, state).after.invoiced or ())[0]
    assert 2 == len(roll_period(ACCOUNT, state).after.invoiced or ())


def test_a_discount_for_one_period_is_gone_after_it() -> None:
    """The row has the full price, and the state no longer lists the discount."""
    once = percent("50", periods=1)
    state = billing(
        "2024-05-01", "2024-06-01", item(1000, discounts=(once,)), invoiced=None, discounts=(once,)
    )

    rolled = roll_period(ACCOUNT, state)

    assert 1000 == rolled.rows[0].amount_minor
    assert ((), ()) == (rolled.after.discounts, rolled.after.items[0].discounts)


def test_a_subscription_billed_elsewhere_stays_unbilled() -> None:
    """The empty list goes on meaning unbilled."""
    rolled = roll_period(ACCOUNT, billing("2024-05-01", "2024-06-01", item(1000), invoiced=()))

    assert ((), ()) == (rolled.rows, rolled.after.invoiced)


def test_a_period_from_an_instant_rolls_at_its_time_of_day() -> None:
    """The anchor of a restart in seconds is kept."""
    state = billing("2024-05-01", "2024-06-01", item(3100), invoiced=())
    after = quote(
        state, change("2024-05-31T10:30:00+00:00", item(1000, plan="b"), mode="second", cycle="restart")
    ).after

    rolled = roll_period(ACCOUNT, roll_period(ACCOUNT, after).after)

    assert period("2024-07-31T10:30:00+00:00", "2024-08-31T10:30:00+00:00") == rolled.period
    assert moment("2024-05-31T10:30:00+00:00") == rolled.after.anchor
