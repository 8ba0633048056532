"""Which payments the sandbox declines."""

from tierline.kit.gateway import is_declined


def test_the_method_that_is_made_for_it_is_always_declined() -> None:
    """``pm_card_declined`` is declined whatever the rate."""
    assert is_declined("p-1", "pm_card_declined", 0.0)


def test_a_payment_is_declined_or_not_for_ever() -> None:
    """The share of declined payments follows the rate and depends on the payment id alone."""
    payments = [f"payment-{n}" for n in range(2_000)]
    declined = [p for p in payments if is_declined(p, "pm_card_visa", 0.25)]

    assert 400 < len(declined) < 600
    assert declined == [p for p in payments if is_declined(p, None, 0.25)]
    assert not any(is_declined(p, "pm_card_visa", 0.0) for p in payments)
