"""References lead to one subscription, to a wait, or to a refusal; never to a guess."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from streams.normalizing.resolve import (
    RefRow,
    Resolved,
    Unknown,
    references,
    resolve,
    resolve_record,
    unknown_account,
)
from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import Intent, PlanNames, Reading
from streams.reading.refusal import Code
from tests.support.channel_examples import PLANS
from tierline.domain.outcome import Dead, DeadLetterClass
from tierline.kit.records import Record

OWN = [
    RefRow("*", "*", "account", "acc_1", "acc_1", "sub_1"),
    RefRow("*", "*", "subscription", "sub_1", "acc_1", "sub_1"),
    RefRow("*", "*", "account", "acc_2", "acc_2", "sub_2"),
    RefRow("*", "*", "account", "acc_2", "acc_2", "sub_3"),
    RefRow("*", "*", "subscription", "sub_2", "acc_2", "sub_2"),
]
THEIRS = [
    RefRow("portal", "main", "subscription", "S-1", "acc_1", "sub_1"),
    RefRow("portal", "main", "account", "A-2", "acc_2", "sub_2"),
    RefRow("portal", "main", "account", "A-2", "acc_2", "sub_3"),
    # the same words in another's mouth
    RefRow("portal", "eu", "subscription", "S-1", "acc_2", "sub_2"),
    RefRow("partner", "main", "subscription", "S-1", "acc_2", "sub_3"),
    RefRow("portal", "main", "subscription", "sub_2", "acc_1", "sub_1"),
]


def rows_of(*rows: RefRow) -> dict[str, list[RefRow]]:
    """The rows by their reference text."""
    found: dict[str, list[RefRow]] = {}
    for row in rows:
        found.setdefault(row.ref, []).append(row)
    return found


ROWS = rows_of(*OWN, *THEIRS[:-1])


def an_intent(account: str | None, subscription: str | None, **changed: Any) -> Intent:
    """A portal intent with these references."""
    value = b'{"reference":"r-1","subscription_id":"sub_1","target":{"seats":20}}'
    record = Record("orders.portal.v1", 0, 7, 0, None, value)
    reading = read_intents(CHANNELS["portal"], record, PlanNames(PLANS, "portal"))

    assert isinstance(reading, Reading)
    return structs.replace(reading.intents[0], account_ref=account, subscription_ref=subscription, **changed)


@pytest.mark.parametrize(
    ("account", "subscription", "expected"),
    [
        (None, "sub_1", Resolved("acc_1", "sub_1")),
        ("acc_1", "sub_1", Resolved("acc_1", "sub_1")),
        ("acc_1", None, Resolved("acc_1", "sub_1")),
        (None, "S-1", Resolved("acc_1", "sub_1")),
        ("acc_1", "S-1", Resolved("acc_1", "sub_1")),
        ("A-2", "sub_2", Resolved("acc_2", "sub_2")),
        (None, "sub_9", Unknown(("sub_9",))),
        ("acc_1", "sub_9", Unknown(("sub_9",))),
        ("acc_9", None, Unknown(("acc_9",))),
        ("acc_9", "sub_1", Unknown(("acc_9",))),
        (None, "acc_1", Unknown(("acc_1",))),
        ("sub_1", None, Unknown(("sub_1",))),
    ],
)
def test_references_lead_to_their_subscription_or_to_a_wait(
    account: str | None, subscription: str | None, expected: Resolved | Unknown
) -> None:
    """Tierline's own ids and the channel's words work alike, alone and together."""
    assert expected == resolve(an_intent(account, subscription), ROWS)


@pytest.mark.parametrize(
    ("account", "subscription", "code"),
    [
        ("acc_2", "sub_1", Code.REFERENCE_MISMATCH),
        ("A-2", "S-1", Code.REFERENCE_MISMATCH),
        ("acc_2", None, Code.AMBIGUOUS_ACCOUNT),
        ("A-2", None, Code.AMBIGUOUS_ACCOUNT),
    ],
)
def test_references_that_cannot_be_right_are_refused(
    account: str, subscription: str | None, code: Code
) -> None:
    """A pair that does not belong together, an account that leaves a choice."""
    dead = resolve(an_intent(account, subscription), ROWS)

    assert isinstance(dead, Dead)
    assert (DeadLetterClass.CONTRACT, code, "subscription_id") == (
        dead.dead_letter_class,
        dead.code,
        dead.field,
    )


def test_another_senders_words_mean_nothing() -> None:
    """Two instances of a channel may call different things by one name."""
    assert Resolved("acc_2", "sub_2") == resolve(an_intent(None, "S-1", source="eu"), ROWS)
    assert Unknown(("S-1",)) == resolve(an_intent(None, "S-1", source="us"), ROWS)


def test_a_senders_own_word_goes_before_an_id_of_the_same_text() -> None:
    """Who gave a name its meaning is understood by it."""
    accounts = RefRow("portal", "main", "account", "acc_2", "acc_1", "sub_1")

    assert Resolved("acc_1", "sub_1") == resolve(an_intent(None, "sub_2"), rows_of(*OWN, *THEIRS))
    assert Resolved("acc_1", "sub_1") == resolve(an_intent("acc_2", None), rows_of(*OWN, accounts))


def test_an_unknown_account_beside_a_known_subscription_may_be_let_pass() -> None:
    """Where the channel's accounts are only a cross-check, one that nobody knows checks nothing."""
    intent = an_intent("BA-7", "S-1", account_ref_must_be_known=False)

    assert Resolved("acc_1", "sub_1") == resolve(intent, ROWS)


def test_the_references_to_look_up_are_those_of_the_intent() -> None:
    """One or two texts, the subscription first."""
    assert ("s", "a") == references(an_intent("a", "s"))
    assert ("a",) == references(an_intent("a", None))


def test_two_intents_of_one_record_never_mean_one_subscription() -> None:
    """They would share their identity, and the second would vanish as a redelivery of the first."""
    intents = [an_intent(None, ref) for ref in ("sub_1", "S-1", "sub_9", "sub_2", "acc_x")]
    resolutions = resolve_record(intents, ROWS)

    assert Resolved("acc_1", "sub_1") == resolutions[0]
    assert isinstance(resolutions[1], Dead)
    assert Code.SUBSCRIPTION_TWICE == resolutions[1].code
    assert (Unknown(("sub_9",)), Resolved("acc_2", "sub_2"), Unknown(("acc_x",))) == resolutions[2:]


def test_the_end_of_a_wait_is_an_unknown_account() -> None:
    """The path of the reference shows, its text does not."""
    dead = unknown_account(an_intent(None, "sub_secret"))

    assert (DeadLetterClass.UNKNOWN_ACCOUNT, Code.UNKNOWN_REFERENCE) == (dead.dead_letter_class, dead.code)
    assert "sub_secret" not in repr(dead)
