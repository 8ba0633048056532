"""``tierline publish``: put a channel's own payloads on its topic, as the channel would."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data, Json
from tierline.cli.output import print_json
from tierline.cli.payloads import headers_of, payloads_in, rows_in

if TYPE_CHECKING:
    from streams.answering.row_publishing import Upload
    from streams.reading.csv_contract import CsvContract
    from tierline.kit.broker import Delivery
    from tierline.kit.records import Headers, Message
    from tierline.kit.settings import Settings

IS_IT_UP = "Is the stack up? tierline status"


def publish(
    files: Annotated[list[str], typer.Argument(help="Payload files; - reads standard input.")],
    channel: Annotated[str, typer.Option(help="The channel, as in `tierline topics`.")],
    key: Annotated[
        str | None, typer.Option(help="Record key: the channel's reference; none without it.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option(help="name=value, may be given more than once.")] = None,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One record per line of each file.")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Publish payloads as they are, without looking into them; print where the broker put each.

    A file of a channel that takes CSV is cut into its rows, one record each; a file that is no CSV of the
    channel is refused before anything is published.
    """
    from streams.answering.row_publishing import ROW_HEADERS
    from streams.pipeline import CHANNELS
    from streams.reading.csv_contract import CsvContract
    from tierline.kit.records import Message
    from tierline.kit.settings import load_settings

    row = CHANNELS.get(channel)
    if row is None:
        raise typer.BadParameter(
            f"{channel!r} is no channel; there are {', '.join(CHANNELS)}", param_hint="--channel"
        )
    headers = headers_of(header)
    settings = load_settings(data)
    if isinstance(row.contract, CsvContract):
        if key is not None or ndjson:
            raise typer.BadParameter(
                "each row of a file is a record with its own key", param_hint="--channel"
            )
        if own := {name for name, _ in headers} & ROW_HEADERS:
            raise typer.BadParameter(f"rows bring {', '.join(own)} themselves", param_hint="--header")
        for upload in _uploads(files, row.contract):
            _publish_rows(settings, channel, upload, headers, json=json)
        return
    values = payloads_in(files, ndjson=ndjson)
    messages = [Message(row.topic.name, key.encode() if key else None, v, headers=headers) for v in values]
    places = _send(settings, messages)
    refused = [place for place in places if place.error is not None]
    if refused:
        raise CommandError(
            f"{len(refused)} of {len(places)} records were not taken by {row.topic.name}:"
            f" {refused[0].error}.",
            IS_IT_UP,
        )
    if json:
        print_json([{"topic": p.topic, "partition": p.partition, "offset": p.offset} for p in places])
        return
    for place in places:
        typer.echo(f"{place.topic}[{place.partition}]@{place.offset}")


def _uploads(files: Sequence[str], contract: CsvContract[Any]) -> list[Upload]:
    """The files, cut into rows; the first that is no CSV of the channel refuses them all."""
    from streams.answering.row_publishing import Upload, upload_id

    return [Upload(upload_id(datetime.now(UTC)), *rows_in(file, contract)) for file in files]


def _send(settings: Settings, messages: Sequence[Message]) -> list[Delivery]:
    """Send all messages; what the broker said about each, in the same order."""
    from tierline import bootstrap
    from tierline.kit.broker import Delivery

    producer = bootstrap.producer(settings, "tierline-publish")
    places = [Delivery(message.topic, -1, -1, "no answer from the broker") for message in messages]
    for number, message in enumerate(messages):
        producer.send(message, partial(places.__setitem__, number))
    producer.flush(settings.kafka.delivery_timeout_ms / 1000)
    return places


def _publish_rows(settings: Settings, channel: str, upload: Upload, headers: Headers, *, json: bool) -> None:
    from schemas.topics import orders_topic

    topic = orders_topic(channel).name
    rows = list(upload.messages(topic, headers))
    places = _send(settings, [message for _, message in rows])
    records = [
        {"row": number, "partition": place.partition, "offset": place.offset, "error": place.error}
        for (number, _), place in zip(rows, places, strict=True)
    ]
    refused = [record for record in records if record["error"] is not None]
    if json:
        facts = {
            "file": upload.file,
            "upload": upload.id,
            "topic": topic,
            "empty_rows": upload.cut.empty_rows,
        }
        print_json(facts | {"records": records})
    else:
        _show(channel, upload, len(records) - len(refused), topic)
    if refused:
        first = refused[0]
        raise CommandError(
            f"{len(refused)} of {len(records)} rows of {upload.file} were not taken by {topic};"
            f" row {first['row']}: {first['error']}.",
            f"{IS_IT_UP}  The file can be published again: rows that were taken are not doubled.",
        )


def _show(channel: str, upload: Upload, taken: int, topic: str) -> None:
    empty = upload.cut.empty_rows
    left_out = f", {empty:,} empty left out" if empty else ""
    typer.echo(f"{upload.file}: {taken:,} {'row' if taken == 1 else 'rows'} on {topic}{left_out}")
    typer.echo(f"  How each ended: tierline replies --channel {channel} --file {shlex.quote(upload.file)}")
