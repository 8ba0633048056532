"""``tierline holds``: the orders that wait in order, what they wait for, and letting them go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from tierline.kit.database import Connection

app = typer.Typer(
    no_args_is_help=True, help="Look at orders that wait, release or discard them.", rich_markup_mode=None
)

ANSWER_S = 10.0
MOST_SHOWN = 50

Hold = Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id, or how it begins.")]
Reason = Annotated[str, typer.Option(help="Why; kept with who asked and when.")]


@app.command("list")
def list_(
    channel: Annotated[str | None, typer.Option(help="Only of this channel.", show_default="all")] = None,
    key: Annotated[
        str | None, typer.Option(help="Only of this record key or reference.", show_default="all")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="How many are shown.")] = MOST_SHOWN,
    data: Data = None,
    json: Json = False,
) -> None:
    """List the keys whose orders wait: those that wait for a person first, then the oldest."""
    from deadletter.hold_requests import count_holds, read_holds
    from tierline.cli.hold_view import hold_record, list_lines
    from tierline.cli.output import print_json

    with _connected(data) as connection:
        counts = count_holds(connection)
        holds = read_holds(connection, channel=channel, key=None if key is None else key.encode(), most=most)
    if json:
        print_json({"channels": counts, "holds": [hold_record(hold) for hold in holds]})
    else:
        list_lines(counts, holds)


@app.command("show")
def show(
    hold: Hold,
    payload: Annotated[
        str,
        typer.Option(
            help="masked: ids and sizes. full: references and bytes as text, personal data included; "
            "who looked is noted."
        ),
    ] = "masked",
    most: Annotated[int, typer.Option(min=1, help="How many records are shown.")] = 10,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show one key: what its head waits for, and every record behind it."""
    import getpass

    from deadletter.hold_requests import note_unmasked, read_records, read_requests
    from tierline.cli.hold_view import hold_record, record_record, show_lines
    from tierline.cli.output import print_json

    if payload not in ("masked", "full"):
        _refuse(f"--payload is masked or full, not {payload}.", "")
    full = payload == "full"
    with _connected(data) as connection:
        found = _the_hold(connection, hold)
        records = read_records(connection, found["hold_id"], most)
        asked = read_requests(connection, found["hold_id"])
        if full:
            note_unmasked(connection, found["hold_id"], records, getpass.getuser())
    if json:
        told = [record_record(record, full=full) for record in records]
        print_json({**hold_record(found, full=full), "held_records": told, "requests": asked})
    else:
        show_lines(found, records, asked, payload)


@app.command("release")
def release(hold: Hold, reason: Reason = "", data: Data = None, json: Json = False) -> None:
    """Try the head of a key now, and let a parked key go on."""
    from deadletter.hold_requests import RELEASE

    _ask(hold, RELEASE, None, reason, data, json=json)


@app.command("discard")
def discard(
    hold: Hold,
    reason: Annotated[str, typer.Option(help="Why; kept with who asked and when. Required.")],
    offset: Annotated[
        int | None, typer.Option(help="The record at this offset.", show_default="the head")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Take one record out for good: its channel is told, the records behind it go on."""
    from deadletter.hold_requests import DISCARD

    if not reason.strip():
        _refuse("A discard needs its reason.", 'Say why: --reason "sent twice, INC-4711"')
    _ask(hold, DISCARD, offset, reason, data, json=json)


def _ask(hold: str, action: str, offset: int | None, reason: str, data: Any, *, json: bool) -> None:
    import getpass

    from deadletter.hold_requests import ask
    from tierline.cli.hold_view import asked_lines
    from tierline.cli.output import print_json

    with _connected(data) as connection:
        found = _the_hold(connection, hold)
        connection.rollback()
        request = ask(
            connection,
            found["hold_id"],
            action,
            offset=offset,
            reason=reason,
            requested_by=getpass.getuser(),
        )
        if request is None:
            _gone(hold)
        result = _answer(connection, request)
    if json:
        print_json({"request_id": request, "hold_id": found["hold_id"], "action": action, "result": result})
    else:
        asked_lines(found, action, result)
    if result is not None and result.startswith("refused"):
        raise typer.Exit(1)


def _answer(connection: Connection, request: str) -> str | None:
    """What the normalizer says within a few seconds; None when none does."""
    import time

    from deadletter.hold_requests import result_of

    deadline = time.monotonic() + ANSWER_S
    while (result := result_of(connection, request)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return result


def _the_hold(connection: Connection, beginning: str) -> Any:
    from deadletter.hold_requests import read_holds

    found = read_holds(connection, beginning=beginning.lower(), most=5)
    if not found:
        _gone(beginning)
    if len(found) > 1:
        ids = "\n".join(f"tierline holds show {hold['hold_id']}" for hold in found)
        _refuse(f"More than one hold begins with {beginning}.", ids)
    return found[0]


def _gone(beginning: str) -> NoReturn:
    _refuse(
        f"Nothing is held under {beginning}.",
        "It may have gone on by itself. What waits now: tierline holds list",
    )


def _refuse(message: str, hint: str) -> NoReturn:
    from tierline.cli.errors import CommandError

    raise CommandError(message, hint)


def _connected(data: Any) -> Connection:
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    return connect(load_settings(data).database_url, "tierline-cli")
