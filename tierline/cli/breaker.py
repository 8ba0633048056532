"""``tierline breaker``: which channels are kept from burying their orders, and letting them go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadletter.breaker_desk import Asked, BreakerView
    from deadletter.breaker_store import Verb

app = typer.Typer(
    no_args_is_help=True,
    help="Look at the breakers of the channels, close them, let dead letters pass.",
    rich_markup_mode=None,
)

WAIT_S = 5.0
SEE = "See:  tierline breaker list"

Channel = Annotated[
    str | None,
    typer.Option("--channel", metavar="NAME", help="Of this channel.", show_default="the one that is open"),
]
Partition = Annotated[
    int | None, typer.Option("--partition", metavar="P", help="Only in this partition.", show_default="all")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with your name.")]


@app.command("list")
def list_(
    closed_too: Annotated[bool, typer.Option("--all", help="Show closed ones too.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show the breakers that are not closed: since when, why, what stands, what they wait for."""
    from deadletter.breaker_desk import read_breakers
    from tierline.cli.output import print_json

    with _connected(data) as connection:
        found = read_breakers(connection, closed_too=closed_too)
    if json:
        print_json([breaker_record(view) for view in found])
    else:
        _print_list(found)


@app.command("close")
def close(
    reason: Reason,
    channel: Channel = None,
    partition: Partition = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Close breakers: orders flow again, and dead letters are written and counted anew."""
    from deadletter.breaker_store import Verb

    _ask(data, Verb.CLOSE, 0, channel, partition, reason, json=json)


@app.command("pass")
def pass_(
    count: Annotated[int, typer.Argument(metavar="N", min=1, max=1_000_000, help="How many may pass.")],
    reason: Reason,
    channel: Channel = None,
    partition: Partition = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Let the next N dead records of each open partition become dead letters; then probe on."""
    from deadletter.breaker_store import Verb

    _ask(data, Verb.PASS, count, channel, partition, reason, json=json)


def breaker_record(view: BreakerView) -> dict[str, Any]:
    """One breaker for a program."""
    from dataclasses import asdict

    return asdict(view)


def breaker_cells(view: BreakerView, now: Any) -> list[str]:
    """One breaker for a person."""
    from tierline.cli.output import duration

    since = duration(max(0, round((now - view.since).total_seconds())))
    place = [view.channel, str(view.partition), view.state.upper(), since]
    return [*place, _why(view), _stands(view), _next(view)]


def _ask(
    data: Any, verb: Verb, count: int, channel: str | None, partition: int | None, reason: str, *, json: bool
) -> None:
    from deadletter.breaker_desk import ask, read_breakers
    from tierline.cli.errors import CommandError
    from tierline.cli.output import print_json

    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    with _connected(data) as connection:
        chosen = chosen_of(read_breakers(connection), channel, partition)
        ids = ask(connection, chosen, verb, count=count, actor=_actor(), reason=reason.strip())
        connection.commit()
        asked = _wait_for(connection, ids)
    if json:
        print_json([_asked_record(one) for one in asked])
    else:
        for line in told(asked, verb, count):
            typer.echo(line)
    if any(one.outcome is None for one in asked):
        raise CommandError(
            f"No normalizer took it within {WAIT_S:.0f} s. It stays asked for, and is done when one runs.",
            "Does one run?  tierline status",
        )


def chosen_of(
    breakers: Sequence[BreakerView], channel: str | None, partition: int | None
) -> list[BreakerView]:
    """The breakers that the options mean. Raises CommandError when that is none, or not clear."""
    from tierline.cli.errors import CommandError

    channels = sorted({view.channel for view in breakers})
    if not channels:
        raise CommandError("No breaker is open.", "Also closed ones:  tierline breaker list --all")
    if channel is None and len(channels) > 1:
        raise CommandError(f"Breakers of {', '.join(channels)} are open.", "Say which:  --channel NAME")
    chosen = [
        view
        for view in breakers
        if view.channel == (channel or channels[0]) and partition in (None, view.partition)
    ]
    if not chosen:
        where = f" in partition {partition}" if partition is not None else ""
        raise CommandError(f"No breaker of {channel or channels[0]} is open{where}.", SEE)
    return chosen


def told(asked: Sequence[Asked], verb: Verb, count: int) -> list[str]:
    """What came of it, for a person."""
    lines = []
    done = [one for one in asked if one.outcome == "done"]
    if done:
        places = ", ".join(str(one.partition) for one in done)
        where = f"partition {places}" if len(done) == 1 else f"{len(done)} partitions ({places})"
        what = "closed" if verb == "close" else f"up to {count:,} dead letters may pass"
        each = " in each" if verb == "pass" and len(done) > 1 else ""
        lines.append(f"{done[0].channel}: {what}{each}, {where}.   {SEE}")
    lines.extend(
        f"{one.channel}, partition {one.partition}: nothing done, it had changed before.   {SEE}"
        for one in asked
        if one.outcome == "outdated"
    )
    return lines


def _print_list(found: Sequence[BreakerView]) -> None:
    from datetime import UTC, datetime

    from tierline.cli.output import print_table

    if not found:
        typer.echo("All breakers are closed.   Dead letters: tierline dlq groups")
        return
    now = datetime.now(UTC)
    columns = ("channel", ">partition", "state", ">for", "why", "what stands", "what happens next")
    print_table(columns, [breaker_cells(view, now) for view in found])
    first = next((view for view in found if not view.is_closed), None)
    if first is not None:
        typer.echo(
            f"\nNext: tierline breaker pass 1 --channel {first.channel} --partition {first.partition}"
            f' --reason "…"     tierline breaker close --channel {first.channel} --reason "…"'
        )


def _why(view: BreakerView) -> str:
    held = " whose wait was over" if view.lane == "holds" else ""
    match view.cause:
        case "consecutive":
            return f"{view.consecutive + 1:,} dead in a row{held}"
        case "ratio":
            return f"{view.dead + 1:,} of {view.seen + 1:,} dead{held}"
        case "holds_full":
            return "no room for another held record"
        case _:
            return f"{view.dead:,} of {view.seen:,} dead"


def _stands(view: BreakerView) -> str:
    if view.head_offset is None:
        return ""
    place = f" {view.head_field}" if view.head_field else ""
    return f"@{view.head_offset}: {view.head_class} · {view.head_code}{place}"


def _next(view: BreakerView) -> str:
    if view.asked:
        return "what was asked, as soon as a normalizer runs"
    if view.passes:
        return f"{view.passes:,} dead letters may pass"
    match view.state:
        case "open":
            return f"probe at {view.next_probe_at:%H:%M:%S}; {view.alone} buried alone"
        case "waiting":
            return f"close, pass, or another version than {view.app_version}"
        case "half_open":
            return f"closes after some more good records ({view.good} so far)"
        case _:
            return ""


def _asked_record(asked: Asked) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(asked)


def _wait_for(connection: Any, ids: Sequence[int]) -> list[Asked]:
    import time

    from deadletter.breaker_desk import read_asked

    deadline = time.monotonic() + WAIT_S
    while True:
        asked = read_asked(connection, ids)
        connection.rollback()
        if all(one.outcome for one in asked) or time.monotonic() > deadline:
            return asked
        time.sleep(0.1)


def _actor() -> str:
    import getpass

    return getpass.getuser()


def _connected(data: Any) -> Any:
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    return connect(load_settings(data).database_url, "tierline-cli")
