"""``tierline dlq``: dead letters by cause, one by one, and how they end."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from pathlib import Path

    from deadletter.lookup import Row
    from deadletter.masked_command import CommandMask
    from tierline.kit.database import Connection

app = typer.Typer(
    no_args_is_help=True, help="Look at what could not be decided, and end it.", rich_markup_mode=None
)
LIST_THEM = "List the causes: tierline dlq groups"
MOST_LISTED = 20
EXPORTED_AT_ONCE = 100


class Payload(StrEnum):
    """How much of a payload is shown."""

    MASKED = "masked"
    FULL = "full"


PayloadOption = Annotated[
    Payload,
    typer.Option("--payload", help="masked: structure without words. full: as it came; who looked is noted."),
]


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


@app.command("show")
def show(
    what: Annotated[
        str, typer.Argument(metavar="ID|FINGERPRINT", help="A dead letter or a cause, or how its id begins.")
    ],
    payload: PayloadOption = Payload.MASKED,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show one dead letter, or one cause with the accounts it touches and an example.

    Payloads are masked: names that no contract knows, and values that may be personal data, are replaced by
    their kind and length.
    """
    from deadletter.groups import open_groups
    from deadletter.lookup import accounts_of, of_group
    from tierline.cli import dlq_view as view
    from tierline.cli.output import console, print_json

    with _connected(data) as connection:
        fingerprint, row = _found(connection, what)
        story = view.Story(
            row,
            next((group for group in open_groups(connection) if group.fingerprint == fingerprint), None),
            accounts_of(connection, fingerprint, MOST_LISTED) if fingerprint else [],
            of_group(connection, fingerprint, MOST_LISTED) if fingerprint else [],
            _command_mask(connection),
            full=payload is Payload.FULL,
        )
        _note_unmasked(connection, [row], payload)
    if json:
        print_json(view.story_record(story))
        return
    for line in view.story_lines(story):
        console().print(line)


@app.command("discard")
def discard(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Dead letters, or how their ids begin.")],
    reason: Annotated[str, typer.Option(help="Why nobody will decide them. It stays on record.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Give dead letters up for good: what they ask for will never be decided.

    Key, bytes and headers leave the database; facts, length and SHA-256 stay, with the reason and your name.
    """
    from deadletter.open_records import Closing, close
    from tierline.cli.dlq_view import after_discard
    from tierline.cli.output import print_json

    why = reason.strip()
    if not why:
        raise typer.BadParameter("say why", param_hint="--reason")
    with _connected(data) as connection:
        wanted = [_open_letter(connection, beginning) for beginning in ids]
        chosen = [str(row["dead_letter_id"]) for row in wanted]
        closed = close(connection, chosen, Closing.DISCARDED, operator(), why)
    if json:
        print_json({"discarded": list(closed), "reason": why})
        return
    for dead_letter_id in closed:
        typer.echo(f"discarded {dead_letter_id}")
    typer.echo("\n" + after_discard(wanted))


@app.command("export")
def export(
    group: Annotated[
        str | None, typer.Option(metavar="FINGERPRINT", help="Only this cause.", show_default="all")
    ] = None,
    payload: PayloadOption = Payload.MASKED,
    data: Data = None,
) -> None:
    """Write open dead letters to stdout, one JSON object a line, the oldest first."""
    import json

    from deadletter.lookup import open_page
    from tierline.cli.dlq_view import letter_record

    last: Row | None = None
    with _connected(data) as connection:
        fingerprint = None if group is None else _only_group(connection, group)
        commands = _command_mask(connection)
        while page := open_page(connection, fingerprint, last, EXPORTED_AT_ONCE):
            _note_unmasked(connection, page, payload)
            connection.commit()
            for row in page:
                record = letter_record(row, commands, full=payload is Payload.FULL)
                sys.stdout.write(json.dumps(record, default=str, ensure_ascii=False) + "\n")
            last = page[-1]


@app.command("rebuild")
def rebuild(data: Data = None, json: Json = False) -> None:
    """Read the dead-letter topics again and store what is missing, after a loss of the table.

    What is stored, open or ended, stays as it is. Kafka keeps dead letters for 30 days; older ones come back
    from a backup of the database only.
    """
    from dataclasses import asdict

    from tierline import bootstrap
    from tierline.cli.output import print_json
    from tierline.kit.settings import load_settings

    done = bootstrap.read_dead_letters_again(load_settings(data))
    if json:
        print_json(asdict(done))
    else:
        typer.echo(f"{done.read:,} dead-letter records read, {done.added:,} dead letters were missing.")
        typer.echo("\nNext: tierline dlq groups")


def operator() -> str:
    """Who types: the name that the system knows the person by."""
    import getpass

    return getpass.getuser()


def _command_mask(connection: Connection) -> CommandMask:
    """A command's schema is the event store's, as the workers wrote it: the registry need not answer."""
    from deadletter.masked_command import CommandMask
    from schemas.schema_table import stored_schemas

    return CommandMask({row.id: row.text for row in stored_schemas(connection).values()})


def _note_unmasked(connection: Connection, rows: list[Row], payload: Payload) -> None:
    from deadletter.open_records import audit

    if payload is Payload.FULL:
        audit(connection, [str(row["dead_letter_id"]) for row in rows], operator(), "unmask", None)


def _found(connection: Connection, what: str) -> tuple[str | None, Row]:
    """The fingerprint, where a cause was asked for, and the dead letter to show."""
    from deadletter import lookup
    from tierline.cli.errors import CommandError

    letters = _letters(connection, what)
    causes = lookup.fingerprints(connection, what)
    match len(letters) + len(causes):
        case 0:
            raise CommandError(f"There is no dead letter or cause {what}.", LIST_THEM)
        case 1:
            if letters:
                return None, letters[0]
            return causes[0], lookup.of_group(connection, causes[0], 1)[0]
        case _:
            told = [*(str(row["dead_letter_id"]) for row in letters), *causes]
            raise CommandError(
                f"More than one begins with {what}.", "\n".join(f"tierline dlq show {one}" for one in told)
            )


def _only_group(connection: Connection, what: str) -> str:
    from tierline.cli.errors import CommandError

    fingerprint, _ = _found(connection, what)
    if fingerprint is None:
        raise CommandError(f"{what} is a dead letter, not a cause.", f"Look at it: tierline dlq show {what}")
    return fingerprint


def _open_letter(connection: Connection, beginning: str) -> Row:
    from tierline.cli.errors import CommandError

    letters = _letters(connection, beginning)
    match letters:
        case []:
            raise CommandError(f"There is no dead letter {beginning}.", LIST_THEM)
        case [row] if row["closed_as"] is not None:
            raise CommandError(
                f"{row['dead_letter_id']} was {row['closed_as']} by {row['closed_by']}: {row['reason']}.",
                LIST_THEM,
            )
        case [row]:
            return row
        case _:
            raise CommandError(
                f"More than one dead letter begins with {beginning}.",
                "\n".join(f"tierline dlq show {row['dead_letter_id']}" for row in letters),
            )


def _letters(connection: Connection, beginning: str) -> list[Row]:
    from deadletter import lookup
    from tierline.cli.errors import CommandError

    try:
        return lookup.by_id(connection, beginning)
    except lookup.NotAnId as refused:
        raise CommandError(f"{refused}.", LIST_THEM) from None


def _connected(data: Path | None) -> Connection:
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    return connect(load_settings(data).database_url, "tierline-cli")
