"""``tierline status``: what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tierline.cli.options import Data, Json, data_folder

if TYPE_CHECKING:
    from tierline.local.status import ServerStatus, StackStatus, WorkerStatus


def status(data: Data = None, json: Json = False) -> None:
    """Show what runs where, and whether it answers.

    Every server and worker with address, process, memory, time up and restarts.

    Exit code 1 when something that should run does not.
    """
    from tierline.cli.output import print_json
    from tierline.local.folder import DataFolder
    from tierline.local.status import read_status

    found = read_status(DataFolder(data_folder(data)))
    if json:
        print_json(found.to_json())
    else:
        print_status(found)
    raise typer.Exit(0 if found.is_well else 1)


def print_status(found: StackStatus) -> None:
    """Print it for people."""
    from tierline.cli.output import print_table

    if found.servers:
        columns = ("", "", "address", ">pid", ">memory", ">up", ">restarts")
        print_table(columns, [*map(_server_cells, found.servers), *map(_worker_cells, found.workers)])
        typer.echo(f"\ndata in {found.data}   logs in {found.data}/logs")
    typer.echo(_sentence(found))


def _server_cells(server: ServerStatus) -> list[str]:
    answers = "answers" if server.answers else "DOES NOT ANSWER"
    return [server.title, answers, server.address, *_vitals(server)]


def _worker_cells(worker: WorkerStatus) -> list[str]:
    runs = (
        "runs"
        if worker.running
        else "ENDED" + (f" (exit code {worker.exit_code})" if worker.exit_code is not None else "")
    )
    return [worker.name, runs, "", *_vitals(worker)]


def _vitals(process: ServerStatus | WorkerStatus) -> list[str]:
    from tierline.cli.output import duration, size

    pid, restarts = process.pid or "", process.restarts or ""
    return [str(pid), size(process.memory_bytes), duration(process.uptime_s), str(restarts)]


def _sentence(found: StackStatus) -> str:
    match found.phase:
        case "ready" if found.is_well:
            return f"All well (supervisor {found.supervisor}).   Stop: tierline down"
        case "ready":
            return "Not everything runs: see the logs of what is marked above."
        case "killed":
            return f"The supervisor of {found.data} was killed.   Clean up and start again: tierline up"
        case "starting" | "stopping":
            return f"The stack in {found.data} is {found.phase}."
        case _:
            problem = f"   It ended because: {found.problem}" if found.problem else ""
            return f"Nothing runs in {found.data}.{problem}   Start: tierline up --detach"
