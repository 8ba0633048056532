"""``tierline quote``: what a change costs, computed offline from a scenario."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tierline.domain.quote import Quote


def quote(
    scenario: Annotated[
        Path, typer.Option(help="JSON file with account, subscription and change; - reads standard input.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the quote as JSON.")] = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a table (the default).")] = False,
    locale: Annotated[str, typer.Option(help="How amounts are written in the table, such as de-DE.")] = "en",
) -> None:
    """Price a change of a subscription to the cent, without any server."""
    from tierline.domain.billing_record import quote_record
    from tierline.domain.calendar import zone_named
    from tierline.domain.refusal import InputRefused
    from tierline.domain.scenario import quote_scenario
    from tierline.kit.currencies import exponents
    from tierline.kit.scenario_file import load_document

    if as_json and as_table:
        raise typer.BadParameter("choose --json or --table, not both", param_hint="--json")
    try:
        answer = quote_scenario(load_document(scenario), exponents())
    except InputRefused as refused:
        typer.echo(f"error: {refused}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps(quote_record(answer, zone_named(answer.zone)), indent=2))
    else:
        _print_table(answer, locale)


def _print_table(answer: Quote, locale: str) -> None:
    from babel import UnknownLocaleError
    from rich.console import Console

    from tierline.cli.quote_table import quote_table, totals

    try:
        lines, sums = quote_table(answer, locale), totals(answer, locale)
    except (UnknownLocaleError, ValueError):
        raise typer.BadParameter(
            f"{locale!r} is not a locale such as en or de-DE", param_hint="--locale"
        ) from None
    console = Console(highlight=False)
    console.print(lines)
    console.print(sums)
