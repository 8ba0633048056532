"""Topics on a real broker: created as declared, compared at every start; the partition count of the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.create_topics import Done, config_of, create_topics
from schemas.errors import PartitionCountChanged, TopicMismatch
from schemas.partition_count import check_partitions
from schemas.topics import DAY_MS, EVENTS, MIB, all_topics, orders_topic
from tierline.kit.confluent_broker import new_admin
from tierline.kit.database import connect
from tierline.kit.settings import KafkaSettings, Settings

pytestmark = pytest.mark.stack

PORTAL = orders_topic("portal")


@pytest.fixture
def kafka(settings: Settings) -> KafkaSettings:
    """The test's own prefix."""
    return settings.kafka


@pytest.fixture
def admin(kafka: KafkaSettings) -> AdminClient:
    """An admin client on the stack's broker."""
    return new_admin(kafka)


def config(admin: AdminClient, name: str) -> dict[str, str]:
    (answer,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values()
    return {entry.name: entry.value for entry in answer.result().values()}


def assert_retention(expected: str, admin: AdminClient, name: str) -> None:
    """A broker applies an altered setting a moment after the controller accepted it."""
    waiting = Retrying(
        retry=retry_if_exception_type(AssertionError),
        wait=wait_fixed(0.05),
        stop=stop_after_delay(10),
        reraise=True,
    )
    for attempt in waiting:
        with attempt:
            assert expected == config(admin, name)["retention.ms"]


def test_every_topic_is_created_as_declared(admin: AdminClient, kafka: KafkaSettings) -> None:
    """Prefix, partitions and settings; the second start changes nothing."""
    names = [kafka.topic_prefix + topic.name for topic in all_topics()]

    assert dict.fromkeys(names, Done.CREATED) == create_topics(admin, kafka)
    assert dict.fromkeys(names, Done.UNCHANGED) == create_topics(admin, kafka)
    listed = admin.list_topics().topics
    for name, topic in zip(names, all_topics(), strict=True):
        assert kafka.partitions == len(listed[name].partitions)
        assert config_of(topic).items() <= config(admin, name).items()


def test_workers_that_start_together_create_each_topic_once(admin: AdminClient, kafka: KafkaSettings) -> None:
    """Whoever comes second compares."""
    with ThreadPoolExecutor(4) as workers:
        done = list(workers.map(lambda _: create_topics(admin, kafka, [PORTAL]), range(4)))

    outcomes = [only for result in done for only in result.values()]
    assert [Done.CREATED, *[Done.UNCHANGED] * 3] == sorted(outcomes)


def test_a_shorter_retention_is_raised_and_a_longer_one_left_alone(
    admin: AdminClient, kafka: KafkaSettings
) -> None:
    """Nothing that exists is deleted by a start."""
    name = kafka.topic_prefix + PORTAL.name
    create_topics(admin, kafka, [replace(PORTAL, retention_ms=DAY_MS)])

    raised = create_topics(admin, kafka, [replace(PORTAL, retention_ms=2 * DAY_MS)])
    assert_retention(str(2 * DAY_MS), admin, name)
    again = create_topics(admin, kafka, [replace(PORTAL, retention_ms=DAY_MS)])

    assert {name: Done.RETENTION_RAISED} == raised
    assert {name: Done.UNCHANGED} == again
    assert_retention(str(2 * DAY_MS), admin, name)


def test_a_topic_that_must_keep_for_ever_is_made_to(admin: AdminClient, kafka: KafkaSettings) -> None:
    """The events have no retention."""
    create_topics(admin, kafka, [replace(EVENTS, retention_ms=DAY_MS)])

    create_topics(admin, kafka, [EVENTS])

    assert_retention("-1", admin, kafka.topic_prefix + EVENTS.name)


def test_another_timestamp_type_is_refused(admin: AdminClient, kafka: KafkaSettings) -> None:
    """Orders are stamped by the broker, so that no producer can backdate."""
    create_topics(admin, kafka, [replace(PORTAL, timestamp_type="CreateTime")])

    with pytest.raises(TopicMismatch, match=r"timestamp\.type=CreateTime, declared is LogAppendTime"):
        create_topics(admin, kafka, [PORTAL])


def test_another_record_limit_is_refused(admin: AdminClient, kafka: KafkaSettings) -> None:
    """A smaller one would refuse orders."""
    create_topics(admin, kafka, [replace(PORTAL, max_message_bytes=MIB)])

    with pytest.raises(TopicMismatch, match=r"max\.message\.bytes=1048576, declared is 4194304"):
        create_topics(admin, kafka, [PORTAL])


def test_another_partition_count_is_refused(admin: AdminClient, kafka: KafkaSettings) -> None:
    """The error names both counts and the setting."""
    create_topics(admin, kafka, [PORTAL])

    with pytest.raises(TopicMismatch, match="has 4 partitions, TIERLINE_KAFKA__PARTITIONS is 6") as refused:
        create_topics(admin, kafka.model_copy(update={"partitions": 6}), [PORTAL])

    assert "Set TIERLINE_KAFKA__PARTITIONS=4" in refused.value.action


def test_the_partition_count_of_the_store_never_changes(settings: Settings) -> None:
    """Chosen at the first start, compared at every later one."""
    with connect(settings.database_url, "test") as connection:
        check_partitions(connection, 12)
    with connect(settings.database_url, "test") as connection:
        check_partitions(connection, 12)
        with pytest.raises(PartitionCountChanged, match=r"has 12 partitions, .* is 48"):
            check_partitions(connection, 48)
