"""``tierline publish``: put a channel's own payloads on its topic, as the channel would."""

from __future__ import annotations

from typing import Annotated

import typer

from tierline.cli.options import Data, Json
from tierline.cli.output import print_json
from tierline.cli.payloads import headers_of, payloads_in


def publish(
    files: Annotated[list[str], typer.Argument(help="Payload files; - reads standard input.")],
    channel: Annotated[str, typer.Option(help="The channel: portal or partner.")],
    key: Annotated[
        str | None, typer.Option(help="Record key: the channel's reference; none without it.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option(help="name=value, may be given more than once.")] = None,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One record per line of each file.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Publish payloads as they are, without looking into them; print where the broker put each."""
    from schemas.topics import CHANNELS, orders_topic
    from tierline import bootstrap
    from tierline.cli.errors import CommandError
    from tierline.kit.broker import Delivery
    from tierline.kit.records import Message
    from tierline.kit.settings import load_settings

    if channel not in CHANNELS:
        raise typer.BadParameter(
            f"{channel!r} is no channel; there are {', '.join(CHANNELS)}", param_hint="--channel"
        )
    headers = headers_of(header)
    settings = load_settings(data)
    producer = bootstrap.producer(settings, "tierline-publish")
    topic = orders_topic(channel).name
    places: list[Delivery] = []
    sent = 0
    for value in payloads_in(files, ndjson=ndjson):
        producer.send(Message(topic, key.encode() if key else None, value, headers=headers), places.append)
        sent += 1
    producer.flush(settings.kafka.delivery_timeout_ms / 1000)
    refused = [place for place in places if place.error is not None]
    if refused or len(places) != sent:
        reason = refused[0].error if refused else "no answer from the broker"
        raise CommandError(
            f"{sent - len(places) + len(refused)} of {sent} records were not taken by {topic}: {reason}.",
            "Is the stack up? tierline status",
        )
    if json:
        print_json([{"topic": p.topic, "partition": p.partition, "offset": p.offset} for p in places])
        return
    for place in places:
        typer.echo(f"{place.topic}[{place.partition}]@{place.offset}")
