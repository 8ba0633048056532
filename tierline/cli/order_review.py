"""``tierline orders release`` and ``reject``: what a person decides about an order on hold."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from pathlib import Path

    from streams.review import ReviewAnswer
    from tierline.domain.commands import RejectOrder, ReleaseOrder
    from tierline.kit.database import Connection

VISIBLE_S = 10.0
POLL_S = 0.05

Id = Annotated[str, typer.Argument(metavar="ID", help="The order's id, or how it begins.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]
By = Annotated[str | None, typer.Option(help="Who decides, as an id.", show_default="your user name")]
Wait = Annotated[float, typer.Option(min=0, help="How long to wait for the answer, in seconds.")]


def release(
    order_id: Id, reason: Reason, by: By = None, wait: Wait = 30, data: Data = None, json: Json = False
) -> None:
    """Let an order on hold be decided now, at the price of when it was received.

    Rules that only hold are waived; rules that reject are not. Exit code 1 if it stays on hold.
    """
    from tierline.domain.commands import ReleaseOrder

    _review(order_id, lambda found: ReleaseOrder(found, _words(reason)), by, wait, data, json=json)


def reject(
    order_id: Id, reason: Reason, by: By = None, wait: Wait = 30, data: Data = None, json: Json = False
) -> None:
    """Reject an order on hold. The channel is told the reason.

    Refused for an order that its channel counts as accepted: nobody told it no in time.
    """
    from tierline.domain.commands import RejectOrder

    _review(order_id, lambda found: RejectOrder(found, _words(reason)), by, wait, data, json=json)


def _review(order_id: str, ask: Any, by: str | None, wait: float, data: Path | None, *, json: bool) -> None:
    from streams.review import OrderOnHold
    from tierline import bootstrap
    from tierline.cli.output import print_json
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    settings = load_settings(data)
    with connect(settings.database_url, "tierline-cli") as connection:
        order = _on_hold(connection, order_id)
        body = ask(order["order_id"])
        on_hold = OrderOnHold(**{name: order[name] for name in OrderOnHold.__dataclass_fields__})
        with bootstrap.reviewer(settings) as reviewer:
            answer = reviewer.ask(on_hold, body, by or getpass.getuser(), wait)
        if answer is None:
            raise CommandError(
                f"Order {order['order_id']} has no answer after {wait:g} s; what you decided is on its way.",
                "Is the orders worker up?  tierline status",
            )
        now = _afterwards(connection, order, answer)
    done = answer.accepted and now["state"] != "ON_HOLD"
    if json:
        print_json(
            {"order_id": now["order_id"], "done": done, "state": now["state"], "reasons": _why(now, answer)}
        )
    else:
        for line in _lines(now, body, answer):
            typer.echo(line)
    if not done:
        raise typer.Exit(1)


def _words(reason: str) -> str:
    if not reason.strip() or any(not character.isprintable() for character in reason) or len(reason) > 500:
        raise typer.BadParameter("give a reason of 1 to 500 characters on one line", param_hint="--reason")
    return reason.strip()


def _on_hold(connection: Connection, beginning: str) -> dict[str, Any]:
    from tierline.cli.orders import the_order

    order = the_order(connection, beginning)
    if order["state"] != "ON_HOLD":
        raise CommandError(
            f"Order {order['order_id']} is {order['state']}, not on hold.",
            f"tierline orders show {order['order_id']}",
        )
    return order


def _afterwards(connection: Connection, before: dict[str, Any], answer: ReviewAnswer) -> dict[str, Any]:
    """The order once the read model shows the decision; a refused one changes nothing."""
    from projections.read import orders_by_id

    deadline = time.monotonic() + VISIBLE_S
    while True:
        connection.rollback()
        (now,) = orders_by_id(connection, before["order_id"])
        if not answer.accepted or now["position"] > before["position"] or time.monotonic() > deadline:
            return now
        time.sleep(POLL_S)


def _why(now: dict[str, Any], answer: ReviewAnswer) -> list[str]:
    return list(now["reasons"] if answer.accepted else answer.reasons)


def _lines(now: dict[str, Any], body: ReleaseOrder | RejectOrder, answer: ReviewAnswer) -> list[str]:
    from tierline.domain.commands import ReleaseOrder
    from tierline.domain.reasons import REASONS, ReasonCode

    verb = "released" if isinstance(body, ReleaseOrder) else "rejected"
    if answer.accepted:
        still = "stays ON_HOLD" if now["state"] == "ON_HOLD" else f"is {now['state']}"
        lines = [f"Order {now['order_id']} was {verb} and {still}."]
    else:
        lines = [f"Order {now['order_id']} was not {verb}: {', '.join(answer.reasons)}."]
    for code in _why(now, answer):
        if code in ReasonCode.__members__:
            lines.append(f"  {code}: {REASONS[ReasonCode(code)].operator}")
    return [*lines, f"Next: tierline orders show {now['order_id']}"]
