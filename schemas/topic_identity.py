"""Which log stands behind the name of a topic: a position in one means nothing in another of the same name.

Kafka gives each topic an id when it is made. A topic that was deleted and made again has another one, however
many records it has by now; only the id tells that what was at the old offsets is gone or somewhere else.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.errors import TopicReplaced
from schemas.topics import Topic, all_topics, dead_letter_topics
from tierline.kit.database import Connection
from tierline.kit.retry import BROKER
from tierline.kit.settings import KafkaSettings

_ASK_S = 10.0
_SETTING = "topic_id."

_REMEMBER = """
INSERT INTO oms.setting AS known (name, value)
SELECT %(setting)s || topic, id FROM unnest(%(topics)s::text[], %(ids)s::text[]) AS present (topic, id)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
 WHERE known.value <> excluded.value
   AND NOT EXISTS (SELECT FROM oms.lease WHERE %(setting)s || lease.topic = excluded.name)
"""

_REPLACED = """
SELECT topic
  FROM unnest(%(topics)s::text[], %(ids)s::text[]) AS present (topic, id)
  JOIN oms.setting AS known ON known.name = %(setting)s || topic
 WHERE known.value <> id
 ORDER BY topic
"""


def check_identity(
    connection: Connection,
    admin: AdminClient,
    kafka: KafkaSettings,
    declared: Iterable[Topic] | None = None,
    *,
    dead_letters_too: bool = False,
) -> None:
    """Remember the ids of ``declared``, and compare those that leases point into.

    By default these are all topics; those of dead letters only where ``dead_letters_too``: triage alone reads
    them, and made again they stop nobody else. Every topic must exist. Commits unless the caller is in a
    transaction. Raises TopicReplaced.
    """
    wanted = declared or set(all_topics()) - (set() if dead_letters_too else set(dead_letter_topics()))
    ids = BROKER(_ids, admin, kafka, [topic.name for topic in wanted])
    values = {"setting": _SETTING, "topics": list(ids), "ids": list(ids.values())}
    with connection.transaction():
        connection.execute(_REMEMBER, values)
        replaced = [topic for (topic,) in connection.execute(_REPLACED, values)]
    if replaced:
        topic = replaced[0]
        raise TopicReplaced(
            f"topic {topic} was deleted and made again: the positions in oms.lease belong to the old one",
            f"Restore what the old one held, set next_offset in oms.lease to where each consumer of {topic} "
            f"shall continue, and then: DELETE FROM oms.setting WHERE name = '{_SETTING}{topic}'",
        )


def _ids(admin: AdminClient, kafka: KafkaSettings, topics: list[str]) -> dict[str, str]:
    asked = TopicCollection([kafka.topic_prefix + topic for topic in topics])
    answers = admin.describe_topics(asked, request_timeout=_ASK_S)
    return {
        name.removeprefix(kafka.topic_prefix): str(answer.result().topic_id)
        for name, answer in answers.items()
    }
