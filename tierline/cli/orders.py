"""``tierline orders``: what became of an order, found by its id or by the channel's own reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.options import Data, Json
from tierline.cli.order_review import reject, release

if TYPE_CHECKING:
    from tierline.cli.order_view import OrderStory
    from tierline.kit.database import Connection

app = typer.Typer(
    no_args_is_help=True, help="Look at orders, and decide those on hold.", rich_markup_mode=None
)
app.command("release")(release)
app.command("reject")(reject)


@app.command("show")
def show(
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id, or how it begins.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Show one order: what was asked, what was decided and why, what it cost, how long it took."""
    from tierline.cli.order_view import order_lines, story_record
    from tierline.cli.output import console, print_json

    with _connected(data) as connection:
        story = _story(connection, order_id)
    if json:
        print_json(story_record(story))
        return
    for line in order_lines(story):
        console().print(line)


@app.command("find")
def find(
    channel: Annotated[str, typer.Option(help="The channel that sent it, such as partner.")],
    ref: Annotated[str, typer.Option(help="The channel's own reference of the order.")],
    source: Annotated[
        str | None, typer.Option(help="Only of this sending instance.", show_default="all")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Find the orders that a channel sent under a reference, newest first."""
    from projections.read import orders_by_reference
    from tierline.cli.errors import CommandError
    from tierline.cli.order_view import found_row, order_record
    from tierline.cli.output import print_json, print_table

    with _connected(data) as connection:
        orders = orders_by_reference(connection, channel, ref, source)
    if json:
        print_json([order_record(order) for order in orders])
    elif orders:
        columns = ("order", "state", "why", "source", "account", "subscription", "asked for", "received")
        print_table(columns, [found_row(order) for order in orders])
        typer.echo(f"\nNext: tierline orders show {orders[0]['order_id']}")
    if not orders:
        raise CommandError(
            f"{channel} sent no order {ref}{f' from {source}' if source else ''} that was decided.",
            "References are compared letter by letter. A record that could not be read is a dead letter.",
        )


def _connected(data: Any) -> Connection:
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    return connect(load_settings(data).database_url, "tierline-cli")


def the_order(connection: Connection, beginning: str) -> dict[str, Any]:
    """The only order whose id begins so. Raises CommandError where there is none, or more than one."""
    from projections import read
    from tierline.cli.errors import CommandError

    try:
        orders = read.orders_by_id(connection, beginning)
    except read.NotAnOrderId as refused:
        raise CommandError(f"{refused}.", "By reference: tierline orders find --channel … --ref …") from None
    match orders:
        case []:
            raise CommandError(
                f"There is no order {beginning}.", "By reference: tierline orders find --channel … --ref …"
            )
        case [order]:
            return order
        case _:
            ids = "\n".join(f"tierline orders show {order['order_id']}" for order in orders)
            raise CommandError(f"More than one order begins with {beginning}.", ids)


def _story(connection: Connection, beginning: str) -> OrderStory:
    from projections import read
    from tierline.cli.order_view import OrderStory

    order = the_order(connection, beginning)
    steps = read.timeline(connection, order["order_id"])
    return OrderStory(
        order=order,
        steps=steps,
        before=read.tier_before(connection, order["subscription_id"], steps[0]["position"])
        if steps
        else None,
        now=read.tier_now(connection, order["subscription_id"]),
        visible_at=read.tier_visible_at(connection, order["order_id"]),
    )
