"""Make the declared topics, and compare those that exist with their declaration.

Only what cannot hurt is altered: a retention that is shorter than declared is raised. A longer one is left
alone, since shortening deletes records. Everything else that differs stops the start.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from tenacity import stop_after_delay

from schemas.errors import NotPrepared, TopicMismatch
from schemas.topics import Topic, all_topics
from tierline.kit.errors import Unavailable
from tierline.kit.retry import BROKER
from tierline.kit.settings import KafkaSettings

WAIT_S = 30.0
SEEN_S = 5.0
"""How long a topic that was just created may be unknown to the broker that is asked."""
RETENTION = "retention.ms"


class Done(StrEnum):
    """What happened to a topic at a start."""

    CREATED = "created"
    RETENTION_RAISED = "retention raised"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class _Existing:
    partitions: int
    config: Mapping[str, str]


def create_topics(
    admin: AdminClient, kafka: KafkaSettings, declared: Iterable[Topic] | None = None
) -> dict[str, Done]:
    """Create or compare ``declared`` (default: every topic), with the prefix and partitions of ``kafka``.

    Returns what was done by topic name on the wire. Several workers may do this at once. Raises
    TopicMismatch for the first topic that differs, KafkaException when the broker refuses or is away.
    """
    wanted = {kafka.topic_prefix + topic.name: topic for topic in declared or all_topics()}
    missing = wanted.keys() - _listed(admin).keys()
    created = _create(admin, kafka, {name: wanted[name] for name in missing})
    others = wanted.keys() - created
    done = dict.fromkeys(created, Done.CREATED)
    for name, existing in sorted(_describe(admin, others).items()):
        done[name] = _compare(admin, name, wanted[name], kafka.partitions, existing)
    return {name: done[name] for name in wanted}


def check_topics(admin: AdminClient, kafka: KafkaSettings, declared: Iterable[Topic] | None = None) -> None:
    """Raises NotPrepared when one of ``declared`` (default: every topic) does not exist."""
    names = [kafka.topic_prefix + topic.name for topic in declared or all_topics()]
    try:
        BROKER.copy(stop=stop_after_delay(SEEN_S))(_partitions, admin, names)
    except Unavailable as unseen:
        raise NotPrepared(str(unseen)) from unseen


def config_of(topic: Topic) -> dict[str, str]:
    """The topic's settings as Kafka takes them."""
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(topic.max_message_bytes),
        "message.timestamp.type": topic.timestamp_type,
        RETENTION: str(topic.retention_ms),
    }


def _create(admin: AdminClient, kafka: KafkaSettings, missing: Mapping[str, Topic]) -> set[str]:
    """Create; a topic that another worker created first is not among the returned names."""
    new = [
        NewTopic(
            name,
            num_partitions=kafka.partitions,
            replication_factor=kafka.replication_factor,
            config=config_of(topic),
        )
        for name, topic in missing.items()
    ]
    created = set()
    for name, answer in admin.create_topics(new, operation_timeout=WAIT_S).items() if new else ():
        try:
            answer.result()
            created.add(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def _listed(admin: AdminClient) -> dict[str, int]:
    """Every topic with its partition count."""
    listed = BROKER(admin.list_topics, timeout=WAIT_S).topics
    return {name: len(topic.partitions) for name, topic in listed.items()}


def _describe(admin: AdminClient, names: Collection[str]) -> dict[str, _Existing]:
    """Partition count and settings; waits for a topic that was only just created elsewhere."""
    if not names:
        return {}
    partitions = BROKER(_partitions, admin, names)
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    return {
        resource.name: _Existing(
            partitions[resource.name], {entry.name: entry.value for entry in answer.result().values()}
        )
        for resource, answer in admin.describe_configs(resources, request_timeout=WAIT_S).items()
    }


def _partitions(admin: AdminClient, names: Collection[str]) -> dict[str, int]:
    listed = _listed(admin)
    unseen = [name for name in names if name not in listed]
    if unseen:
        raise Unavailable(f"topic {unseen[0]} is not in the broker's metadata yet")
    return {name: listed[name] for name in names}


def _compare(admin: AdminClient, name: str, topic: Topic, partitions: int, existing: _Existing) -> Done:
    if existing.partitions != partitions:
        raise TopicMismatch(
            f"topic {name} has {existing.partitions} partitions, TIERLINE_KAFKA__PARTITIONS is {partitions}",
            f"Set TIERLINE_KAFKA__PARTITIONS={existing.partitions}: an account never changes its partition.",
        )
    for setting, value in config_of(topic).items():
        if setting != RETENTION and existing.config[setting] != value:
            raise TopicMismatch(
                f"topic {name} has {setting}={existing.config[setting]}, declared is {value}",
                f"Stop the workers, set {setting}={value} on the topic (kafka-configs), start again.",
            )
    if not _kept_shorter(int(existing.config[RETENTION]), topic.retention_ms):
        return Done.UNCHANGED
    _set(admin, name, RETENTION, str(topic.retention_ms))
    return Done.RETENTION_RAISED


def _kept_shorter(actual_ms: int, declared_ms: int) -> bool:
    """Whether ``actual_ms`` keeps records for less time; -1 keeps them for ever."""
    return actual_ms != -1 and (declared_ms == -1 or actual_ms < declared_ms)


def _set(admin: AdminClient, name: str, setting: str, value: str) -> None:
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for answer in admin.incremental_alter_configs([resource], request_timeout=WAIT_S).values():
        answer.result()
