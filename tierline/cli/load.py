"""``tierline load``: open-loop load on the running stack."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tierline.cli.options import Data, Json
from tierline.cli.output import console as output_console
from tierline.cli.output import print_json, progress_console

if TYPE_CHECKING:
    from rich.console import Console

    from tierline.workload.client_log import ClientLog
    from tierline.workload.load import LoadReport


def load(
    rate: Annotated[float, typer.Option(min=0.1, help="Order intents a second.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, max=86_400, help="For how long.")] = 60,
    channels: Annotated[
        str | None, typer.Option(help="Channels, separated by commas; all without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 7,
    settle: Annotated[
        float, typer.Option(min=1, help="How long to wait for the last outcome, in seconds.")
    ] = 120,
    client_log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Append what was sent and what the broker said to each, as NDJSON; `verify` checks it.",
        ),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send orders on a fixed schedule and report when their tiers became visible.

    The schedule does not wait for the pipeline: an order that is sent late because something was slow
    counts from the instant at which it was due.
    """
    from tierline.cli.errors import CommandError
    from tierline.kit.settings import load_settings
    from tierline.workload.demo_screen import ConsoleScreen
    from tierline.workload.load import LoadPlan, run_load
    from tierline.workload.orders import CHANNELS
    from tierline.workload.running import RunFailed

    chosen = tuple(channels.split(",")) if channels else CHANNELS
    if unknown := set(chosen) - set(CHANNELS):
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: there are {', '.join(CHANNELS)}", param_hint="--channels"
        )
    name = f"load{int(time.time())}"
    console = progress_console() if json else output_console()
    screen = ConsoleScreen(console)
    plan = LoadPlan(rate, seconds, chosen, seed, name, settle)
    try:
        with _opened(client_log, name) as log:
            report = run_load(load_settings(data), plan, screen.progress, screen.waiting, log)
    except RunFailed as failed:
        raise CommandError(str(failed), "See what runs: tierline status") from None
    if json:
        print_json(report.as_json())
    else:
        _show(console, report)


def _opened(file: Path | None, name: str) -> AbstractContextManager[ClientLog | None]:
    """The client's log of this run, where one is wanted."""
    from tierline.cli.errors import CommandError
    from tierline.workload.client_log import ClientLog

    if file is None:
        return nullcontext()
    try:
        return ClientLog(file, name)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from None


def _show(console: Console, report: LoadReport) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("order → tier visible")
    for name in ("p50", "p95", "p99"):
        table.add_column(name, justify="right")
    for title, row in (
        ("from the instant it was due", report.from_schedule),
        ("from the broker's append", report.from_append),
    ):
        table.add_row(title, *("-" if v is None else f"{v:,.0f} ms" for v in row.values()))
    typer.echo(
        f"\noffered {report.offered:,} intents in {report.records:,} records"
        f" · {report.tiers:,} tiers changed · {report.reached_per_second:,.1f} a second\n"
    )
    console.print(table)
