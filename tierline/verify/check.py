"""The whole check: read, judge, report. Used by ``tierline verify``, the demo and every fault test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from tierline.verify.evidence import Evidence, Finding
from tierline.verify.folds import judge_read_models
from tierline.verify.invariants import judge, settle
from tierline.verify.outcomes import Tally, tally_by_channel
from tierline.verify.reading import EvidenceMissing, TopicReader, read_evidence
from tierline.verify.waiting import ProgressReader, Remaining, wait_until_finished


@dataclass(frozen=True, slots=True)
class Target:
    """The stack to check: Kafka's address and topic prefix, and the database's URL (it holds a password)."""

    bootstrap_servers: str
    topic_prefix: str
    database_url: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the check found, and what it counted on the way."""

    findings: Sequence[Finding]
    records: int
    events: int
    tallies: dict[str, Tally]

    @property
    def clean(self) -> bool:
        """True where every invariant holds."""
        return all(found.holds for found in self.findings)


class StillRunning(RuntimeError):
    """Work is still under way, so nothing can be said yet. Wait (``--wait``), or stop the channels first."""

    def __init__(self, remaining: Sequence[Remaining]) -> None:
        records = sum(part.records for part in remaining)
        super().__init__(f"{records} records are still under way: {remaining[0]}")


def check(target: Target, wait_s: float = 0.0) -> Report:
    """Check the stack once it has finished; wait up to ``wait_s`` seconds for that.

    Raises StillRunning when it has not finished, EvidenceMissing when there is nothing to check or
    something cannot be read.
    """
    with psycopg.connect(target.database_url, application_name="tierline-verify") as connection:
        _wait(target, connection, wait_s)
        reader = TopicReader(target.bootstrap_servers, target.topic_prefix)
        evidence = read_evidence(reader, connection)
        connection.rollback()
        _wait(target, connection, 0)
    if not evidence.raw and not evidence.topic:
        raise EvidenceMissing("nothing to verify: no order was published and no event was recorded")
    return report_on(evidence)


def report_on(evidence: Evidence) -> Report:
    """Judge the evidence."""
    settled = settle(evidence.topic)
    return Report(
        findings=[*judge(evidence), *judge_read_models(evidence)],
        records=len(evidence.raw),
        events=sum(map(len, settled.values())),
        tallies=tally_by_channel(settled, evidence.dead_letters),
    )


def _wait(target: Target, connection: psycopg.Connection, wait_s: float) -> None:
    progress = ProgressReader(target.bootstrap_servers, target.topic_prefix, connection)
    try:
        remaining = wait_until_finished(progress, wait_s)
    finally:
        progress.close()
    if remaining:
        raise StillRunning(remaining)
