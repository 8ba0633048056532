"""The normalizer before its loop turns."""

from __future__ import annotations

from streams.normalizer import NormalizerWorker
from tests.support.order_values import CATALOG
from tierline.kit.health import STEPS, Health
from tierline.kit.settings import Settings
from tierline.kit.telemetry import Metrics


def test_a_normalizer_that_has_not_asked_for_partitions_has_not_started() -> None:
    """However far everything else is: the group is asked by a loop that turns later."""
    health = Health()
    NormalizerWorker(Settings(), schema_id=1, catalog=CATALOG, metrics=Metrics(), health=health)
    for step in STEPS:
        health.done(step)

    assert not health.started().ok
    assert "partitions of all channels" in health.started().detail
