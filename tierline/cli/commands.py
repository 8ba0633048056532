"""Every command and where it is. Adding one is a file and a line here."""

from __future__ import annotations

import typer

from tierline.cli import (
    breaker,
    calendar,
    catalog,
    checkpoint,
    demo,
    dlq,
    doctor,
    down,
    holds,
    import_subscriptions,
    load,
    orders,
    prepare,
    projections,
    psql,
    publish,
    quote,
    recover,
    replies,
    run,
    status,
    topics,
    up,
    validate,
    verify,
)

app = typer.Typer(
    help="Order intake and subscription upgrades, from every channel's orders to tiers in force.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("down")(down.down)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(psql.psql)
app.command("topics")(topics.topics)
app.command("publish")(publish.publish)
app.command("replies")(replies.replies)
app.command("validate")(validate.validate)
app.command("load")(load.load)
app.command("verify")(verify.verify)
app.command("prepare")(prepare.prepare)
app.command("run")(run.run)
app.command("recover")(recover.recover)
app.command("quote")(quote.quote)
app.command("calendar")(calendar.calendar)
app.add_typer(catalog.catalog_app, name="catalog")
app.add_typer(checkpoint.app, name="checkpoint")
app.add_typer(holds.app, name="holds")
app.add_typer(import_subscriptions.app, name="import")
app.add_typer(orders.app, name="orders")
app.add_typer(dlq.app, name="dlq")
app.add_typer(breaker.app, name="breaker")
app.add_typer(projections.app, name="projections")
