"""What a channel is told: one answer per outcome, to the sender of the order it speaks about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.codec import Raw
from streams.answering.order_answers import answer, facts_by_order, is_answer
from streams.answering.reply import Reply
from tests.support.given_when_then import Given, envelope
from tests.support.order_records import CODEC
from tests.support.order_values import (
    MINUTE,
    NOON,
    a_change,
    a_policy,
    a_result,
    a_review,
    an_opening,
    an_order,
    due,
    from_elsewhere,
    order_of,
)
from tierline.domain.claims import attempt_of, identify
from tierline.domain.commands import Command, ReleaseOrder
from tierline.domain.events import PaymentRequested
from tierline.domain.identity import reply_id_of
from tierline.domain.outcome import Dead
from tierline.domain.policy import Severity

ANSWERED = NOON + 180


class Story:
    """Commands decided one after another; their events as a reader of the topic gets them."""

    def __init__(self, *commands: Command, **opening: Any) -> None:
        self.given = Given(an_opening(**opening))
        self.events: list[Raw] = []
        for command in commands:
            self.tell(command)

    def tell(self, command: Command) -> list[Reply]:
        """Decide ``command`` and answer what came of it."""
        decider = self.given.decider
        identity = identify(command, decider.claims[command.command_id], decider.origins[command.command_id])
        decided = decider.decide(command)
        assert not isinstance(decided, Dead)
        events = [
            CODEC.read(
                CODEC.encode_event(
                    envelope(e, command, "s", 1, attempt_of(identity), (i, len(decided)), NOON)
                )
            )
            for i, e in enumerate(decided)
        ]
        self.events += events
        orders = facts_by_order(self.events)
        quote = next((e["body"] for e in events if e["type"] == "QuoteIssued"), None)
        return [answer(e, orders, quote, ANSWERED) for e in events if is_answer(e)]


def codes(reply: Reply) -> list[str]:
    return [reason.code for reason in reply.reasons]


def test_a_completed_order_is_answered_with_its_amounts() -> None:
    """Who sent it, what became of it, what it cost, what to do now."""
    (reply,) = Story().tell(an_order())

    assert ("completed", order_of(an_order()), "PO-1", "portal", "main") == (
        reply.outcome,
        reply.order_id,
        reply.reference,
        reply.channel,
        reply.source,
    )
    assert (an_order().origin, 0, 1) == (reply.origin, reply.intent_index, reply.intent_count)
    assert (False, (), None, "Nothing to do.") == (
        reply.duplicate,
        reply.reasons,
        reply.retry,
        reply.next_action,
    )
    assert (NOON, ANSWERED) == (reply.received_at, reply.answered_at)
    assert reply.amounts is not None
    assert ("EUR", reply.amounts.due_minor) == (reply.amounts.currency, reply.amounts.charged_minor)


def test_modules_that_an_order_ends_unasked_are_told_with_its_completion() -> None:
    """As reasons of an order that went through; the same in advance for a question, which may be placed."""
    terms = {"modules": ("chat-pack",), "invoiced": None, "contract": None}
    (reply,) = Story(**terms).tell(an_order(plan="business-month"))
    (preview,) = Story(**terms).tell(an_order(plan="business-month", validate_only=True))

    for told in (reply, preview):
        (reason,) = told.reasons
        detail = "chat-pack does not go with business-month"
        assert ("MODULE_ENDED", detail) == (reason.code, reason.detail)
    assert ("completed", "Nothing to do.") == (reply.outcome, reply.next_action)
    assert "Send the order without validate_only to place it." == preview.next_action


def test_an_order_that_waits_for_its_payment_is_in_progress() -> None:
    """The channel knows the price before anything is charged."""
    (reply,) = Story(payment="gateway").tell(an_order())

    assert "in_progress" == reply.outcome
    assert reply.amounts is not None
    assert reply.amounts.due_minor
    assert reply.amounts.charged_minor is None


def test_a_paid_order_is_answered_to_the_sender_of_the_order() -> None:
    """The payment result has another origin; the answer speaks about the order's own."""
    story = Story(an_order(), payment="gateway")
    due = next(e for e in story.events if e["type"] == PaymentRequested.__name__)["body"]["amount_minor"]
    assert [] == story.tell(a_result(an_order(), "authorized", due, offset=1))

    (reply,) = story.tell(a_result(an_order(), "captured", due, offset=2))

    assert ("completed", an_order().origin) == (reply.outcome, reply.origin)
    assert reply.amounts is not None
    assert due == reply.amounts.charged_minor == reply.amounts.due_minor


def test_a_declined_payment_fails_the_order() -> None:
    """With the reason and whether another try can help."""
    story = Story(an_order(), payment="gateway")
    due = next(e for e in story.events if e["type"] == PaymentRequested.__name__)["body"]["amount_minor"]

    (reply,) = story.tell(a_result(an_order(), "declined", due, code="card_declined"))

    assert ("failed", ["PAYMENT_DECLINED"]) == (reply.outcome, codes(reply))
    assert reply.reasons[0].text
    assert reply.next_action != "Nothing to do."


def test_a_rejection_names_every_reason() -> None:
    """All failing rules at once, each with a text for customers."""
    (reply,) = Story().tell(an_order(plan="business-year", seats=5))

    assert "rejected" == reply.outcome
    assert "BELOW_TIER_MINIMUM" in codes(reply)
    assert all(reason.text and reason.code not in reason.text for reason in reply.reasons)
    assert reply.retry is False
    assert reply.amounts is None


def test_a_held_order_is_answered() -> None:
    """Parked is not silent."""
    story = Story()
    story.given.later(policy=a_policy(below_tier_minimum=Severity.HOLD))

    (reply,) = story.tell(an_order(plan="business-year", seats=5))

    assert ("held", None) == (reply.outcome, reply.retry)
    assert ["BELOW_TIER_MINIMUM"] == codes(reply)


def test_what_is_in_force_already_is_completed_with_the_reason() -> None:
    """Success, nothing charged."""
    (reply,) = Story().tell(an_order(plan="team-month", seats=12))

    assert ("completed", ["ALREADY_IN_FORCE"]) == (reply.outcome, codes(reply))


def test_a_superseded_order_is_told_beside_the_new_one() -> None:
    """One decision answers two orders, each under its own origin."""
    story = Story(an_order(), payment="gateway")
    newer = an_order("PO-2", offset=1, received_at=NOON + MINUTE, seats=20)

    replies = story.tell(newer)

    assert [("superseded", an_order().origin), ("in_progress", newer.origin)] == [
        (reply.outcome, reply.origin) for reply in replies
    ]
    assert ["SUPERSEDED"] == codes(replies[0])


def test_at_a_conflict_both_are_told() -> None:
    """The loser is rejected; the winner hears that it goes on and who else asked."""
    story = Story(an_order(), payment="gateway")
    rival = an_order("PO-9", channel="partner", offset=1, received_at=NOON + MINUTE, seats=20)

    won, lost = story.tell(rival)

    assert ("conflict", "portal", order_of(an_order()), an_order().origin) == (
        won.outcome,
        won.channel,
        won.order_id,
        won.origin,
    )
    assert won.reasons[0].detail is not None
    assert "partner" in won.reasons[0].detail
    assert ("rejected", "partner", rival.origin, ["ORDER_CONFLICT"]) == (
        lost.outcome,
        lost.channel,
        lost.origin,
        codes(lost),
    )


@pytest.mark.parametrize(("payment", "outcome"), [("invoice", "completed"), ("gateway", "in_progress")])
def test_a_duplicate_gets_where_the_first_one_stands(payment: str, outcome: str) -> None:
    """Under its own origin, with the order id of the first."""
    duplicate = from_elsewhere(an_order())

    (reply,) = Story(an_order(), payment=payment).tell(duplicate)

    assert (outcome, True, order_of(an_order()), duplicate.origin) == (
        reply.outcome,
        reply.duplicate,
        reply.order_id,
        reply.origin,
    )


def test_a_question_is_answered_with_price_and_what_stands_in_the_way() -> None:
    """Nothing is ordered, so there is no order id and nothing charged."""
    (reply,) = Story().tell(an_order(validate_only=True))
    assert ("validated", None, ()) == (reply.outcome, reply.order_id, reply.reasons)
    assert reply.amounts is not None
    assert reply.amounts.due_minor
    assert reply.amounts.charged_minor is None

    (refused,) = Story().tell(an_order(validate_only=True, seats=5))
    assert ["BELOW_TIER_MINIMUM"] == codes(refused)


def test_a_question_that_meets_a_no_does_not_say_place_it() -> None:
    """Whoever follows the next action must not run into a rejection that was known."""
    possible = Story().tell(an_order(validate_only=True))[0]
    refused = Story().tell(an_order(validate_only=True, seats=5))[0]

    assert "Send the order without validate_only to place it." == possible.next_action
    assert possible.next_action != refused.next_action


@pytest.mark.parametrize(
    ("standing", "seats", "retry"), [("arrears", 15, True), ("good", 5, False), ("arrears", 5, False)]
)
def test_sending_again_helps_only_against_every_reason(standing: str, seats: int, retry: bool) -> None:
    """One reason that stays is enough to be rejected again."""
    (reply,) = Story(standing=standing).tell(an_order(seats=seats))

    assert retry is reply.retry
    assert retry is reply.next_action.startswith("Send the order again")


def test_nobody_promises_that_a_reason_of_a_newer_release_goes_away() -> None:
    """Beside a reason that does, the unknown one still counts."""
    story = Story(standing="arrears")
    story.tell(an_order())
    rejected = story.events[-1]
    rejected["body"]["reasons"].append({"code": "FROM_THE_FUTURE", "detail": ""})

    assert answer(rejected, facts_by_order(story.events), None, ANSWERED).retry is False


def test_a_reused_reference_is_rejected_under_an_order_of_its_own() -> None:
    """Other content under a taken reference: the first order stays, the second is told."""
    (reply,) = Story(an_order()).tell(replace(an_order(offset=1, seats=40), received_at=NOON + MINUTE))

    assert ("rejected", ["REFERENCE_REUSED"]) == (reply.outcome, codes(reply))
    assert reply.order_id != order_of(an_order())


def test_the_same_answer_has_the_same_id() -> None:
    """Made of origin, intent and outcome, so a repeat is recognised."""
    (reply,) = Story().tell(an_order())
    (again,) = Story().tell(an_order())

    assert reply.id == again.id == reply_id_of("orders.portal.v1", 0, 0, 0, "completed")


def test_a_code_of_a_newer_release_is_still_answered() -> None:
    """The text is general, the code is passed on."""
    story = Story()
    story.tell(an_order(seats=5))
    rejected = story.events[-1]
    rejected["body"]["reasons"][0]["code"] = "FROM_THE_FUTURE"

    reply = answer(rejected, facts_by_order(story.events), None, ANSWERED)

    assert "FROM_THE_FUTURE" == reply.reasons[0].code
    assert reply.reasons[0].text


def test_amounts_and_payments_are_not_answers_themselves() -> None:
    """Only outcomes are told."""
    assert not any(
        is_answer({"type": kind, "body": {"validate_only": False}})
        for kind in ("OrderReceived", "OrderValidated", "QuoteIssued", "PaymentAuthorized", "TierChanged")
    )


def test_an_order_of_the_marketplace_is_answered_with_its_limit() -> None:
    """The edge must know until when a refusal counts."""
    (reply,) = Story().tell(due(an_order(channel="marketplace"), NOON + 8_000))

    assert ("completed", NOON + 8_000) == (reply.outcome, reply.decide_by)


def test_a_change_of_standing_is_answered_to_its_operation() -> None:
    """Done, known already, or refused because nothing comes after the end."""
    story = Story()
    suspended = a_change("suspended", NOON)
    ended = a_change("ended", NOON + MINUTE, offset=1, reference="op-2")
    late = a_change("good", NOON + 2 * MINUTE, offset=2, reference="op-3")
    told = [story.tell(c)[0] for c in (suspended, from_elsewhere(suspended), ended, late)]

    assert [
        ("completed", "op-1", [], False),
        ("completed", "op-1", ["OPERATION_REPEATED"], True),
        ("completed", "op-2", [], False),
        ("rejected", "op-3", ["SUBSCRIPTION_ENDED"], False),
    ] == [(reply.outcome, reply.reference, codes(reply), reply.duplicate) for reply in told]


def test_an_order_released_by_a_person_is_answered_to_its_sender() -> None:
    """Under the order's own record, however long it waited."""
    story = Story(an_order(), standing="arrears")
    story.given.later(policy=a_policy(arrears=Severity.HOLD))
    order = an_order("PO-2", offset=1)
    story.tell(order)
    (reply,) = story.tell(a_review(ReleaseOrder(order_of(order), "paid"), offset=2))

    assert ("completed", order.origin, "PO-2") == (reply.outcome, reply.origin, reply.reference)


def test_an_order_that_is_not_paid_after_its_limit_is_held_and_not_failed() -> None:
    """Its channel is told that somebody looks at it, with the limit that has passed."""
    story = Story(payment="gateway")
    order = due(an_order(channel="marketplace"), NOON + 8_000)
    (waiting,) = story.tell(order)
    story.given.decider.now = NOON + 8_001
    (held,) = story.tell(a_result(order, "declined", 0))
    (again,) = story.tell(a_review(ReleaseOrder(order_of(order), "a new card"), offset=2))

    assert ("in_progress", NOON + 8_000) == (waiting.outcome, waiting.decide_by)
    assert ("held", ["MARKETPLACE_ALREADY_ACCEPTED", "PAYMENT_DECLINED"]) == (held.outcome, codes(held))
    assert (NOON + 8_000, order.origin) == (held.decide_by, held.origin)
    assert ("in_progress", waiting.amounts) == (again.outcome, again.amounts)


def test_an_order_that_counts_as_accepted_needs_nothing_from_its_channel() -> None:
    """It was decided too late to be refused, so a person decides it here."""
    story = Story()
    story.given.decider.now = NOON + 8_001
    (reply,) = story.tell(due(an_order(channel="marketplace", seats=9), NOON + 8_000))

    assert ("held", ["MARKETPLACE_ALREADY_ACCEPTED", "BELOW_TIER_MINIMUM"]) == (reply.outcome, codes(reply))
    assert reply.next_action.startswith("Nothing")
