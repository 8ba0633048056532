"""What our producers may put into one request, against what the topics take."""

from __future__ import annotations

from schemas.topics import all_topics
from tierline.kit.confluent_broker import producer_config
from tierline.kit.settings import KafkaSettings


def test_a_batch_is_never_refused_for_what_is_in_it_together() -> None:
    """The broker refuses a batch as a whole: only a message that is too large by itself may make one so."""
    largest_batch = producer_config(KafkaSettings(), "any")["batch.size"]
    assert largest_batch < min(topic.max_message_bytes for topic in all_topics())
