"""A report counts what was lost, what ended twice and what came out of order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from tierline.verify.check import Report
from tierline.verify.client_log import judge_client_log
from tierline.verify.evidence import (
    ClientOrder,
    Evidence,
    Finding,
    Harm,
    HeldRecord,
    Intent,
    Place,
    RawRecord,
    SkippedIntent,
    TopicEvent,
)
from tierline.verify.invariants import each_intent_has_one_outcome, positions_are_contiguous, settle
from tierline.verify.key_order import keys_keep_their_order

PLACES = [Place("orders.portal.v1", 0, offset) for offset in range(3)]
RAW = [RawRecord(place, b"key", b"value") for place in PLACES]
SKIPPED = [SkippedIntent(Intent(place, 0), 1, "DISCARDED") for place in PLACES]
CLIENT = [
    ClientOrder("log:1", place.topic, b"key", hashlib.sha256(b"value").digest(), 1, "ok", place)
    for place in PLACES
]
HELD = HeldRecord(PLACES[0], (0,), 1, "unknown_account", "UNKNOWN_REFERENCE", b"key", b"value")


def decision(position: int, at: int, of: Place) -> TopicEvent:
    """The decision about the order at ``of``, with ``position``, which stands in the log at ``at``."""
    envelope = {
        "origin": of._asdict(),
        "decision_index": 0,
        "decision_count": 1,
        "intent_index": 0,
        "intent_count": 1,
    }
    return TopicEvent(Place("oms.events.v1", 0, at), position, b"", "", b"", envelope)


def decided(*places: Place) -> list[TopicEvent]:
    """A log in which these orders are decided one after the other."""
    return [decision(position, position, place) for position, place in enumerate(places)]


def report_on(evidence: Evidence) -> Report:
    """What the invariants say that tell of a harm."""
    settled = settle(evidence.topic)
    findings: Sequence[Finding] = [
        *each_intent_has_one_outcome(evidence, settled),
        *judge_client_log(evidence, settled),
        positions_are_contiguous(settled),
        keys_keep_their_order(evidence, settled),
    ]
    return Report(findings, len(evidence.raw), len(evidence.topic), {})


@pytest.mark.parametrize(
    ("evidence", "suffered"),
    [
        (Evidence(raw=RAW, topic=decided(*PLACES)), (0, 0, 0)),
        (Evidence(raw=RAW, skipped=SKIPPED, client_orders=CLIENT), (0, 0, 0)),
        (Evidence(raw=RAW, skipped=SKIPPED[:1]), (2, 0, 0)),
        (Evidence(raw=RAW[:1], skipped=SKIPPED[:1], client_orders=CLIENT), (2, 0, 0)),
        (Evidence(raw=RAW, skipped=SKIPPED[:2], client_orders=CLIENT), (2, 0, 0)),
        (Evidence(raw=RAW, skipped=SKIPPED, held=[HELD]), (0, 1, 0)),
        (Evidence(raw=RAW, skipped=SKIPPED, client_orders=CLIENT[:2]), (0, 2, 0)),
        (Evidence(raw=RAW, topic=decided(*reversed(PLACES))), (0, 0, 2)),
        (
            Evidence(raw=RAW, topic=[decision(1 - n, n, PLACES[n]) for n in range(2)], skipped=SKIPPED[2:]),
            (0, 0, 1),
        ),
    ],
    ids=[
        "decided",
        "skipped",
        "no outcome",
        "not in the log",
        "no outcome, as its client knows",
        "two outcomes",
        "twice in the log",
        "orders of a key",
        "positions",
    ],
)
def test_each_harm_is_counted(evidence: Evidence, suffered: tuple[int, int, int]) -> None:
    """Lost, twice, out of order; nothing else."""
    report = report_on(evidence)

    assert suffered == tuple(report.suffered(harm) for harm in (Harm.LOST, Harm.TWICE, Harm.OUT_OF_ORDER))
