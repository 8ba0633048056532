"""``tierline demo``: the whole pipeline once, on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tierline.cli.options import Json
from tierline.cli.output import console as output_console
from tierline.cli.output import print_json, progress_console


def demo(
    orders: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many order intents.")] = 2000,
    rate: Annotated[float, typer.Option(min=1, help="Order intents a second.")] = 250,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 7,
    data: Annotated[Path, typer.Option(help="Where servers keep their data; emptied first.")] = Path(
        ".tierline/demo"
    ),
    json: Json = False,
) -> None:
    """Start everything, send sample orders over all channels, show how each ended, stop everything."""
    started_ms = time.time() * 1000

    from tierline.cli.errors import CommandError
    from tierline.workload.demo import DemoPlan, run_demo
    from tierline.workload.demo_screen import ConsoleScreen, show_next, show_summary
    from tierline.workload.orders import CHANNELS
    from tierline.workload.running import RunFailed

    console = progress_console() if json else output_console()
    console.print(
        f"\n[bold]Tierline demo[/]: {orders:,} upgrade orders over {len(CHANNELS)} channels"
        f" ({', '.join(CHANNELS)}), on real servers on this machine only\n",
        highlight=False,
    )
    try:
        result = run_demo(DemoPlan(orders, rate, seed, data), ConsoleScreen(console), started_ms)
    except RunFailed as failed:
        raise CommandError(str(failed), f"Look at it: tierline up --data {data}") from None
    if json:
        print_json(result.summary.as_json())
    else:
        show_summary(console, result.summary)
        show_next(console, result.next_commands)
    if result.summary.lost or not result.summary.report.clean:
        raise typer.Exit(1)
