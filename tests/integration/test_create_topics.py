"""Topics on a real broker: created as declared, compared at every start; the partition count of the store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from schemas.create_topics import Done, config_of, create_topics
from schemas.errors import PartitionCountChanged, TopicMismatch, TopicReplaced
from schemas.partition_count import check_partitions
from schemas.topic_identity import check_identity
from schemas.topics import DAY_MS, EVENTS, MIB, all_topics, orders_topic
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.confluent_broker import new_admin
from tierline.kit.database import connect
from tierline.kit.health import Health
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


def delete(admin: AdminClient, *names: str) -> None:
    """A broker knows a deleted topic for a moment longer."""
    for deleted in admin.delete_topics(list(names), operation_timeout=30).values():
        deleted.result()
    wait_for(lambda: not {*names} & admin.list_topics(timeout=10).topics.keys(), f"{names} to be gone")


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


def test_a_topic_that_was_made_again_is_refused_where_somebody_has_a_position(
    settings: Settings, admin: AdminClient, kafka: KafkaSettings
) -> None:
    """However many records it has by now; the action says how to accept it."""
    create_topics(admin, kafka, [PORTAL, EVENTS])
    with connect(settings.database_url, "test") as connection:
        check_identity(connection, admin, kafka, [PORTAL, EVENTS])
        connection.execute(
            "INSERT INTO oms.lease (consumer, topic, partition, epoch, owner, next_offset)"
            " VALUES ('anyone', %s, 0, 1, gen_random_uuid(), 0)",
            (PORTAL.name,),
        )
        connection.commit()
        check_identity(connection, admin, kafka, [PORTAL, EVENTS])
        delete(admin, *(kafka.topic_prefix + topic.name for topic in (PORTAL, EVENTS)))
        create_topics(admin, kafka, [PORTAL, EVENTS])

        check_identity(connection, admin, kafka, [EVENTS])
        with pytest.raises(TopicReplaced, match=f"{PORTAL.name} was deleted") as refused:
            check_identity(connection, admin, kafka, [PORTAL, EVENTS])
        connection.execute(refused.value.action.split("and then: ")[1])
        check_identity(connection, admin, kafka, [PORTAL, EVENTS])


def test_no_worker_starts_on_a_topic_that_was_made_again(settings: Settings, admin: AdminClient) -> None:
    """Nor does preparing hide it."""
    bootstrap.prepare(settings)
    with connect(settings.database_url, "test") as connection:
        connection.execute(
            "INSERT INTO oms.lease (consumer, topic, partition, epoch, owner, next_offset)"
            " VALUES ('anyone', %s, 0, 1, gen_random_uuid(), 0)",
            (PORTAL.name,),
        )
    delete(admin, settings.kafka.topic_prefix + PORTAL.name)

    with pytest.raises(TopicReplaced):
        bootstrap.prepare(settings)
    with pytest.raises(TopicReplaced):
        bootstrap._check_prepared("orders", settings, Health())


def test_a_dead_letter_topic_that_was_made_again_stops_triage_alone(
    settings: Settings, admin: AdminClient
) -> None:
    """Orders are taken in and decided meanwhile; triage says what to do."""
    bootstrap.prepare(settings)
    topic = PORTAL.dead_letter
    assert topic is not None
    with connect(settings.database_url, "test") as connection:
        check_identity(connection, admin, settings.kafka, dead_letters_too=True)
        connection.execute(
            "INSERT INTO oms.lease (consumer, topic, partition, epoch, owner, next_offset)"
            " VALUES ('tierline-triage', %s, 0, 1, gen_random_uuid(), 0)",
            (topic.name,),
        )
    delete(admin, settings.kafka.topic_prefix + topic.name)

    bootstrap.prepare(settings)
    bootstrap._check_prepared("normalizer", settings, Health())
    with pytest.raises(TopicReplaced, match=topic.name):
        bootstrap._check_prepared("triage", settings, Health())
