"""How far consumers are behind, read from real servers without the help of any worker."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from schemas.topics import NORMALIZER, READERS, orders_topic
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.database import connect
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.local.lag import Lag, read_lag

pytestmark = pytest.mark.stack

PORTAL = orders_topic("portal").name
MINUTE_S = 60


@pytest.fixture
def prepared(settings: Settings) -> Settings:
    bootstrap.prepare(settings)
    return settings


def portal_lag(settings: Settings) -> Lag:
    """What the normalizer has before it in the portal's topic."""
    return next(lag for lag in read_lag(settings) if lag.topic == PORTAL)


def reach(settings: Settings, partition: int, offset: int) -> None:
    """The normalizer's lease of a partition stands at ``offset``."""
    with connect(settings.database_url, "test") as connection:
        connection.execute(
            "INSERT INTO oms.lease (consumer, topic, partition, epoch, owner, next_offset)"
            " VALUES (%s, %s, %s, 1, gen_random_uuid(), %s)",
            (NORMALIZER, PORTAL, partition, offset),
        )


def test_empty_topics_are_not_behind(prepared: Settings) -> None:
    """Every consumer has a line, whether it ever ran or not."""
    assert [Lag(consumer, topic.name) for topic, consumer in READERS] == list(read_lag(prepared))


def test_records_after_the_lease_are_counted_and_the_oldest_tells_its_age(prepared: Settings) -> None:
    """A consumer that never ran has everything before it; one that did has what its lease leaves."""
    send_all(
        bootstrap.producer(prepared, "test"),
        [Message(PORTAL, None, b"{}", partition) for partition in (0, 0, 0, 1)],
        30,
    )
    reach(prepared, 0, 2)

    found = portal_lag(prepared)

    assert (2, 2) == (found.records, found.partitions)
    assert found.oldest_s is not None
    assert 0 <= found.oldest_s < MINUTE_S

    reach(prepared, 1, 1)
    assert (1, 1) == (portal_lag(prepared).records, portal_lag(prepared).partitions)


def test_the_mark_of_a_transaction_is_no_record(prepared: Settings) -> None:
    """A channel that publishes in transactions leaves marks behind its records; nobody waits for those."""
    producer = Producer(
        {"bootstrap.servers": prepared.kafka.bootstrap_servers, "transactional.id": "channel", "log_level": 3}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(prepared.kafka.topic_prefix + PORTAL, b"{}", partition=0)
    producer.commit_transaction(30)

    wait_for(lambda: portal_lag(prepared).partitions == 1, "the transaction to be seen")
    reach(prepared, 0, 1)
    assert Lag(NORMALIZER, PORTAL) == portal_lag(prepared)
