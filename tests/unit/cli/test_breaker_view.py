"""What ``tierline breaker`` says, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deadletter.breaker_desk import Asked, BreakerView
from deadletter.breaker_store import Verb
from tierline.cli.breaker import breaker_cells, chosen_of, told
from tierline.cli.errors import CommandError

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
OPEN = BreakerView(
    consumer="tierline-normalizer",
    topic="orders.portal.v1",
    partition=2,
    channel="portal",
    state="open",
    since=NOW - timedelta(minutes=7),
    cause="consecutive",
    lane="records",
    episode=1,
    seen=300,
    dead=21,
    consecutive=19,
    probes=1,
    alone=2,
    passes=0,
    good=0,
    next_probe_at=NOW + timedelta(seconds=8),
    app_version="0.4.1",
    head_offset=8_812,
    head_class="contract",
    head_code="MISSING_FIELD",
    head_field="target.plan",
    asked=0,
)


def test_a_row_says_why_what_stands_and_what_happens_next() -> None:
    """In the words of whoever is on call."""
    assert [
        "portal",
        "2",
        "OPEN",
        "7 min",
        "20 dead in a row",
        "@8812: contract · MISSING_FIELD target.plan",
        "probe at 12:00:08; 2 buried alone",
    ] == breaker_cells(OPEN, NOW)


@pytest.mark.parametrize(
    ("view", "why", "following"),
    [
        (
            replace(OPEN, state="waiting", cause="ratio", dead=60, seen=290),
            "61 of 291 dead",
            "close, pass, or another version than 0.4.1",
        ),
        (replace(OPEN, passes=1_000), "20 dead in a row", "1,000 dead letters may pass"),
        (
            replace(OPEN, asked=1),
            "20 dead in a row",
            "what was asked, as soon as a normalizer runs",
        ),
        (
            replace(OPEN, state="half_open", cause="holds_full", good=3),
            "no room for another held record",
            "closes after some more good records (3 so far)",
        ),
        (
            replace(OPEN, lane="holds"),
            "20 dead in a row whose wait was over",
            "probe at 12:00:08; 2 buried alone",
        ),
        (replace(OPEN, state="closed", cause=None), "21 of 300 dead", ""),
    ],
)
def test_every_state_and_cause_has_its_words(view: BreakerView, why: str, following: str) -> None:
    """Nothing is left to guess."""
    cells = breaker_cells(view, NOW)
    assert (why, following) == (cells[4], cells[6])


def test_what_stands_may_be_nothing() -> None:
    """No record of the partition stands while only held ones are kept back."""
    assert not breaker_cells(replace(OPEN, head_offset=None), NOW)[5]


PARTNER = replace(OPEN, channel="partner", partition=0)


@pytest.mark.parametrize(
    ("breakers", "channel", "partition", "expected"),
    [
        ([OPEN], None, None, [OPEN]),
        ([OPEN, PARTNER], "portal", None, [OPEN]),
        ([OPEN, replace(OPEN, partition=3)], None, 3, [replace(OPEN, partition=3)]),
    ],
)
def test_the_options_choose(
    breakers: list[BreakerView], channel: str | None, partition: int | None, expected: list[BreakerView]
) -> None:
    """Channel and partition narrow; the only open channel needs no name."""
    assert expected == chosen_of(breakers, channel, partition)


@pytest.mark.parametrize(
    ("breakers", "channel", "partition", "message"),
    [
        ([], None, None, "No breaker is open."),
        ([OPEN, PARTNER], None, None, "Breakers of partner, portal are open."),
        ([OPEN], "partner", None, "No breaker of partner is open."),
        ([OPEN], "portal", 5, "No breaker of portal is open in partition 5."),
    ],
)
def test_what_is_not_clear_is_refused(
    breakers: list[BreakerView], channel: str | None, partition: int | None, message: str
) -> None:
    """Nothing is done to a breaker that was not meant."""
    with pytest.raises(CommandError) as refused:
        chosen_of(breakers, channel, partition)
    assert message == refused.value.message


def test_the_answer_says_where_and_how_many() -> None:
    """N counts in each partition, and that is said."""
    done = [Asked(n, "portal", n, "pass", 5, "done") for n in (1, 2)]
    late = Asked(3, "portal", 3, "pass", 5, "outdated")
    assert [
        "portal: up to 5 dead letters may pass in each, 2 partitions (1, 2).   See:  tierline breaker list",
        "portal, partition 3: nothing done, it had changed before.   See:  tierline breaker list",
    ] == told([*done, late], Verb.PASS, 5)
    assert ["portal: closed, partition 1.   See:  tierline breaker list"] == told(done[:1], Verb.CLOSE, 0)
