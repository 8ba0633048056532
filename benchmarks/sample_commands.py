"""Openings and orders as the workers get them, for the benchmarks: repeatable, and made by the real code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from streams.normalizing.resolve import RefRow, Resolved, resolve_record
from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import Intent, PlanNames, Reading
from streams.subscription_import import opening_command, read_line
from tierline.domain.catalog import Catalog
from tierline.domain.commands import Command
from tierline.kit.records import Record
from tierline.kit.version import APP_VERSION
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.orders import SampleOrders
from tierline.workload.records import Kind, SampleRecord

SEED = 7
MIX = {Kind.DUPLICATE: 0.03, Kind.INELIGIBLE: 0.04, Kind.PAIR: 0.04}


def invoice_samples(accounts: int, catalog: Catalog) -> list[SampleSubscription]:
    """Subscriptions of ``accounts`` accounts that pay by invoice; every fourth shares its account."""
    count = accounts * 4 // 3 + 1
    samples = sample_subscriptions(count, SEED, datetime.now(UTC).date(), catalog, "bench")
    return [replace(s, payment="invoice", line=s.line | {"payment": "invoice"}) for s in samples]


def openings(samples: Sequence[SampleSubscription], now_ms: int) -> Iterator[Command]:
    """The command that opens each of them."""
    for number, sample in enumerate(samples, 1):
        line = read_line(number, msgspec.json.encode(sample.line))
        yield opening_command(line, number, "benchmark", now_ms, APP_VERSION, "main")


class OrderIntents:
    """Orders of every channel for open subscriptions, each record received a millisecond after the last.

    Upgrades and partner orders over two subscriptions, with 3 % duplicates and 4 % that no rule lets pass.
    """

    def __init__(self, samples: Sequence[SampleSubscription], catalog: Catalog, now_ms: int) -> None:
        self._source = SampleOrders(samples, SEED, "bench", mix=MIX)
        self._plans = {name: PlanNames(catalog, name) for name in CHANNELS}
        self._rows = _rows(samples)
        self._received_ms = now_ms

    def take(self, count: int) -> Iterator[tuple[Intent, Resolved]]:
        """The next ``count`` intents, each with the subscription that it means."""
        for sample in self._source.take(count):
            self._received_ms += 1
            yield from self._read(sample)

    def records(self, count: int) -> Iterator[SampleRecord]:
        """The next ``count`` intents, and a few more where a record has several, as channels send them."""
        return self._source.take(count)

    def _read(self, sample: SampleRecord) -> Iterator[tuple[Intent, Resolved]]:
        channel, place = CHANNELS[sample.channel], self._received_ms
        record = Record(channel.topic.name, 0, place, place, None, sample.value)
        reading = read_intents(channel, record, self._plans[sample.channel])
        assert isinstance(reading, Reading), reading
        for intent, found in zip(reading.intents, resolve_record(reading.intents, self._rows), strict=True):
            assert isinstance(found, Resolved), found
            yield intent, found


def _rows(samples: Iterable[SampleSubscription]) -> dict[str, tuple[RefRow, ...]]:
    """What the normalizer knows of the references in the orders."""
    rows: dict[str, tuple[RefRow, ...]] = {}
    for sample in samples:
        account, subscription = sample.account_id, sample.subscription_id
        rows[account] = (RefRow("*", "*", "account", account, account, subscription),)
        rows[subscription] = (RefRow("*", "*", "subscription", subscription, account, subscription),)
        for known in sample.line["external_refs"]:
            channel, source, ref = known["channel"], known["source"], known["ref"]
            rows[ref] = (RefRow(channel, source, "subscription", ref, account, subscription),)
    return rows
