"""``tierline projections``: the read models, how far they are, and building one anew."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from projections.read_model import ReadModel
    from projections.rebuild import Rebuilt, Told
    from tierline.kit.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Look at the read models and build them anew.", rich_markup_mode=None
)


@app.command("list")
def list_(data: Data = None, json: Json = False) -> None:
    """Show every read model with its version, and how far the projector got in each partition."""
    from projections import read
    from tierline.cli.output import print_json
    from tierline.kit.database import connect
    from tierline.kit.settings import load_settings

    with connect(load_settings(data).database_url, "tierline-cli") as connection:
        models, places = read.model_states(connection), read.projector_places(connection)
    if json:
        print_json({"read_models": models, "partitions": places})
    else:
        _print_list(models, places)


@app.command("rebuild")
def rebuild(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The read model; `tierline projections list` names them.")
    ],
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Throw away what a stopped rebuild has built; build nothing.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Build a read model anew from the first event, beside the live one, then swap the two.

    Live traffic goes on. A rebuild that was stopped goes on where it stopped when it is started again.
    """
    import time
    from dataclasses import asdict

    from tierline.cli.output import print_json
    from tierline.kit.settings import load_settings

    model = _model(name)
    settings = load_settings(data)
    if abandon:
        _abandon(model, settings)
        typer.echo(f"{name}: nothing of a rebuild is left. The live table was not touched.")
        return
    started = time.monotonic()
    rebuilt = _rebuild(model, settings)
    seconds = round(time.monotonic() - started, 1)
    if json:
        print_json({**asdict(rebuilt), "seconds": seconds})
    else:
        typer.echo(_sentence(rebuilt, seconds))


def _model(name: str) -> ReadModel:
    from projections.models import BY_NAME

    if name not in BY_NAME:
        raise typer.BadParameter(
            f"{name!r} is no read model; there are {', '.join(sorted(BY_NAME))}", param_hint="NAME"
        )
    return BY_NAME[name]


def _abandon(model: ReadModel, settings: Settings) -> None:
    from projections import next_table
    from tierline.kit.database import connect

    with connect(settings.database_url, "tierline-rebuild") as connection:
        next_table.abandon(connection, model)


def _rebuild(model: ReadModel, settings: Settings) -> Rebuilt:
    from projections.intake import LogBroken
    from projections.rebuild import TableInUse
    from tierline import bootstrap
    from tierline.cli.errors import CommandError
    from tierline.kit.leases import LeaseLost

    try:
        with bootstrap.rebuild(settings, model.name) as work, _progress_bar(model.name) as told:
            return work.run(told)
    except LeaseLost:
        raise CommandError(f"Another rebuild of {model.name} took over.", "Let that one finish.") from None
    except LogBroken as broken:
        raise CommandError(f"{broken}.", "Compare topic and store: tierline verify") from None
    except TableInUse as used:
        raise CommandError(f"{used}.") from None


@contextmanager
def _progress_bar(name: str) -> Iterator[Told]:
    """Shows how far a rebuild is, on a terminal; elsewhere nothing, the result says it all."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeRemainingColumn(),
    )
    on_terminal = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=not on_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _sentence(rebuilt: Rebuilt, seconds: float) -> str:
    went_on = " It went on from a rebuild that was stopped." if rebuilt.resumed else ""
    difference = rebuilt.rows_after - rebuilt.rows_before
    compared = (
        "as many as before"
        if difference == 0
        else f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than before"
    )
    return (
        f"{rebuilt.name} was built anew from {rebuilt.events:,} events in {seconds} s and swapped in: "
        f"{rebuilt.rows_after:,} rows, {compared}.{went_on}"
    )


def _print_list(models: list[dict[str, Any]], places: list[dict[str, Any]]) -> None:
    from tierline.cli.output import print_table

    if not models:
        typer.echo("No read model has been written yet.   Start the projector: tierline run projector")
        return
    print_table(
        ("read model", ">version", ">rows, about", "rebuilt", ""), [_model_cells(model) for model in models]
    )
    typer.echo("")
    print_table((">partition", ">decided", ">applied", ">behind", "moved"), [_place_cells(p) for p in places])
    behind = sum(place["decided"] - place["applied"] for place in places)
    typer.echo(f"\n{behind:,} events behind in all.   Build one anew: tierline projections rebuild NAME")


def _model_cells(model: dict[str, Any]) -> list[str]:
    from projections.models import BY_NAME

    name, version = model["name"], model["version"]
    rebuilt = _moment(model["rebuilt_at"]) if model["rebuilt_at"] else "never"
    known = BY_NAME.get(name)
    if model["next_version"] is not None:
        remark = f"a rebuild is under way, or was stopped: tierline projections rebuild {name}"
    elif known is not None and known.version != version:
        remark = f"this Tierline folds version {known.version}: tierline projections rebuild {name}"
    else:
        remark = ""
    rows = "" if model["rows"] is None else f"{model['rows']:,}"
    return [name, str(version), rows, rebuilt, remark]


def _place_cells(place: dict[str, Any]) -> list[str]:
    decided, applied = place["decided"], place["applied"]
    return [
        str(place["partition"]),
        f"{decided:,}",
        f"{applied:,}",
        f"{decided - applied:,}",
        _moment(place["moved_at"]),
    ]


def _moment(milliseconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
