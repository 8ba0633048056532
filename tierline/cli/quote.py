"""``tierline quote``: what a change costs, computed offline from a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Json


def quote(
    scenario: Annotated[Path, typer.Option(help="JSON file; - reads standard input. See docs/money.md.")],
    as_json: Json = False,
    as_table: Annotated[bool, typer.Option("--table", help="Print a table (the default).")] = False,
    locale: Annotated[str, typer.Option(help="How amounts are written in the table, such as de-DE.")] = "en",
) -> None:
    """Price a change of a subscription to the cent, without any server."""
    from tierline.cli.output import console, print_json
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
        console().print(table)
