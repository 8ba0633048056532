"""Question: what does one order cost the normalizer, from its bytes to the bytes of its command?

Run: ``.venv/bin/python -m benchmarks.normalizer_hot_path [--rounds N] [--records N] [--json]``. Prints the
median over interleaved rounds in microseconds of CPU per record. ``--json`` also writes the figures to
``benchmarks/normalizer_hot_path.json``.

Reading is quick (typed decoder; what production does with plain bytes) or strict (json.loads with all
checks, then the contract). Writing is fused (generated writer) or by fastavro (Command → dict → fastavro).
Looking up the references in known rows is the same in all. Before anything is timed, all ways must give
the same bytes for every record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import interpreter
from benchmarks.reference import FastavroWriter, read_strictly
from streams.normalizing.normalize import Deployment, Normalizer
from streams.normalizing.resolve import RefRow, Resolved, resolve_record
from streams.pipeline import CHANNELS, Channel, read_intents
from streams.reading.intent import Intent, PlanNames, Reading, Unreadable
from tierline.kit.catalog_file import load_catalog
from tierline.kit.records import Record

QUICK = ("--rounds", "3", "--records", "100")
FIGURES = Path(__file__).with_suffix(".json")
CATALOG = load_catalog(Path(__file__).parents[1] / "catalog" / "catalog.yaml")
PLANS = {name: PlanNames(CATALOG, name) for name in CHANNELS}
ARRIVAL_MS = 1_795_435_200_000
SCHEMA_ID = 7
DECIDE_WITHIN_MS = 8_000
DEPLOYMENT: Deployment = {"tenant_id": "main", "livemode": False, "app_version": "0.1.0"}
NORMALIZER = Normalizer(SCHEMA_ID, **DEPLOYMENT, partitions=12, decide_within_ms=DECIDE_WITHIN_MS)

Order = dict[str, Any]
Rows = dict[str, tuple[RefRow, ...]]
Read = Callable[[Channel, Record], Reading | Unreadable]
Write = Callable[[Intent, Resolved], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    payload: str
    reading: str
    writing: str


@dataclass(frozen=True, slots=True)
class Figure:
    """What one case costs: median, best and worst round in microseconds of CPU per record."""

    case: Case
    median: float
    best: float
    worst: float


def portal_order(number: int) -> Order:
    """An order with every field that the portal sends."""
    return {
        "reference": f"web-20261123-{number:04}",
        "account_id": f"acc_{number}",
        "subscription_id": f"sub_{number}",
        "target": {"plan": "business-year", "seats": 15 + number % 40},
        "effective": "now",
        "quote": None,
        "payment_method": "pm_card_visa",
        "requested_by": f"usr_{number % 97}",
        "requested_at": "2026-11-23T10:02:11Z",
        "validate_only": False,
    }


def partner_order(number: int) -> Order:
    """The shortest useful product order of one item."""
    item = {
        "id": "1",
        "action": "modify",
        "quantity": 15 + number % 40,
        "product": {"id": f"PROD-{number}"},
        "productOffering": {"id": "OFF-BUSINESS-Y"},
    }
    start = "2026-11-23T00:00:00Z"
    return {"externalId": f"PO-{number}", "requestedStartDate": start, "productOrderItem": [item]}


def rich_partner_order(number: int) -> Order:
    """The same with further public fields, which are not read but still have to be harmless."""
    party = {"id": "org-3", "role": "seller", "@referredType": "Organization"}
    note = {"id": "n1", "author": "shop", "text": "please call before"}
    return {"@type": "ProductOrder", "note": [note], "relatedParty": [party], **partner_order(number)}


PAYLOADS: dict[str, tuple[str, Callable[[int], Order]]] = {
    "portal": ("portal", portal_order),
    "partner": ("partner", partner_order),
    "partner, rich": ("partner", rich_partner_order),
}


READINGS: dict[str, Read] = {
    "quick": lambda channel, record: read_intents(channel, record, PLANS[channel.name]),
    "strict": lambda channel, record: read_strictly(channel, record, PLANS[channel.name]),
}


WRITINGS: dict[str, Write] = {
    "fused": lambda intent, resolved: NORMALIZER.command(intent, resolved).value,
    "fastavro": FastavroWriter(SCHEMA_ID, DEPLOYMENT, DECIDE_WITHIN_MS).write,
}
CASES = [
    Case(payload, reading, writing) for payload in PAYLOADS for reading in READINGS for writing in WRITINGS
]


def records_of(payload: str, count: int) -> list[Record]:
    """``count`` different records."""
    channel, order = PAYLOADS[payload]
    topic = CHANNELS[channel].topic.name
    return [
        Record(topic, number % 12, 10**6 + number, ARRIVAL_MS, None, json.dumps(order(number)).encode())
        for number in range(count)
    ]


def rows_of(count: int) -> Rows:
    """What the context cache would know of the references in those records."""
    rows: Rows = {}
    for number in range(count):
        account, subscription, product = f"acc_{number}", f"sub_{number}", f"PROD-{number}"
        rows[account] = (RefRow("*", "*", "account", account, account, subscription),)
        rows[subscription] = (RefRow("*", "*", "subscription", subscription, account, subscription),)
        rows[product] = (RefRow("partner", "main", "subscription", product, account, subscription),)
    return rows


def commands(case: Case, records: Sequence[Record], rows: Rows) -> list[bytes]:
    """The work that is timed."""
    channel = CHANNELS[PAYLOADS[case.payload][0]]
    read, write = READINGS[case.reading], WRITINGS[case.writing]
    written = []
    for record in records:
        reading = read(channel, record)
        assert isinstance(reading, Reading)
        for intent, resolved in zip(reading.intents, resolve_record(reading.intents, rows), strict=True):
            assert isinstance(resolved, Resolved)
            written.append(write(intent, resolved))
    return written


def measure(rounds: int, count: int) -> list[Figure]:
    """Time all cases, round by round, each round in turn through all of them."""
    rows = rows_of(count)
    records = {payload: records_of(payload, count) for payload in PAYLOADS}
    for payload in PAYLOADS:
        results = [commands(case, records[payload], rows) for case in CASES if case.payload == payload]
        assert all(result == results[0] for result in results), f"{payload}: the ways differ"
    taken: dict[Case, list[float]] = {case: [] for case in CASES}
    for _ in range(rounds):
        for case in CASES:
            begun = time.process_time()
            commands(case, records[case.payload], rows)
            taken[case].append((time.process_time() - begun) / count * 1e6)
    return [Figure(case, statistics.median(costs), min(costs), max(costs)) for case, costs in taken.items()]


def print_table(figures: Sequence[Figure]) -> None:
    """One row per case; the ratio compares with strict reading and fastavro of the same payload."""
    baseline = {
        f.case.payload: f.median
        for f in figures
        if (f.case.reading, f.case.writing) == ("strict", "fastavro")
    }
    print(f"{'payload':<15}{'reading':<9}{'writing':<11}{'µs/record':>10}{'best':>8}{'worst':>8}{'ratio':>8}")
    for figure in figures:
        case = figure.case
        ratio = baseline[case.payload] / figure.median
        print(
            f"{case.payload:<15}{case.reading:<9}{case.writing:<11}"
            f"{figure.median:>10.1f}{figure.best:>8.1f}{figure.worst:>8.1f}{ratio:>7.1f}x"
        )
    print(f"\n{interpreter()}. Ratio: strict reading and writing by fastavro cost this many times as much.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of one order in the normalizer.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--records", type=int, default=1_000)
    parser.add_argument("--json", action="store_true", help=f"also write {FIGURES.name}")
    options = parser.parse_args(arguments)
    figures = measure(options.rounds, options.records)
    print_table(figures)
    if options.json:
        rows = [
            {
                "payload": f.case.payload,
                "reading": f.case.reading,
                "writing": f.case.writing,
                "us_per_record": f.median,
            }
            for f in figures
        ]
        content = {
            "interpreter": interpreter(),
            "rounds": options.rounds,
            "records": options.records,
            "figures": rows,
        }
        FIGURES.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
