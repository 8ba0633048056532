"""The questions of the command line, asked of real tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from projections import read, store
from projections.models import READ_MODELS
from tests.support.event_log import START_MS, EventLog, uuid_for
from tests.support.order_stories import envelope, opening, order_id_of, rejection, upgrade
from tierline.kit.database import Connection, connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack
DAY_MS = 86_400_000
WEEK = [START_MS + day * DAY_MS for day in range(8)]
BEFORE_ALL = START_MS - 1


def on_day(recorded: int, effective: int | None = None) -> dict[str, int]:
    """The clocks of an event that was recorded on one day of the week and counts from another."""
    known = WEEK[recorded]
    return {"recorded_at": known, "effective_at": known if effective is None else WEEK[effective]}


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session on a database with empty tables."""
    with connect(settings.database_url, "test") as connection:
        store.create_stages(connection, READ_MODELS)
        connection.commit()
        yield connection


def project(connection: Connection, *logs: EventLog) -> None:
    """Hand over all events, as the projector does."""
    for log in logs:
        for model in READ_MODELS:
            store.apply(connection, model, model.table.live, log.events)
        connection.commit()


def changed_to(tier: str) -> tuple[str, dict[str, Any]]:
    """A change of tier."""
    return ("TierChanged", {"to_tier": tier, "to_plan": f"{tier}-month", "to_seats": 1})


@pytest.mark.parametrize(
    ("believed", "about", "tier"),
    [
        pytest.param(BEFORE_ALL, WEEK[7], None, id="nothing was known yet"),
        pytest.param(WEEK[7], BEFORE_ALL, None, id="nothing was in force yet"),
        pytest.param(WEEK[1], WEEK[1], "team", id="the opening"),
        pytest.param(WEEK[4], WEEK[3], "business", id="after a change"),
        pytest.param(WEEK[4], WEEK[2], "team", id="before the change counted"),
        pytest.param(WEEK[5], WEEK[2], "team", id="not corrected yet"),
        pytest.param(WEEK[6], WEEK[2], "enterprise", id="corrected into the past"),
        pytest.param(WEEK[6], WEEK[7], "enterprise", id="a correction holds until the next change"),
        pytest.param(WEEK[6], WEEK[0], "team", id="before the correction counts"),
    ],
)
def test_what_was_believed_then_about_that_day(
    connection: Connection, believed: int, about: int, tier: str | None
) -> None:
    """Day 0 opened; day 3 to business; recorded on day 6, counting from day 1: it was enterprise."""
    log = EventLog()
    log.decide(("AccountOpened", {}), ("SubscriptionOpened", {"tier": "team"}), **envelope(1), **on_day(0))
    log.decide(changed_to("business"), **envelope(1), **on_day(3))
    log.decide(changed_to("enterprise"), **envelope(1), **on_day(6, effective=1))
    project(connection, log)

    found = read.tier_as_of(connection, "sub_1", believed_at=believed, about=about)

    assert tier == (found and found["tier"])


def test_what_is_believed_today_about_today_is_the_tier_now(connection: Connection) -> None:
    """Both clocks at the end give the row of tier_status."""
    log = EventLog()
    opening(log)
    upgrade(log)
    project(connection, log)

    assert read.tier_now(connection, "sub_1") == read.tier_as_of(
        connection, "sub_1", believed_at=WEEK[7], about=WEEK[7]
    )
    assert read.tier_now(connection, "sub_9") is None


def test_what_a_decision_found_is_the_state_before_its_position(connection: Connection) -> None:
    """To the event, whatever the clocks say."""
    log = EventLog()
    opening(log)
    upgrade(log)
    project(connection, log)
    tiers = [read.tier_before(connection, "sub_1", position) for position in (1, 2, 7, 8)]

    assert [None, "team", "team", "business"] == [row and row["tier"] for row in tiers]


@pytest.mark.parametrize("length", [1, 2, 8, 9, 13, 14, 23, 24, 36])
def test_an_order_is_found_by_the_beginning_of_its_id(connection: Connection, length: int) -> None:
    """As much of it as was typed, in any case of letters."""
    log = EventLog()
    opening(log)
    order_id = upgrade(log)
    project(connection, log)

    for typed in (order_id[:length], order_id[:length].upper()):
        assert [order_id] == [row["order_id"] for row in read.orders_by_id(connection, typed)]


@pytest.mark.parametrize("typed", ["x", "ord_1", "0123456-", "%", "' or true", "0" * 37, "{0}"])
def test_what_is_no_id_is_refused(connection: Connection, typed: str) -> None:
    """Before any query runs."""
    with pytest.raises(read.NotAnOrderId, match="is not an order id or the beginning of one"):
        read.orders_by_id(connection, typed)


def test_orders_are_found_by_the_channels_reference(connection: Connection) -> None:
    """Exactly this channel and reference, newest first, of one sending instance or all."""
    log = EventLog()
    opening(log)
    rejection(log, order=1, source_ref="PO-1", channel="partner", source="acme")
    rejection(log, order=2, source_ref="PO-1", channel="partner", source="other")
    rejection(log, order=3, source_ref="PO-1", channel="portal")
    rejection(log, order=4, source_ref="PO-2", channel="partner")
    project(connection, log)

    def found(*asked: str) -> list[str]:
        return [row["order_id"] for row in read.orders_by_reference(connection, *asked)]

    assert [order_id_of(1, 2), order_id_of(1, 1)] == found("partner", "PO-1")
    assert [order_id_of(1, 1)] == found("partner", "PO-1", "acme")
    assert [] == found("partner", "po-1")


def test_the_timeline_has_the_particulars_of_the_audit_trail(connection: Connection) -> None:
    """In order; where the audit trail lost a row, the step is still there."""
    log = EventLog()
    opening(log)
    order_id = upgrade(log)
    project(connection, log)
    connection.execute("DELETE FROM read.audit_entry WHERE position = 3")
    steps = read.timeline(connection, order_id)

    assert [event["type"] for event in log.events[2:]] == [step["type"] for step in steps]
    assert log.events[2]["body"] == steps[0]["body"]
    assert steps[1]["body"] is None


def test_orders_are_counted_by_channel_and_state(connection: Connection) -> None:
    """What a summary needs."""
    log = EventLog()
    opening(log)
    upgrade(log)
    rejection(log, order=2)
    rejection(log, order=3)
    rejection(log, order=4, channel="partner")
    project(connection, log)

    assert [("partner", "REJECTED", 1), ("portal", "COMPLETED", 1), ("portal", "REJECTED", 2)] == [
        (row["channel"], row["state"], row["orders"]) for row in read.order_counts(connection)
    ]


def test_an_order_that_changed_nothing_never_became_visible(connection: Connection) -> None:
    """Only an order that brought a tier has a moment at which that tier could be seen."""
    log = EventLog()
    opening(log)
    completed, rejected = upgrade(log), rejection(log, order=2)
    project(connection, log)

    assert read.tier_visible_at(connection, rejected) is None
    assert read.tier_visible_at(connection, uuid_for("unknown")) is None
    assert isinstance(read.tier_visible_at(connection, completed), int)
