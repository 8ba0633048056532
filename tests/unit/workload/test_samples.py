"""The sample accounts and orders: repeatable, readable by the import, with the promised mix."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from streams.pipeline import CHANNELS, read_intents
from streams.reading.intent import PlanNames, Unreadable
from streams.subscription_import import read_line
from tierline.domain.catalog import Catalog
from tierline.kit.catalog_file import load_catalog
from tierline.kit.records import Record
from tierline.workload.accounts import SampleSubscription, sample_subscriptions
from tierline.workload.orders import CHANNELS as CHANNELS_OF_SAMPLES
from tierline.workload.orders import SampleOrders
from tierline.workload.records import Kind, SampleRecord

TODAY = date(2026, 11, 23)
NOW_MS = 1_795_435_200_000  # noon of that day


@pytest.fixture(scope="module")
def price_book() -> Catalog:
    return load_catalog(Path("catalog/catalog.yaml"))


@pytest.fixture(scope="module")
def samples(price_book: Catalog) -> list[SampleSubscription]:
    return list(sample_subscriptions(1000, 7, TODAY, price_book))


def test_every_sample_is_a_line_that_the_import_takes(samples: list[SampleSubscription]) -> None:
    """What the generator writes, the import reads, with ids of its own per subscription."""
    lines = [read_line(n, msgspec.json.encode(s.line)) for n, s in enumerate(samples, 1)]

    assert 1000 == len({line.subscription_id for line in lines})
    assert {"invoice", "gateway"} == {line.payment for line in lines}


@pytest.mark.parametrize(
    "today", [date(2026, 1, 31), date(2026, 2, 28), date(2028, 2, 29), date(2026, 12, 1)]
)
def test_the_period_in_force_keeps_its_distance_from_today(price_book: Catalog, today: date) -> None:
    """No sample period starts or ends within two days, so a run over midnight meets no renewal."""
    for sample in sample_subscriptions(100, 7, today, price_book):
        start, end = (date.fromisoformat(sample.line["period"][edge]) for edge in ("start", "end"))

        assert start + timedelta(days=1) < today < end - timedelta(days=1)


def test_the_same_seed_gives_the_same_run(samples: list[SampleSubscription]) -> None:
    """Accounts and orders follow from the seed alone."""
    first, second, other = (
        list(SampleOrders(samples, seed, now_ms=lambda: NOW_MS).take(300)) for seed in (7, 7, 8)
    )

    assert first == second
    assert first != other


def test_some_subscriptions_open_with_a_module_that_was_invoiced(samples: list[SampleSubscription]) -> None:
    """About one in twenty, each with its own row."""
    equipped = [sample.line for sample in samples if sample.line["modules"]]

    assert 20 <= len(equipped) <= 100
    assert {("base", "sso-pack")} == {tuple(row["item"] for row in line["invoiced"]) for line in equipped}


@pytest.mark.parametrize("channel", ["portal", "sales_desk"])
def test_some_orders_name_modules_that_fit_their_plan(
    samples: list[SampleSubscription], price_book: Catalog, channel: str
) -> None:
    """In the channels that can; what is refused there is broken for another reason."""
    row, plans = CHANNELS[channel], PlanNames(price_book, channel)
    read = (
        read_intents(row, Record(row.topic.name, 0, 0, 0, None, r.value, r.headers), plans)
        for r in SampleOrders(samples, 7, channels=(channel,), mix={}).take(500)
    )
    naming = [i for r in read if not isinstance(r, Unreadable) for i in r.intents if i.modules]

    assert naming
    for intent in naming:
        plan = price_book.plan(intent.plan or "")
        assert plan is not None
        assert all(plan.tier in price_book.modules[module].tiers for module in intent.modules)


@pytest.mark.parametrize("intents", [1, 2, 3, 50, 2000])
def test_exactly_the_wanted_intents_are_made(samples: list[SampleSubscription], intents: int) -> None:
    """Records with two intents count twice; the last record never overshoots."""
    assert intents == sum(r.intents for r in SampleOrders(samples, 7).take(intents))


def test_the_mix_holds_every_kind_in_about_its_share(samples: list[SampleSubscription]) -> None:
    """Over 2,000 intents each kind of trouble turns up, broken ones near 3 %, duplicates near 5 %."""
    orders = SampleOrders(samples[20:], 7, late=samples[:20])
    kinds = Counter(r.kind for r in orders.take(2000))

    assert set(Kind) == set(kinds)
    assert 30 <= kinds[Kind.BROKEN] <= 90
    assert 60 <= kinds[Kind.DUPLICATE] <= 140


def test_a_duplicate_repeats_an_earlier_record_to_the_byte(samples: list[SampleSubscription]) -> None:
    """What is called a duplicate was sent before, on the same channel under the same key."""
    seen: set[tuple[str, str | None, bytes]] = set()
    for record in SampleOrders(samples, 7).take(2000):
        if record.kind is Kind.DUPLICATE:
            assert (record.channel, record.key, record.value) in seen
        seen.add((record.channel, record.key, record.value))


def test_a_partner_order_over_two_subscriptions_has_two_items(samples: list[SampleSubscription]) -> None:
    """A pair names two products and counts as two intents."""
    pair = next(r for r in SampleOrders(samples, 7).take(2000) if r.kind is Kind.PAIR)

    items = json.loads(pair.value)["productOrderItem"]
    assert (2, 2) == (pair.intents, len({item["product"]["id"] for item in items}))


def test_orders_come_before_their_late_accounts_in_every_channel(samples: list[SampleSubscription]) -> None:
    """For late subscriptions alone, under keys that no other record has."""
    orders = list(SampleOrders(samples[20:], 7, late=samples[:20]).take(2000))
    early = [r for r in orders if r.kind is Kind.EARLY]
    others = {(r.channel, r.key) for r in orders if r.kind is not Kind.EARLY}

    assert set(CHANNELS_OF_SAMPLES) == {r.channel for r in early}
    assert set() == {(r.channel, r.key) for r in early} & others


def test_a_subscription_is_sold_through_one_channel(samples: list[SampleSubscription]) -> None:
    """Channels are read side by side: orders of one subscription keep their order only within one."""
    channels: dict[str, set[str]] = {}
    for record in SampleOrders(samples, 7).take(2000):
        if record.kind in (Kind.UPGRADE, Kind.DUPLICATE, Kind.CORRECTED, Kind.LATE, Kind.STANDING):
            number = (record.key or "")[-5:]
            channels.setdefault(number, set()).add(record.channel)

    assert {1} == {len(own) for own in channels.values()}


def test_who_pays_through_the_gateway_is_ordered_for_once(samples: list[SampleSubscription]) -> None:
    """Where asked for: two orders meet on a payment only where they are meant to."""
    payments = {s.subscription_id[-5:]: s.payment for s in samples}
    orders = SampleOrders(samples, 7, gateway_once=True, mix={}).take(2000)
    times = Counter((r.key or "")[-5:] for r in orders)

    assert 1 == max(count for number, count in times.items() if payments[number] == "gateway")


def operations(samples: list[SampleSubscription], kind: Kind) -> list[dict[str, object]]:
    """What the sample operations of one kind say."""
    records: list[SampleRecord] = list(SampleOrders(samples, 7, now_ms=lambda: NOW_MS).take(4000))
    return [json.loads(r.value) for r in records if r.kind is kind]


def test_late_webhooks_began_long_before_they_come(samples: list[SampleSubscription]) -> None:
    """Every one of them began minutes or hours ago, as the marketplace counts."""
    began = [str(operation["timeStamp"]) for operation in operations(samples, Kind.LATE)]

    assert began
    assert all("2026-11-23T04:5" < when < "2026-11-23T11:58:01" for when in began)


def test_changes_of_standing_are_reinstated_or_final(samples: list[SampleSubscription]) -> None:
    """As many suspensions as reinstatements, and now and then an end."""
    actions = Counter(operation["action"] for operation in operations(samples, Kind.STANDING))

    assert actions["Suspend"] == actions["Reinstate"] > actions["Unsubscribe"] > 0


def test_a_broken_row_comes_again_corrected(samples: list[SampleSubscription]) -> None:
    """Under its old reference, for the same subscription, in the file of corrections; now it is read."""
    records = list(SampleOrders(samples, 7).take(2000))
    desk = CHANNELS["sales_desk"]
    broken = [(r.key, r.value) for r in records if (r.channel, r.kind) == ("sales_desk", Kind.BROKEN)]
    corrected = [r for r in records if r.kind is Kind.CORRECTED]

    assert corrected
    for record in corrected:
        assert ("file", b"demo-corrected.csv") in record.headers
        row = desk.contract.read(record.value).content
        assert any(row.order_ref.encode() in value and key == record.key for key, value in broken)


def test_each_row_has_a_place_of_its_own_in_its_file(samples: list[SampleSubscription]) -> None:
    """File and row are told in the headers, and no two rows of a file share one."""
    rows = [r.headers for r in SampleOrders(samples, 7).take(2000) if r.channel == "sales_desk"]

    assert all(rows)
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("channel", CHANNELS_OF_SAMPLES)
def test_what_is_meant_to_be_broken_is_refused_and_the_rest_is_read(
    samples: list[SampleSubscription], price_book: Catalog, channel: str
) -> None:
    """The mix that the demo counts on is what intake sees."""
    row, plans = CHANNELS[channel], PlanNames(price_book, channel)
    for sample in SampleOrders(samples, 7, channels=(channel,)).take(500):
        record = Record(row.topic.name, 0, 0, 0, None, sample.value, sample.headers)
        is_dead = isinstance(read_intents(row, record, plans), Unreadable)
        assert (sample.kind is Kind.BROKEN) == is_dead, sample.value
