"""Question: what does reading one record cost with the generated reader, and what with fastavro?

Run: ``.venv/bin/python -m benchmarks.avro_reader [--rounds N] [--records N] [--json FILE]``. From framed
bytes to a dict, the body named; microseconds of CPU per record, interleaved rounds. Records of one kind are
of different orders; *events in their order* are those of whole decisions, whose common fields the generated
reader reads once. Before anything is timed, both must give the same for every record.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import fastavro

from benchmarks.avro_writer import (
    CODEC,
    COMMAND_SCHEMA,
    EVENT_SCHEMA,
    SCHEMA_ID,
    Sample,
    generated,
    sample_records,
)
from benchmarks.figures import spread, write_json
from benchmarks.machine import interpreter
from schemas.codec import HEADER_BYTES, Codec, decode
from tierline.domain.commands import Command
from tierline.domain.events import RecordedEvent

QUICK = ("--rounds", "3", "--records", "100")
COMMANDS = Codec(SCHEMA_ID, SCHEMA_ID, lambda _: COMMAND_SCHEMA)
GENERATED, FASTAVRO = "generated", "fastavro"
IN_ORDER = "events in their order"


def measure(rounds: int, count: int) -> list[dict[str, dict[str, float]]]:
    """For each round the cost of both ways, by kind of record."""
    work: dict[str, tuple[Mapping[str, Callable[[bytes], Any]], list[bytes]]] = {}
    for kind, records in _samples(count).items():
        command = isinstance(records[0], Command)
        codec, schema = (COMMANDS, COMMAND_SCHEMA) if command else (CODEC, EVENT_SCHEMA)
        values = [generated(record) for record in records]
        work[kind] = {GENERATED: codec.read, FASTAVRO: partial(_by_fastavro, schema)}, values
        assert [*map(codec.read, values)] == [_by_fastavro(schema, value) for value in values], kind
    found = []
    for _ in range(rounds):
        costs: dict[str, dict[str, float]] = defaultdict(dict)
        for kind, (ways, values) in work.items():
            for way, read in ways.items():
                begun = time.process_time()
                for value in values:
                    read(value)
                costs[kind][way] = (time.process_time() - begun) / len(values) * 1e6
        found.append(dict(costs))
    return found


def _samples(count: int) -> dict[str, list[Sample]]:
    by_kind = sample_records(count)
    events = {
        one.position: one for records in by_kind.values() for one in records if isinstance(one, RecordedEvent)
    }
    return {**by_kind, IN_ORDER: [events[position] for position in sorted(events)]}


def _by_fastavro(schema: Any, value: bytes) -> dict[str, Any]:
    raw = decode(schema, value, HEADER_BYTES)
    return raw | {"body": raw["body"][1]}


def print_table(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> None:
    """One row per kind: medians, and how many times as much fastavro costs in the same rounds."""
    print(f"{'record':<24}{'generated':>11}{'fastavro':>11}{'fastavro costs':>16}")
    for kind in rounds[0]:
        found = spread([one[kind] for one in rounds])
        ratio = statistics.median(one[kind][FASTAVRO] / one[kind][GENERATED] for one in rounds)
        medians = (found[way]["median"] for way in (GENERATED, FASTAVRO))
        print(f"{kind:<24}" + "".join(f"{median:>11.1f}" for median in medians) + f"{ratio:>14.1f} x")
    print(f"\n{interpreter()}. fastavro {fastavro.__version__}. Microseconds of CPU per record, medians.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of reading one record.")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--records", type=int, default=500)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    rounds = measure(options.rounds, options.records)
    print_table(rounds)
    if options.json:
        kinds = {kind: spread([one[kind] for one in rounds]) for kind in rounds[0]}
        write_json(options.json, {"interpreter": interpreter(), "rounds": options.rounds, "figures": kinds})


if __name__ == "__main__":
    main()
