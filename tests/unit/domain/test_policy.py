"""How strict a rule is, for whom."""

from __future__ import annotations

import pytest

from tests.support.order_values import a_policy
from tierline.domain.policy import ALLOWED, STOPPING, Override, Rule, Severity
from tierline.domain.reasons import ReasonCode

ARREARS = Rule.ARREARS


@pytest.mark.parametrize(
    ("override", "channel", "segment", "applies"),
    [
        (Override(ARREARS, Severity.WARN), "portal", "mid", True),
        (Override(ARREARS, Severity.WARN, channel="partner"), "partner", "mid", True),
        (Override(ARREARS, Severity.WARN, channel="partner"), "portal", "mid", False),
        (Override(ARREARS, Severity.WARN, segment="large"), "portal", "large", True),
        (Override(ARREARS, Severity.WARN, segment="large"), "portal", "mid", False),
        (Override(ARREARS, Severity.WARN, channel="partner", segment="large"), "partner", "mid", False),
    ],
)
def test_override_applies_to_its_channel_and_segment(
    override: Override, channel: str, segment: str, *, applies: bool
) -> None:
    """What an override does not name, it does not limit."""
    expected = Severity.WARN if applies else Severity.REJECT
    assert expected == a_policy(override).strictness(channel, segment).severities[ARREARS]


def test_last_override_that_applies_wins() -> None:
    """Written order is the order of precedence."""
    first, last = Override(ARREARS, Severity.WARN), Override(ARREARS, Severity.SHADOW)
    assert Severity.SHADOW == a_policy(first, last).strictness("portal", "mid").severities[ARREARS]


def test_override_leaves_other_rules_alone() -> None:
    """It is about one rule."""
    policy = a_policy(Override(ARREARS, Severity.WARN))
    assert {**a_policy().severities, ARREARS: Severity.WARN} == policy.strictness("x", "y").severities


def test_unnamed_segments_share_one_strictness() -> None:
    """Segments are free text: only those that an override names are told apart."""
    policy = a_policy(Override(ARREARS, Severity.WARN, segment="large"))
    assert policy.strictness("portal", "a") is policy.strictness("partner", "b")
    assert policy.strictness("portal", "a") is not policy.strictness("portal", "large")


def test_every_rule_gives_a_reason_of_its_name() -> None:
    """A verdict's rule in capitals is the reason code."""
    assert [ReasonCode(rule.upper()) for rule in Rule] == [rule.reason for rule in Rule]


def test_rules_that_guard_a_promise_can_only_stop_an_order() -> None:
    """A stale order is never applied over a newer one, whatever a policy would like."""
    stopping = {rule for rule, allowed in ALLOWED.items() if allowed == STOPPING}
    assert {Rule.STALE_ORDER, Rule.NOT_AN_UPGRADE} == stopping
