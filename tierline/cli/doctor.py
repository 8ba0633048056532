"""``tierline doctor``: what is missing on this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tierline.cli.options import Data, Json, data_folder


def doctor(data: Data = None, json: Json = False) -> None:
    """Say what is missing on this machine.

    Looks at versions, memory, disk, ports, the cache of artifacts and the stack; needs no running stack.
    Exit code 1 when something stops the stack from starting.
    """
    from tierline.cli.output import print_json, print_table
    from tierline.local.doctor import examine

    findings = examine(data_folder(data))
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.verdict, f.subject, f.detail) for f in findings]
        print_table(("", "", ""), rows)
        for finding in findings:
            if finding.action:
                typer.echo(f"\n{finding.verdict}: {finding.subject}: {finding.detail}\n  {finding.action}")
    raise typer.Exit(1 if any(f.verdict == "problem" for f in findings) else 0)
