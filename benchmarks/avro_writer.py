"""Question: what does writing one record cost with the generated writer, and what with fastavro?

Run: ``.venv/bin/python -m benchmarks.avro_writer [--rounds N] [--records N] [--json FILE]``. Prints the
median over interleaved rounds in microseconds of CPU per record. ``--json`` also writes the figures to FILE.

*generated*: from the dataclass to framed bytes, every value checked. *fastavro*: the dataclass as a dict,
then ``schemaless_writer``. *fastavro, dict at hand*: the writing alone, an unreachable best case. Before
anything is timed, all three must give the same bytes for every record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from benchmarks.machine import interpreter
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, load_schema
from schemas.codec import Codec, frame_header
from streams.deciding.claim_book import ClaimBook
from streams.deciding.command_reading import Asked
from streams.deciding.recording import Head, Recorder
from streams.deciding.stream_cache import nothing_yet
from streams.deciding.turn import Loaded, Rules, Turn
from streams.normalizing.normalize import command_of
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent
from tierline.domain.state import account_stream, subscription_stream
from tierline.kit.catalog_file import load_catalog
from tierline.kit.data_folder import ROOT
from tierline.kit.policy_file import load_policy
from tierline.kit.records import Record

QUICK = ("--rounds", "3", "--records", "100")
SCHEMA_ID = 7
FRAME = frame_header(SCHEMA_ID)
COMMAND_SCHEMA, EVENT_SCHEMA = load_schema(COMMANDS_SUBJECT), load_schema(EVENTS_SUBJECT)
CODEC = Codec(SCHEMA_ID, SCHEMA_ID, lambda _: EVENT_SCHEMA)
RULES = Rules(
    load_catalog(ROOT / "catalog" / "catalog.yaml"), load_policy(ROOT / "policy" / "eligibility.yaml")
)
NAMESPACE = "tierline.oms."
KINDS = ("PlaceOrder", "OrderReceived", "OrderValidated", "QuoteIssued", "TierChanged", "OrderCompleted")
GENERATED, FASTAVRO, AT_HAND = "generated", "fastavro", "fastavro, dict at hand"

Sample = Command | RecordedEvent


@dataclass(frozen=True, slots=True)
class Figure:
    """What one way of writing costs for one kind of record: microseconds of CPU per record."""

    record: str
    way: str
    median: float
    best: float
    worst: float


def sample_records(count: int) -> dict[str, list[Sample]]:
    """``count`` order commands, and the events of a decider that took them all."""
    now_ms = int(time.time() * 1000)
    samples = invoice_samples(count, RULES.catalog)
    intents = OrderIntents(samples, RULES.catalog, now_ms).take(count)
    orders = [
        command_of(*found, tenant_id="main", livemode=False, app_version="0.1.0", decide_within_ms=8_000)
        for found in intents
    ]
    records: dict[str, list[Sample]] = defaultdict(list)
    everything: Iterable[Sample] = chain(orders, _decided([*openings(samples, now_ms), *orders], now_ms))
    for record in everything:
        records[record.type].append(record)
    return {kind: records[kind] for kind in KINDS}


def _decided(commands: Sequence[Command], now_ms: int) -> Iterable[RecordedEvent]:
    """The events that one decider makes of ``commands``."""
    streams = {stream: nothing_yet(stream) for command in commands for stream in _streams(command)}
    head = Head(0, 0, bytes(32))
    recorder = Recorder(CODEC, "0.1.0")
    turn = Turn(RULES, recorder, Loaded(streams, ClaimBook({}, {}), {}, {}), {0: head}, now_ms)
    for offset, command in enumerate(commands):
        turn.take(Asked(Record("oms.commands.v1", 0, offset, now_ms, None, None), command))
    return (stored.event for stored in turn.events)


def _streams(command: Command) -> tuple[str, str]:
    return account_stream(command.account_id), subscription_stream(command.subscription_id)


def generated(record: Sample) -> bytes:
    """What the workers do."""
    return CODEC.encode_command(record) if isinstance(record, Command) else CODEC.encode_event(record)


def as_datum(record: Sample) -> dict[str, Any]:
    """The record as fastavro takes it, the body named in its union."""
    content: dict[str, Any] = msgspec.to_builtins(record)
    content["body"] = (NAMESPACE + record.type, content["body"])
    return content


def by_fastavro(datum: dict[str, Any]) -> bytes:
    """The framed bytes of a datum."""
    out = BytesIO()
    out.write(FRAME)
    fastavro.schemaless_writer(out, EVENT_SCHEMA if "position" in datum else COMMAND_SCHEMA, datum)
    return out.getvalue()


def measure(rounds: int, count: int) -> list[Figure]:
    """Time all ways for all kinds of records, round by round."""
    figures: dict[tuple[str, str], list[float]] = defaultdict(list)
    work: dict[tuple[str, str], tuple[Callable[[Any], bytes], Sequence[Any]]] = {}
    for kind, records in sample_records(count).items():
        data = [as_datum(record) for record in records]
        work[kind, GENERATED] = generated, records
        work[kind, FASTAVRO] = lambda record: by_fastavro(as_datum(record)), records
        work[kind, AT_HAND] = by_fastavro, data
        written = [list(map(*work[kind, way])) for way in (GENERATED, FASTAVRO, AT_HAND)]
        assert written[0] == written[1] == written[2], f"{kind}: the ways differ"
    for _ in range(rounds):
        for case, (write, samples) in work.items():
            begun = time.process_time()
            for sample in samples:
                write(sample)
            figures[case].append((time.process_time() - begun) / len(samples) * 1e6)
    return [
        Figure(kind, way, statistics.median(costs), min(costs), max(costs))
        for (kind, way), costs in figures.items()
    ]


def print_table(figures: Sequence[Figure]) -> None:
    """One row per kind and way; the ratio compares with fastavro from the dataclass."""
    baseline = {figure.record: figure.median for figure in figures if figure.way == FASTAVRO}
    print(f"{'record':<16}{'writing':<24}{'µs/record':>10}{'best':>8}{'worst':>8}{'ratio':>8}")
    for figure in figures:
        print(
            f"{figure.record:<16}{figure.way:<24}{figure.median:>10.1f}{figure.best:>8.1f}{figure.worst:>8.1f}"
            f"{baseline[figure.record] / figure.median:>7.1f}x"
        )
    print(f"\n{interpreter()}. fastavro {fastavro.__version__}.")
    print("Ratio: fastavro from the dataclass costs this many times as much.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of writing one record.")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    figures = measure(options.rounds, options.records)
    print_table(figures)
    if options.json:
        rows = [asdict(figure) for figure in figures]
        content = {"interpreter": interpreter(), "rounds": options.rounds, "figures": rows}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
