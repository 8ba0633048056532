"""``tierline verify``: the independent check of everything that was promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.options import Data, Json
from tierline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from tierline.verify.check import Report


def verify(
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing is under way any more.")] = False,
    wait_seconds: Annotated[
        float, typer.Option(min=1, help="With --wait: how long at most, in seconds.")
    ] = 300,
    client_log: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Also check every order of a client's own log, as `load` writes it; may be repeated.",
        ),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Recompute every promise from the raw topics, the store, the events and the read models.

    Exit code 1 when an invariant is broken, with the first offender of each.
    """
    from tierline.cli.errors import CommandError
    from tierline.kit.settings import load_settings
    from tierline.verify.check import StillRunning, check
    from tierline.verify.client_log import ClientLogUnreadable
    from tierline.verify.reading import EvidenceMissing
    from tierline.workload.running import target_of

    target = replace(target_of(load_settings(data)), client_logs=tuple(client_log or ()))
    try:
        report = check(target, wait_seconds if wait else 0)
    except StillRunning as busy:
        raise CommandError(f"{busy}.", "Wait for it: tierline verify --wait") from None
    except EvidenceMissing as missing:
        raise CommandError(f"{missing}.", "Publish something first: tierline demo") from None
    except ClientLogUnreadable as unreadable:
        raise CommandError(
            f"{unreadable}.", "Give the file that `tierline load --client-log` wrote."
        ) from None
    if json:
        print_json(report_record(report))
    else:
        show_report(report)
    if not report.clean:
        raise typer.Exit(1)


def report_record(report: Report) -> dict[str, Any]:
    """What was found, for programs."""
    from tierline.verify.outcomes import OUTCOMES

    return {
        "clean": report.clean,
        "records": report.records,
        "events": report.events,
        "outcomes": {
            channel: {name: getattr(tally, name) for name in OUTCOMES}
            for channel, tally in sorted(report.tallies.items())
        },
        "invariants": [
            {"name": f.invariant, "checked": f.checked, "broken": f.broken, "first": f.first, "harm": f.harm}
            for f in report.findings
        ],
    }


def show_report(report: Report) -> None:
    """What was found, for people: every invariant, how intents ended, and the verdict."""
    rows = [
        ("✓" if found.holds else "✗", found.invariant, f"{found.checked:,}", f"{found.broken:,}")
        for found in report.findings
    ]
    print_table(("", "invariant", ">checked", ">broken"), rows)
    for found in report.findings:
        if not found.holds:
            typer.echo(f"\n✗ {found.invariant}\n  first: {found.first}")
    typer.echo(f"\noutcomes  {_outcomes(report)}")
    verdict = "clean" if report.clean else "BROKEN"
    typer.echo(f"\n{verdict}: {report.records:,} records, {report.events:,} events")


def _outcomes(report: Report) -> str:
    """How many intents ended in which way, over all channels."""
    from tierline.verify.outcomes import OUTCOMES

    totals = {name: sum(getattr(tally, name) for tally in report.tallies.values()) for name in OUTCOMES}
    counted = [f"{name.replace('_', '-')} {count:,}" for name, count in totals.items() if count]
    return " · ".join(counted) or "none"
