"""``tierline replies``: how each row of a published file ended, as CSV."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tierline.cli.errors import CommandError
from tierline.cli.options import Data, Json
from tierline.cli.output import print_json

if TYPE_CHECKING:
    from streams.answering.row_answers import RowAnswer, SentRow
    from tierline.verify.reading import TopicReader


def replies(
    channel: Annotated[str, typer.Option(help="A channel that takes CSV, as sales_desk.")],
    file: Annotated[str, typer.Option(help="Name of the file that was published.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the answer goes; standard output without it.")
    ] = None,
    upload: Annotated[
        str | None, typer.Option(help="Which publishing of a file of that name; the last one without it.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Give back every row of a file as it was, with its outcome, reason code and a text for the customer.

    The answer can be corrected and published again as it is: rows that were good are not done twice.
    """
    from streams.answering.row_answers import answer_csv, answers
    from streams.pipeline import CHANNELS
    from streams.reading.csv_contract import CsvContract
    from streams.reading.strict_csv import BYTE_ORDER_MARK
    from tierline.kit.settings import load_settings
    from tierline.verify.reading import EvidenceMissing, TopicReader

    by_file = [name for name, row in CHANNELS.items() if isinstance(row.contract, CsvContract)]
    if channel not in by_file:
        raise typer.BadParameter(
            f"{channel!r} takes no files; there is {', '.join(by_file)}", param_hint="--channel"
        )
    kafka = load_settings(data).kafka
    reader = TopicReader(kafka.bootstrap_servers, kafka.topic_prefix)
    try:
        sent = _chosen(list(_rows(reader, channel)), Path(file).name, upload)
        answered = answers(sent, _replies(reader, channel, sent))
    except EvidenceMissing as missing:
        raise CommandError(f"{missing}.", "Is the stack up? tierline status") from None
    if out is not None:
        out.write_bytes(BYTE_ORDER_MARK + answer_csv(answered))
    if json:
        print_json([{"row": a.row.number, "upload": a.row.upload, **a.added} for a in answered])
    elif out is None:
        sys.stdout.buffer.write(answer_csv(answered))
    else:
        _show(channel, answered, out)


def _rows(reader: TopicReader, channel: str) -> Iterator[tuple[str, SentRow]]:
    """Every row that came from a file, with the name of the file."""
    from schemas.topics import orders_topic
    from streams.answering.row_answers import FILE_HEADER, ROW_HEADER, UPLOAD_HEADER, SentRow

    for read in reader.read(orders_topic(channel)):
        name, number, upload = (
            read.headers.get(header, b"").decode("utf-8", "replace")
            for header in (FILE_HEADER, ROW_HEADER, UPLOAD_HEADER)
        )
        if name and read.value is not None:
            place = read.place.partition, read.place.offset
            yield name, SentRow(place, upload, int(number) if number.isdecimal() else 0, read.value)


def _chosen(rows: Sequence[tuple[str, SentRow]], name: str, upload: str | None) -> list[SentRow]:
    """The rows of one publishing of the file ``name``."""
    named = [row for file, row in rows if file == name]
    if not named:
        known = sorted({file for file, _ in rows})
        raise CommandError(
            f"No row on the topic came from a file {name}.",
            f"Known: {', '.join(known[-20:])}" if known else "Publish it first: tierline publish",
        )
    uploads = sorted({row.upload for row in named})
    wanted = uploads[-1] if upload is None else upload
    if wanted not in uploads:
        raise CommandError(f"{name} has no upload {wanted}.", f"Uploads: {', '.join(uploads)}")
    return [row for row in named if row.upload == wanted]


def _replies(reader: TopicReader, channel: str, sent: Sequence[SentRow]) -> Iterator[Mapping[str, Any]]:
    """The replies to the rows ``sent``."""
    import msgspec

    from schemas.topics import replies_topic

    places = {row.place for row in sent}
    for read in reader.read(replies_topic(channel)):
        reply = msgspec.json.decode(read.value or b"{}")
        origin = reply.get("origin", {})
        if (origin.get("partition"), origin.get("offset")) in places:
            yield reply


def _show(channel: str, answered: Sequence[RowAnswer], out: Path) -> None:
    counts = Counter(answer.outcome for answer in answered)
    duplicates = sum(1 for answer in answered if answer.reply and answer.reply["duplicate"])
    told = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count in counts.most_common())
    again = f" ({duplicates:,} of them known before)" if duplicates else ""
    typer.echo(f"{len(answered):,} rows: {told}{again}")
    typer.echo(
        f"  The answer is in {out}. Correct its rows and publish it: "
        f"tierline publish --channel {channel} {out}"
    )
