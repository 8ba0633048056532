"""``tierline quote``: what a change costs: offline from a scenario, or for an account of a running stack."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from streams.deciding.account_reading import KnownAccount
    from tierline.domain.comparison import Comparison, Wish
    from tierline.domain.subscription import ActiveSubscription


HINTS = {
    "plan": "Plans and their prices: tierline catalog show",
    "seats": "Say how many: --seats N",
    "modules": "Modules of the catalog: tierline catalog show     Which to have afterwards: --module M …",
}


class When(StrEnum):
    """Which way's lines stand below the totals."""

    NOW = "now"
    NEXT_CYCLE = "next_cycle"


def quote(
    scenario: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file to price offline; - reads standard input. See docs/money.md.",
        ),
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="A", help="The account of a running stack.")] = None,
    to: Annotated[
        str | None, typer.Option(metavar="PLAN", help="With --account: the plan to change to.")
    ] = None,
    subscription: Annotated[
        str | None,
        typer.Option(metavar="S", help="With --account: which one, where it has several."),
    ] = None,
    seats: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="With --account: seats afterwards.", show_default="as now"),
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(
            metavar="M",
            help="With --account: a module to have afterwards; repeat it for more.",
            show_default="those now that fit the plan",
        ),
    ] = None,
    when: Annotated[
        When, typer.Option(help="With --account: which way's lines stand below the totals.")
    ] = When.NOW,
    data: Data = None,
    as_json: Json = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a table (the default).")] = False,
    locale: Annotated[str, typer.Option(help="How amounts are written in the table, such as de-DE.")] = "en",
) -> None:
    """Price a change of a subscription to the cent. Nothing is stored, nothing is ordered.

    With --scenario FILE: the arithmetic of a self-contained JSON document, without any server.
    With --account A --to PLAN: three totals side by side for a subscription of a running stack: now, at
    the renewal, now with the annual discount, and from which day one has cost less than another.
    """
    if as_json and as_table:
        raise typer.BadParameter("choose --json or --table, not both", param_hint="--json")
    if (scenario is None) == (account is None):
        raise typer.BadParameter("give either --scenario FILE or --account A --to PLAN")
    if scenario is not None:
        if to or subscription or seats is not None or module:
            raise typer.BadParameter("--to, --subscription, --seats and --module go with --account")
        _quote_scenario(scenario, locale, as_json=as_json)
        return
    if account is None or to is None:
        raise typer.BadParameter("--account A needs the plan to change to: --to PLAN", param_hint="--to")

    from tierline.domain.comparison import Wish

    wish = Wish(to, seats, tuple(module) if module else None)
    _quote_account(account, subscription, wish, when, locale, data, as_json=as_json)


def _quote_scenario(scenario: Path, locale: str, *, as_json: bool) -> None:
    from tierline.cli.output import print_drawn, print_json
    from tierline.domain.billing_record import quote_record
    from tierline.domain.calendar import zone_named
    from tierline.domain.refusal import InputRefused
    from tierline.domain.scenario import quote_scenario
    from tierline.kit.currencies import exponents
    from tierline.kit.scenario_file import load_document

    try:
        answer = quote_scenario(load_document(scenario), exponents())
    except InputRefused as refused:
        raise CommandError(str(refused), "docs/money.md lists the fields of a scenario.") from None
    if as_json:
        print_json(quote_record(answer, zone_named(answer.zone)))
        return

    from tierline.cli.quote_table import quote_table, totals
    from tierline.kit.money_text import LocaleUnknown

    try:
        tables = quote_table(answer, locale), totals(answer, locale)
    except LocaleUnknown as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--locale") from None
    for table in tables:
        print_drawn(table)


def _quote_account(
    account: str,
    subscription: str | None,
    wish: Wish,
    when: When,
    locale: str,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    from tierline.cli.output import print_drawn, print_json
    from tierline.cli.totals_table import comparison_record, comparison_view
    from tierline.domain.totals import Way
    from tierline.kit.money_text import LocaleUnknown

    found = _compared(account, subscription, wish, data)
    if as_json:
        print_json(comparison_record(found))
        return
    shown = Way.NOW if when is When.NOW else Way.AT_RENEWAL
    try:
        parts = comparison_view(found, shown, locale)
    except LocaleUnknown as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--locale") from None
    for part in parts:
        print_drawn(part)


def _compared(account_id: str, subscription_id: str | None, wish: Wish, data: Path | None) -> Comparison:
    import psycopg

    from tierline import bootstrap
    from tierline.domain.comparison import compare
    from tierline.domain.moments import instant_of_ms
    from tierline.domain.refusal import InputRefused
    from tierline.kit.clock import SystemClock
    from tierline.kit.settings import load_settings

    settings = load_settings(data)
    try:
        with bootstrap.account_reader(settings) as read:
            known = read(account_id)
    except psycopg.errors.UndefinedTable:
        raise CommandError(
            "This database has no event store yet.", "Start the stack once: tierline up --detach"
        ) from None
    if known is None:
        raise CommandError(
            f"There is no account {account_id}.",
            "Ids are compared letter by letter. Accounts come with: tierline import subscriptions FILE",
        )
    chosen = _chosen(known, subscription_id)
    now = instant_of_ms(SystemClock().now_ms())
    try:
        kept = bootstrap.published_catalogs(settings).get(chosen.catalog_version)
        return compare(known.account, chosen, bootstrap.catalog(settings), kept, wish, now)
    except InputRefused as refused:
        raise CommandError(
            f"{refused.reason[:1].upper()}{refused.reason[1:]}.", HINTS.get(refused.field, "")
        ) from None


def _chosen(known: KnownAccount, subscription_id: str | None) -> ActiveSubscription:
    """The subscription that is meant: the only one, or the one that was named."""
    account = known.account.account_id
    if subscription_id is None and len(known.subscriptions) == 1:
        return known.subscriptions[0]
    for found in known.subscriptions:
        if found.subscription_id == subscription_id:
            return found
    listed = "\n".join(
        f"--subscription {one.subscription_id}     {one.plan}, {one.seats:,} seats"
        for one in known.subscriptions
    )
    if subscription_id is None:
        raise CommandError(
            f"Account {account} has {len(known.subscriptions)} subscriptions: choose one.", listed
        )
    raise CommandError(f"Account {account} has no subscription {subscription_id}.", listed)
