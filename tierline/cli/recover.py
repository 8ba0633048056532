"""``tierline recover``: give a restored database what the topics have and it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from tierline.cli.options import Data, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.recovery import Recovered


def recover(data: Data = None, json: Json = False) -> None:
    """Bring a restored database back in step with the topics. Stop the workers first.

    Events, claims, origins and references come from oms.events.v1, byte for byte and only where the hash
    chain continues; verdicts come from the dead-letter topics. Can be stopped and started again. Exit code 1
    when a partition cannot be recovered, with the reason.
    """
    from tierline import bootstrap
    from tierline.cli.output import print_json
    from tierline.kit.settings import load_settings

    with bootstrap.recovery(load_settings(data)) as recovery:
        partitions = list(recovery.events())
        verdicts = recovery.verdicts()
    if json:
        print_json(
            {
                "partitions": [
                    {
                        "partition": p.partition,
                        "stored": p.stored,
                        "imported": p.imported,
                        "refusal": p.refusal,
                    }
                    for p in partitions
                ],
                "verdicts": verdicts,
            }
        )
    else:
        _show(partitions, verdicts)
    if any(p.refusal for p in partitions):
        raise typer.Exit(1)


def _show(partitions: Sequence[Recovered], verdicts: int) -> None:
    from tierline.cli.output import print_table

    behind = [p for p in partitions if p.imported or p.refusal]
    if behind:
        rows = [
            (
                str(p.partition),
                f"{p.stored:,}",
                f"{p.imported:,}",
                f"NOT RECOVERED: {p.refusal}" if p.refusal else "in step",
            )
            for p in behind
        ]
        print_table((">partition", ">events stored", ">given back", "now"), rows)
    given_back = sum(p.imported for p in partitions)
    typer.echo(
        f"{given_back:,} events and {verdicts:,} verdicts given back;"
        f" {len(partitions) - len(behind)} of {len(partitions)} partitions were in step"
    )
    if not any(p.refusal for p in partitions):
        typer.echo("Next: start the workers (tierline up), then tierline verify --wait")
