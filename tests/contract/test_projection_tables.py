"""Every read model on PostgreSQL: the table holds what the fold says, however events are handed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from projections import store
from projections.models import READ_MODELS
from projections.read_model import Event, ReadModel, folding
from tests.support.event_log import EventLog
from tests.support.order_stories import (
    RECEIVED,
    envelope,
    opening,
    order_id_of,
    rejection,
    upgrade,
    upgrade_through_gateway,
)
from tests.support.projecting import all_content, place
from tierline.kit.database import Connection, connect
from tierline.kit.settings import Settings

pytestmark = pytest.mark.stack
Batch = Sequence[Event]

each_model = pytest.mark.parametrize("model", READ_MODELS, ids=lambda model: model.name)


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """A session on a database with empty tables."""
    with connect(settings.database_url, "test") as connection:
        store.create_stages(connection, READ_MODELS)
        connection.commit()
        yield connection


def batches(partition: int, first: int) -> Sequence[Batch]:
    """Three batches of one partition, cut between decisions: between payment steps, too."""
    log = EventLog(partition)
    one, two, account = first, first + 1, f"acc_{first}"
    opening(log, one, account=account)
    opening(log, two, account=account, first=False)
    cuts = [len(log.events) + 4]
    upgrade_through_gateway(log, one, account_id=account)
    rejection(log, two, account_id=account)
    cuts.append(len(log.events))
    again = order_id_of(two, 2)
    upgrade(log, two, order=2, account_id=account)
    log.decide(("DuplicateOrderIgnored", {"outcome": "completed"}), **envelope(two, account), order_id=again)
    return [log.events[a:b] for a, b in zip([0, *cuts], [*cuts, len(log.events)], strict=True)]


Apply = Callable[[Connection, Batch], None]


def apply_live(connection: Connection, batch: Batch) -> None:
    """As the projector does: what two models hold is folded once."""
    for model in folding(READ_MODELS):
        store.apply_live(connection, model, batch)


def apply_each(connection: Connection, batch: Batch) -> None:
    """As rebuilds do: each model for itself."""
    for model in READ_MODELS:
        store.apply(connection, model, model.table.live, batch)


def hand_over(connection: Connection, given: Sequence[Batch], apply: Apply = apply_live) -> None:
    """One transaction per batch."""
    for batch in given:
        apply(connection, batch)
        connection.commit()


def folded(model: ReadModel, events: Batch) -> list[dict[str, Any]]:
    """The fold of all events at once, with the time at which each order was received."""
    received = {e["order_id"]: e["received_at"] for e in events if e["type"] == "OrderReceived"}
    rows = [{name: row[name] for name in model.table.columns} for row in model.fold([], events)]
    for row in rows:
        if model.name.startswith("tier_") and row["order_id"] is not None:
            row["received_at"] = received[row["order_id"]]
    return sorted(rows, key=place)


FIRST, SECOND = batches(0, first=1), batches(1, first=3)
EVERYTHING = [event for batch in [*FIRST, *SECOND] for event in batch]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([EVERYTHING], id="at once"),
        pytest.param([*FIRST, *SECOND], id="in batches"),
        pytest.param([batch for batch in [*FIRST, *SECOND] for _ in range(2)], id="each batch twice"),
        pytest.param([*FIRST, *SECOND, FIRST[1], SECOND[0]], id="older batches again at the end"),
        pytest.param([SECOND[0], FIRST[0], SECOND[1], SECOND[2], FIRST[1], FIRST[2]], id="partitions mixed"),
        pytest.param([FIRST[0], EVERYTHING], id="all again in one batch"),
    ],
)
@pytest.mark.parametrize("apply", [apply_live, apply_each])
def test_the_tables_are_the_folds(connection: Connection, given: Sequence[Batch], apply: Apply) -> None:
    """However batches are cut, repeated or mixed, the rows are those of one fold over all events."""
    hand_over(connection, given, apply)

    assert {model.name: folded(model, EVERYTHING) for model in READ_MODELS} == all_content(connection)


@each_model
def test_the_columns_are_those_of_the_table(connection: Connection, model: ReadModel) -> None:
    """Code and migration name the same columns; what only a rebuild fills stands beside them."""
    query = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'read' AND table_name = %s"
    )
    found = {name for (name,) in connection.execute(query, (model.name,)).fetchall()}

    assert {*model.table.columns, *model.table.carried} == found


def test_every_table_and_column_is_explained(connection: Connection) -> None:
    """An analyst finds the meaning in the database itself."""
    silent = connection.execute(
        "SELECT relname, attname FROM pg_class AS t LEFT JOIN pg_attribute AS c "
        "ON c.attrelid = t.oid AND c.attnum > 0 AND NOT attisdropped "
        "WHERE relnamespace = 'read'::regnamespace AND relkind = 'r' AND relname <> 'read_model' "
        "AND (obj_description(t.oid) IS NULL OR col_description(t.oid, attnum) IS NULL)"
    ).fetchall()

    assert [] == silent


@pytest.mark.parametrize(
    "text",
    [
        "tab\there",
        "line\nbreak\r",
        "back\\slash \\N",
        "quote ' \" {,}",
        "",
        "größe 漢字 🦉",
        "nul\0",
        "\\u0000",
    ],
)
def test_any_text_of_a_recorded_fact_is_stored(connection: Connection, text: str) -> None:
    """A reference, a feature, a detail may hold any character; NUL becomes its picture."""
    log = EventLog()
    account = ("AccountOpened", {"standing": text})
    opened = ("SubscriptionOpened", {"features": [text, "b"], "limits": [{"name": text, "value": 2**40}]})
    log.decide(account, opened, **envelope(1), source_ref=text)
    reasons = {"reasons": [{"code": text, "detail": text}], "retry": True}
    log.decide(
        RECEIVED,
        ("OrderRejected", reasons),
        **envelope(1),
        order_id=order_id_of(1),
        source_ref=text,
        actor=text,
    )
    hand_over(connection, [log.events])
    shown = {model.name: _pictured(folded(model, log.events)) for model in READ_MODELS}

    assert shown == all_content(connection)


def _pictured(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\0", "\u2400")
        case list():
            return [_pictured(item) for item in value]
        case dict():
            return {_pictured(name): _pictured(item) for name, item in value.items()}
        case _:
            return value
