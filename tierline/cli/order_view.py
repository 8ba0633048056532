"""An order for people: a header, what was asked, what happened step by step, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from projections.order_status import TABLE
from tierline.cli.order_steps import Row, step_lines
from tierline.domain.billing import BASE_ITEM
from tierline.domain.reasons import REASONS

_REASONS = {str(code): reason for code, reason in REASONS.items()}
_GOOD, _BAD = "bold green", "bold red"
_STYLES = {"COMPLETED": _GOOD, "REJECTED": _BAD, "FAILED": _BAD}


@dataclass(frozen=True, slots=True)
class OrderStory:
    """What the read models know about one order.

    ``before`` is what the subscription was on when the order was decided, ``now`` what it is on now;
    ``visible_at`` (ms) is when the tier that the order brought could be seen.
    """

    order: Row
    steps: Sequence[Row]
    before: Row | None
    now: Row | None
    visible_at: int | None

    @property
    def latency_ms(self) -> int | None:
        """From the broker's append of the record to the tier that could be seen."""
        return None if self.visible_at is None else self.visible_at - self.order["received_at"]


def order_record(order: Row) -> dict[str, Any]:
    """An order for programs: instants as ISO 8601 in UTC."""
    return {
        name: _iso(order[name]) if kind == "instant" and order[name] is not None else order[name]
        for name, kind in TABLE.columns.items()
    }


def story_record(story: OrderStory) -> dict[str, Any]:
    """The same facts as ``order_lines``, for programs."""
    return {
        "order": order_record(story.order),
        "timeline": [{**step, "recorded_at": _iso(step["recorded_at"])} for step in story.steps],
        "channel_to_tier_ms": story.latency_ms,
        "next": list(_next_commands(story)),
    }


def found_row(order: Row) -> list[str]:
    """One line of the list of found orders."""
    return [
        order["order_id"],
        order["state"],
        ", ".join(order["reasons"]),
        order["source"],
        order["account_id"],
        order["subscription_id"],
        _choice(order["plan"] or "same plan", order["seats"], order["modules"]),
        f"{_iso(order['received_at'])}",
    ]


def order_lines(story: OrderStory) -> Iterator[Text]:
    """The whole screen."""
    yield from _header(story)
    yield from step_lines(story.steps, story.order)
    if story.latency_ms is not None:
        yield Text(f"  {story.latency_ms:,} ms from channel to tier")
    yield from _advice(story)
    yield Text("\n Next: " + "\n       ".join(_next_commands(story)))


# --- the header -------------------------------------------------------------------------------------------


def _header(story: OrderStory) -> Iterator[Text]:
    order = story.order
    source = "" if order["source"] == "main" else f" {order['source']}"
    yield Text.assemble(
        f"Order {order['order_id']}   ",
        (order["state"], _STYLES.get(order["state"], "bold")),
        f"   {order['channel']}{source}, reference {order['source_ref']}",
    )
    yield Text(f" account {order['account_id']}{_home(story.now)}   subscription {order['subscription_id']}")
    yield Text(f" {_asked(story)}, {order['effective']}")


def _home(now: Row | None) -> str:
    if now is None:
        return ""
    city = (now["time_zone"] or "").rpartition("/")[2].replace("_", " ")
    return f" ({', '.join(part for part in (city, now['currency']) if part)})"


def _asked(story: OrderStory) -> str:
    told = {step["type"]: step["body"] for step in story.steps}
    modules = () if story.before is None else story.before["modules"]
    if changed := told.get("TierChanged"):
        before = _choice(changed["from_plan"], changed["from_seats"], modules)
        return f"{before} → {_choice(changed['to_plan'], changed['to_seats'], _billed_modules(told))}"
    order = story.order
    wanted = _choice(order["plan"] or "same plan", order["seats"], order["modules"])
    if story.before is None:
        return wanted
    return f"{_choice(story.before['plan'], story.before['seats'], modules)} → {wanted}"


def _billed_modules(told: Mapping[str, Any]) -> list[str]:
    items = (told.get("BillingScheduleAdjusted") or {}).get("items", ())
    return [item["id"] for item in items if item["id"] != BASE_ITEM]


def _choice(plan: str, seats: int | None, modules: Sequence[str]) -> str:
    chosen = plan if seats is None else f"{plan} ×{seats} seats"  # noqa: RUF001 - the sign for times
    return " + ".join((chosen, *modules))


# --- what to do -------------------------------------------------------------------------------------------


def _advice(story: OrderStory) -> Iterator[Text]:
    if story.order["state"] == "COMPLETED":
        return
    for code in story.order["reasons"]:
        if reason := _REASONS.get(code):
            again = "can help" if reason.retry else "does not help"
            yield Text(f"\n {code}: {reason.customer}")
            yield Text(f"   {reason.operator} Sending the order again {again}.")


def _next_commands(story: OrderStory) -> Iterator[str]:
    order = story.order
    for other in (order["superseded_by"], order["conflict_with"]):
        if other is not None:
            yield f"tierline orders show {other}"
    if order["state"] == "ON_HOLD":
        yield f"tierline orders release {order['order_id']} --reason …"
    for table in ("audit_entry", "tier_history") if story.visible_at else ("audit_entry",):
        where = f"order_id = '{order['order_id']}' order by position"
        yield f'tierline psql -c "select * from {table} where {where}"'


def _iso(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
