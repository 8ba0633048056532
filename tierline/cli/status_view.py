"""Draws the overview: what runs, what waits, and what is wrong with the next command for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tierline.cli.output import duration, size, table
from tierline.kit.health import Reason
from tierline.local.lag import Lag
from tierline.local.overview import Finding, HeldKeys, Overview, findings
from tierline.local.status import ServerStatus, StackStatus, WorkerStatus

WORKER_OF = "tierline-"
GAP = 2
NOT_WELL = "Not everything is well: see docs/runbook.md"


def view(found: Overview) -> RenderableType:
    """The whole screen."""
    wrong = findings(found)
    return Group(*_parts(found, wrong), _sentence(found.stack, wrong))


def _parts(found: Overview, wrong: Sequence[Finding]) -> Iterator[RenderableType]:
    stack = found.stack
    if not stack.servers:
        return
    yield _servers(stack.servers)
    yield ""
    yield _workers(found) if stack.workers else _members(found)
    yield ""
    backlogs = [lag for lag in found.lag if lag.records]
    if backlogs:
        columns = ("waiting for", "topic", ">records", ">in partitions", ">oldest")
        yield table(columns, map(_backlog, backlogs), GAP)
        yield ""
    if waiting := list(_kept_aside(found)):
        yield table(("kept aside", "", "look"), waiting, GAP)
        yield ""
    for finding in wrong:
        yield Text.assemble(("! ", "bold red"), finding.text, "\n    ", (finding.command, "bold"))
    if wrong:
        yield ""


def _servers(servers: Sequence[ServerStatus]) -> Table:
    columns = ("server", "state", "address", ">pid", ">memory", ">up")
    return table(columns, map(_server_cells, servers), GAP)


def _server_cells(server: ServerStatus) -> list[str | Text]:
    state = Text("answers", "green") if server.answers else Text("DOES NOT ANSWER", "bold red")
    return [_name(server), state, server.address, *_vitals(server)]


def _workers(found: Overview) -> Table:
    columns = ("worker", "state", ">port", ">pid", ">memory", ">up", ">behind", ">oldest")
    return table(columns, (_worker_cells(worker, found.lag) for worker in found.stack.workers), GAP)


def _worker_cells(worker: WorkerStatus, lags: Sequence[Lag]) -> list[str | Text]:
    well = worker.state == Reason.SERVING
    state = Text(worker.state, "green") if well else Text(worker.state.upper(), "bold red")
    port = worker.health.rpartition(":")[2]
    return [_name(worker), state, port, *_vitals(worker), *_sum_cells(WORKER_OF + worker.name, lags)]


def _members(found: Overview) -> Table:
    columns = ("worker", ">processes", ">partitions", "on", ">behind", ">oldest")
    groups = dict.fromkeys(lag.consumer for lag in found.lag)
    return table(columns, (_member_cells(group, found) for group in groups), GAP)


def _member_cells(group: str, found: Overview) -> list[str | Text]:
    members = [member for member in found.members if member.consumer == group]
    hosts = " ".join(sorted({member.host for member in members}))
    partitions = str(sum(member.partitions for member in members))
    name = group.removeprefix(WORKER_OF)
    return [name, str(len(members)), partitions, hosts, *_sum_cells(group, found.lag)]


def _sum_cells(group: str, lags: Sequence[Lag]) -> list[str | Text]:
    own = [lag for lag in lags if lag.consumer == group]
    if not own:
        return ["", ""]
    ages = [lag.oldest_s for lag in own if lag.oldest_s is not None]
    return [f"{sum(lag.records for lag in own):,}", duration(max(ages, default=None))]


def _backlog(lag: Lag) -> list[str | Text]:
    name = lag.consumer.removeprefix(WORKER_OF)
    return [name, lag.topic, f"{lag.records:,}", str(lag.partitions), duration(lag.oldest_s) or "not known"]


def _kept_aside(found: Overview) -> Iterator[Sequence[str | Text]]:
    for breaker in found.breakers:
        partitions = f"{breaker.partitions} partition" + ("" if breaker.partitions == 1 else "s")
        where = f"{breaker.channel}: {breaker.state.replace('_', ' ')} in {partitions}"
        yield ["breaker", where, Text("tierline breaker list", "bold")]
    for held in found.holds:
        yield ["held orders", _held(held), Text("tierline holds list", "bold")]
    if letters := found.dead_letters:
        counts = ", ".join(f"{one.records:,} {one.dead_letter_class}" for one in letters)
        yield ["dead letters", counts, Text("tierline dlq groups", "bold")]


def _held(held: HeldKeys) -> str:
    text = f"{held.channel}: {held.records:,} of {held.keys:,} keys, for {duration(held.oldest_s)}"
    then = [f"{held.parked:,} keys for a person"] if held.parked else []
    if held.next_attempt_s is not None:
        wait = "now" if held.next_attempt_s <= 0 else f"in {duration(held.next_attempt_s)}"
        then.append(f"next try {wait}")
    return "\n  ".join([text, ", ".join(then)]) if then else text


def _name(process: ServerStatus | WorkerStatus) -> str:
    name = process.title if isinstance(process, ServerStatus) else process.name
    return f"{name} (restarted {process.restarts}x)" if process.restarts else name


def _vitals(process: ServerStatus | WorkerStatus) -> list[str]:
    return [str(process.pid or ""), size(process.memory_bytes), duration(process.uptime_s)]


def _sentence(found: StackStatus, wrong: Sequence[Finding]) -> Text:
    where = f"data in {found.data}   logs in {found.data}/logs\n"
    match found.phase:
        case "ready" if not wrong:
            return Text(f"{where}All well (supervisor {found.supervisor}).   Stop: tierline down")
        case "ready":
            return Text(f"{where}{NOT_WELL}")
        case "elsewhere" if not wrong:
            return Text("All well. The servers are those that the environment names.")
        case "elsewhere":
            return Text(NOT_WELL)
        case "killed":
            return Text(f"The supervisor of {found.data} was killed.   Clean up and start again: tierline up")
        case "starting" | "stopping":
            return Text(f"The stack in {found.data} is {found.phase}.")
        case _:
            problem = f"   It ended because: {found.problem}" if found.problem else ""
            return Text(f"Nothing runs in {found.data}.{problem}   Start: tierline up --detach")
