"""From the net to what is asked for: credit first, small amounts carried, never money back as due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline.domain.billing import AccountTerms
from tierline.domain.settlement import Settlement, settle


@pytest.mark.parametrize(
    ("expected", "lines", "credit", "minimum", "carried"),
    [
        (Settlement(100, 100, 0, 0, 0), 100, 0, 0, 0),
        (Settlement(0, 0, 0, 30, 0), 0, 30, 0, 0),
        (Settlement(-40, 0, 0, 70, 0), -40, 30, 50, 0),
        (Settlement(100, 70, 30, 0, 0), 100, 30, 0, 0),
        (Settlement(100, 0, 100, 20, 0), 100, 120, 0, 0),
        (Settlement(100, 0, 100, 0, 0), 100, 100, 50, 0),
        (Settlement(49, 0, 0, 0, 49), 49, 0, 50, 0),
        (Settlement(50, 50, 0, 0, 0), 50, 0, 50, 0),
        (Settlement(100, 0, 60, 0, 40), 100, 60, 50, 0),
        (Settlement(60, 60, 0, 0, 0), 20, 0, 50, 40),
        (Settlement(-10, 0, 0, 10, 0), -50, 0, 50, 40),
        (Settlement(40, 40, 0, 0, 0), 0, 0, 0, 40),
    ],
)
def test_net_credit_minimum_and_carried(
    expected: Settlement, lines: int, credit: int, minimum: int, carried: int
) -> None:
    """What was carried joins the net first; credit is used before money; the minimum applies after it."""
    assert expected == settle(AccountTerms("UTC", "USD", credit, minimum, carried), lines)


@given(st.integers(-(10**9), 10**9), *(st.integers(0, 10**9) for _ in range(3)))
def test_no_money_is_lost_in_settling(lines: int, credit: int, minimum: int, carried: int) -> None:
    """Due plus carried less credit is the same before and after."""
    settled = settle(AccountTerms("UTC", "USD", credit, minimum, carried), lines)

    assert lines + carried - credit == settled.due_minor + settled.carried_minor - settled.credit_after_minor
    assert min(settled.due_minor, settled.carried_minor) == 0
    assert settled.due_minor == 0 or settled.due_minor >= minimum
    assert 0 <= settled.credit_used_minor <= credit
