"""``tierline dlq``: dead letters by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from pathlib import Path

    from tierline.kit.database import Connection

app = typer.Typer(
    no_args_is_help=True, help="Look at what could not be decided, and end it.", rich_markup_mode=None
)


@app.command("groups")
def groups(data: Data = None, json: Json = False) -> None:
    """Show open dead letters by cause, the cause that concerns most customers first."""
    from deadletter.groups import open_groups
    from tierline.cli.dlq_view import group_columns, group_row, groups_sentence
    from tierline.cli.output import print_json, print_table

    with _connected(data) as connection:
        found = open_groups(connection)
    if json:
        print_json([group.to_json() for group in found])
        return
    if found:
        print_table(group_columns(), [group_row(group) for group in found])
    typer.echo(groups_sentence(found))


def _connected(data: Path | None) -> Connection:
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    return connect(load_settings(data).database_url, "tierline-cli")
