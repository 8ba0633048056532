"""Opening a subscription and, with the first one, its account."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.given_when_then import Given, reason_codes
from tests.support.order_values import CONTRACT, REF, ROW, an_opening, from_elsewhere, ms
from tierline.domain.commands import ExternalRef, InvoicedCredit
from tierline.domain.events import AccountOpened, SubscriptionOpened, SubscriptionOpeningRejected


def test_first_subscription_opens_its_account() -> None:
    """AccountOpened stands in the account's stream, before the subscription."""
    decided = Given().when(an_opening())
    decided.then(AccountOpened("Europe/Berlin", "EUR", "DE", "mid", "good", "invoice"), SubscriptionOpened)
    assert ["account", "subscription"] == [event.stream for event in decided.events]


def test_subscription_opens_with_what_the_catalog_says_of_its_plan() -> None:
    """Tier, features, limits and the item come from the catalog, all else from the line."""
    opened = Given().when(an_opening()).the(SubscriptionOpened)
    assert ("team", "team-month", 12, ("boards", "guests")) == (
        opened.tier,
        opened.plan,
        opened.seats,
        opened.features,
    )
    (item,) = opened.items
    assert ("base", "team-month", "1month", 12, 34_800, "day") == (
        item.id,
        item.plan,
        item.interval,
        item.quantity,
        item.list_minor,
        item.mode,
    )


def test_subscription_counts_from_the_day_it_was_opened() -> None:
    """The event is effective from ``opened_at``, not from the import."""
    opened = Given().when(an_opening()).event(SubscriptionOpened)
    assert ms("2025-11-01T00:00:00") == opened.effective_at


def test_invoiced_row_without_plan_was_invoiced_for_the_plan_that_is_opened() -> None:
    """Its credit will be counted in that plan's mode."""
    opened = Given().when(an_opening()).the(SubscriptionOpened)
    assert (replace(ROW, plan="team-month", mode="day"),) == opened.invoiced


def test_unknown_invoiced_rows_stay_unknown() -> None:
    """No rows given is not the same as nothing invoiced."""
    assert None is Given().when(an_opening(invoiced=None)).the(SubscriptionOpened).invoiced
    assert () == Given().when(an_opening(invoiced=())).the(SubscriptionOpened).invoiced


def test_second_subscription_joins_its_account() -> None:
    """With the same terms only the subscription is opened."""
    second = an_opening(subscription_id="sub_89", external_refs=())
    Given(an_opening()).when(second).then(SubscriptionOpened)


@pytest.mark.parametrize(
    ("term", "value"),
    [
        ("time_zone", "Europe/Paris"),
        ("currency", "USD"),
        ("country", "FR"),
        ("segment", "large"),
        ("standing", "arrears"),
        ("payment", "gateway"),
    ],
)
def test_later_line_with_other_terms_is_rejected_naming_them(term: str, value: str) -> None:
    """Every term of the account counts; the detail says what differs."""
    changed: dict[str, Any] = {term: value}
    second = an_opening(subscription_id="sub_89", external_refs=(), **changed)
    rejected = Given(an_opening()).when(second).the(SubscriptionOpeningRejected)
    (reason,) = rejected.reasons
    assert "ACCOUNT_TERMS_DIFFER" == reason.code
    assert reason.detail.startswith(f"{term} is ")
    assert value in reason.detail


def test_same_opening_again_stays_quiet() -> None:
    """From the same origin and from another one."""
    given = Given(an_opening())
    given.when(an_opening()).then_nothing_happened()
    given.when(from_elsewhere(an_opening())).then_nothing_happened()


def test_existing_subscription_with_other_content_is_rejected() -> None:
    """An existing subscription is changed by orders, not by opening it again."""
    other = an_opening(offset=1, seats=20)
    rejected = Given(an_opening()).when(other).the(SubscriptionOpeningRejected)
    assert ["SUBSCRIPTION_EXISTS"] == reason_codes(rejected)


def test_rejection_of_other_content_is_an_attempt_of_its_own() -> None:
    """Whoever asks how the second line ended must not be told that the first one was opened."""
    given = Given(an_opening())
    rejected = given.when(an_opening(offset=1, seats=20)).claim
    assert (2, "rejected", ("SUBSCRIPTION_EXISTS",)) == (rejected.attempt, rejected.outcome, rejected.reasons)
    given.when(from_elsewhere(an_opening())).then_nothing_happened()


def test_subscription_of_another_account_is_rejected() -> None:
    """A subscription id belongs to one account for ever, and stays as it is."""
    stolen = an_opening(offset=1, account_id="acc_999", external_refs=())
    decided = Given(an_opening()).when(stolen)
    assert ["SUBSCRIPTION_EXISTS"] == reason_codes(decided.the(SubscriptionOpeningRejected))
    assert "acc_204" == decided.subscription.account_id


def test_reference_of_another_subscription_is_rejected() -> None:
    """Each taken reference is named with its holder."""
    second = an_opening(subscription_id="sub_89", external_refs=(REF, ExternalRef("portal", "main", "x")))
    (reason,) = Given(an_opening()).when(second).the(SubscriptionOpeningRejected).reasons
    assert ("EXTERNAL_REF_TAKEN", "partner/main PROD-991 belongs to sub_88") == (reason.code, reason.detail)


def test_repeated_reference_is_written_once() -> None:
    """The same reference twice in one line is one reference."""
    opened = Given().when(an_opening(external_refs=(REF, REF))).the(SubscriptionOpened)
    assert (REF,) == opened.external_refs


def test_rejected_opening_may_come_again_as_it_is() -> None:
    """What stood in the way may be gone: the same line from another origin is decided anew."""
    holder, second = an_opening(), an_opening(subscription_id="sub_89")
    given = Given(holder, second)
    given.decider.refs.clear()
    decided = given.when(from_elsewhere(second))
    decided.then(SubscriptionOpened)
    assert (2, "opened") == (decided.claim.attempt, decided.claim.outcome)


def test_rejected_opening_leaves_no_account() -> None:
    """The next line opens the account with its own terms."""
    given = Given(an_opening(seats=0))
    given.when(an_opening(offset=1, country="FR")).then(AccountOpened, SubscriptionOpened)


def test_rejection_stands_in_the_accounts_stream_and_in_the_claim() -> None:
    """There is no subscription that could hold it."""
    decided = Given().when(an_opening(plan="gold", seats=0))
    (event,) = decided.events
    assert ("account", "PLAN_UNKNOWN") == (event.stream, event.reason_code)
    assert ("rejected", ("PLAN_UNKNOWN", "SUBSCRIPTION_DATA_INVALID")) == (
        decided.claim.outcome,
        decided.claim.reasons,
    )


def test_opening_names_every_failing_reason_at_once() -> None:
    """Identity, terms, references and data are all looked at."""
    second = an_opening(offset=1, currency="USD", seats=0, time_zone="Mars/Base", modules=("telepathy",))
    rejected = Given(an_opening()).when(second).the(SubscriptionOpeningRejected)
    assert {
        "SUBSCRIPTION_EXISTS",
        "ACCOUNT_TERMS_DIFFER",
        "SUBSCRIPTION_DATA_INVALID",
        "MODULE_UNKNOWN",
    } == set(reason_codes(rejected))
    details = [reason.detail for reason in rejected.reasons]
    assert any(detail.startswith("seats:") for detail in details)
    assert any(detail.startswith("time_zone:") for detail in details)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"country": "Germany"}, "country"),
        ({"currency": "euro"}, "currency"),
        ({"plan": "business-usd"}, "currency"),
        ({"segment": ""}, "segment"),
        ({"standing": "ended"}, "standing"),
        ({"payment": "cash"}, "payment"),
        ({"seats": 0}, "seats"),
        ({"seats": 1_000_001}, "seats"),
        ({"opened_at": 10**18}, "opened_at"),
        ({"opened_at": 10**17}, "opened_at"),
        ({"billing_day": 32}, "billing_day"),
        ({"billing_day": None}, "billing_day"),
        ({"period_start": "1 November"}, "period.start"),
        ({"period_end": "2026-11-31"}, "period.end"),
        ({"period_end": "2026-11-30T00:00:00"}, "period.end"),
        ({"period_end": "2026-11-01"}, "period"),
        ({"period_end": "2026-10-01"}, "period"),
        ({"period_end": "2027-12-01"}, "period"),
        ({"contract": replace(CONTRACT, start="x")}, "contract.start"),
        ({"contract": replace(CONTRACT, end="2027-02-29")}, "contract.end"),
        ({"contract": replace(CONTRACT, end="2025-10-31")}, "contract.end"),
        ({"contract": replace(CONTRACT, minimum_term_months=-1)}, "contract.minimum_term_months"),
        ({"contract": replace(CONTRACT, minimum_spend_minor=-1)}, "contract.minimum_spend_minor"),
        ({"external_refs": (ExternalRef("*", "main", "x"),)}, "external_refs[0]"),
        ({"external_refs": (REF, ExternalRef("partner", "main", ""))}, "external_refs[1]"),
        ({"invoiced": (replace(ROW, item=""),)}, "invoiced[0].item"),
        ({"invoiced": (replace(ROW, start="x"),)}, "invoiced[0].start"),
        ({"invoiced": (replace(ROW, end="2026-10-01"),)}, "invoiced[0]"),
        ({"invoiced": (replace(ROW, amount_minor=-1),)}, "invoiced[0].amount_minor"),
        ({"invoiced": (ROW, replace(ROW, quantity=-1))}, "invoiced[1].quantity"),
        ({"invoiced": (replace(ROW, mode="guess"),)}, "invoiced[0].mode"),
        (
            {"invoiced": (replace(ROW, credits=(InvoicedCredit("x", "2026-12-01", 1, 1),)),)},
            "invoiced[0].credits[0].start",
        ),
    ],
)
def test_bad_data_is_rejected_naming_the_field(changed: dict[str, Any], field: str) -> None:
    """SUBSCRIPTION_DATA_INVALID says which field and why."""
    (reason,) = Given().when(an_opening(**changed)).the(SubscriptionOpeningRejected).reasons
    assert "SUBSCRIPTION_DATA_INVALID" == reason.code
    assert f"{field}: " == reason.detail[: len(field) + 2]
