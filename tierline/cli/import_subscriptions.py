"""``tierline import subscriptions``: open subscriptions from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Data, Json
from tierline.cli.output import print_json

if TYPE_CHECKING:
    from streams.importer import ImportResult
    from tierline.domain.commands import Command
    from tierline.kit.settings import Settings

app = typer.Typer(help="Bring existing data in.", no_args_is_help=True)
MOST_SHOWN = 20


@app.callback()
def import_data() -> None:
    """Bring existing data in."""


@app.command()
def subscriptions(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="One JSON object per line.")],
    wait: Annotated[float, typer.Option(min=0, help="How long to wait for the answers, in seconds.")] = 120,
    data: Data = None,
    json: Json = False,
) -> None:
    """Open the subscriptions of FILE. Lines imported before are left alone, so a file may be given again.

    Nothing is sent while a line is malformed: correct it and import the file again.
    """
    from tierline import bootstrap
    from tierline.cli.errors import CommandError
    from tierline.kit.settings import load_settings

    settings = load_settings(data)
    commands = _commands(file, settings)
    if not commands:
        raise CommandError(f"{file} holds no line.", "One subscription per line: docs/channels.md")
    with bootstrap.importer(settings) as importer:
        result = importer.run(commands, wait)
    if json:
        print_json(_as_json(result))
    else:
        _show(file, result)
    if result.rejected or result.unanswered:
        raise typer.Exit(1)


def _commands(file: Path, settings: Settings) -> list[Command]:
    from streams.subscription_import import LineRefused, opening_command, read_line
    from tierline.cli.errors import CommandError
    from tierline.kit.clock import SystemClock
    from tierline.kit.version import APP_VERSION

    now_ms = SystemClock().now_ms()
    name = f"{file.name}@{now_ms}"
    commands, refused = [], []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            read = read_line(number, line)
        except LineRefused as reason:
            refused.append(str(reason))
            continue
        commands.append(opening_command(read, number, name, now_ms, APP_VERSION, settings.tenant_id))
    if refused:
        listed = "\n  ".join(refused[:MOST_SHOWN])
        raise CommandError(
            f"{len(refused)} of {len(refused) + len(commands)} lines of {file} cannot be read; "
            f"nothing was imported.\n  {listed}",
            "Correct them and import the file again.",
        )
    return commands


def _as_json(result: ImportResult) -> dict[str, object]:
    return {
        "opened": result.opened,
        "already_there": result.already_there,
        "rejected": [{"line": line, "reasons": list(reasons)} for line, reasons in result.rejected],
        "unanswered": result.unanswered,
    }


def _show(file: Path, result: ImportResult) -> None:
    typer.echo(f"{file}: {result.opened} opened, {result.already_there} were there already")
    for line, reasons in result.rejected[:MOST_SHOWN]:
        typer.echo(f"  line {line}: rejected, {', '.join(reasons)}")
    if result.unanswered:
        typer.echo(
            f"  {len(result.unanswered)} lines have no answer yet (first: line {result.unanswered[0]})."
            " Is the orders worker up? tierline status"
        )
