"""The whole check: read, judge, report. Used by ``tierline verify``, the demo and every fault test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from schemas.topics import NORMALIZER
from tierline.verify.checkpoints import VerifierKey, checkpoints_agree, notes_in_file
from tierline.verify.client_log import judge_client_log, read_client_log
from tierline.verify.evidence import Evidence, Finding, Harm, SignedNote
from tierline.verify.folds import judge_read_models
from tierline.verify.invariants import judge, settle
from tierline.verify.key_order import keys_keep_their_order
from tierline.verify.money import judge_money
from tierline.verify.outcomes import Tally, tally_by_channel
from tierline.verify.reading import (
    EvidenceMissing,
    TopicReader,
    published_checkpoints,
    read_chains,
    read_evidence,
    read_held,
)
from tierline.verify.waiting import ProgressReader, Remaining, wait_until_finished


@dataclass(frozen=True, slots=True)
class Target:
    """The stack to check: Kafka's address and topic prefix, and the database's URL (it holds a password).

    ``verifier_keys``: as ``tierline checkpoint key`` prints them. ``checkpoint_file``: the checkpoints that
    are kept outside database and broker, if there are any. ``client_logs``: what clients wrote about
    the orders that they published.
    """

    bootstrap_servers: str
    topic_prefix: str
    database_url: str
    verifier_keys: tuple[str, ...] = ()
    checkpoint_file: Path | None = None
    client_logs: tuple[Path, ...] = ()


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

    def suffered(self, harm: Harm) -> int:
        """How often an order suffered ``harm``; what two invariants see is counted by both."""
        return sum(found.broken for found in self.findings if found.harm is harm)


class StillRunning(RuntimeError):
    """Work is still under way, so nothing can be said yet. Wait (``--wait``), or stop the channels first."""

    def __init__(self, remaining: Sequence[Remaining]) -> None:
        records = sum(part.records for part in remaining)
        super().__init__(f"{records} records are still under way: {remaining[0]}")


def check(target: Target, wait_s: float = 0.0) -> Report:
    """Check the stack once it has finished; wait up to ``wait_s`` seconds for that.

    Raises StillRunning when it has not finished, EvidenceMissing when there is nothing to check or
    something cannot be read, ClientLogUnreadable for a client's log that is none.
    """
    client_orders = [order for file in target.client_logs for order in read_client_log(file)]
    with psycopg.connect(target.database_url, application_name="tierline-verify") as connection:
        _wait(target, connection, wait_s)
        held = read_held(connection)
        reader = TopicReader(target.bootstrap_servers, target.topic_prefix)
        evidence = read_evidence(reader, connection)
        evidence.client_orders = client_orders
        evidence.checkpoints = [*published_checkpoints(reader), *_kept_checkpoints(target)]
        connection.rollback()
        _wait(target, connection, 0)
        if held != evidence.held:
            raise StillRunning([Remaining(NORMALIZER, "held records", 0, len(held))])
    if not (evidence.raw or evidence.topic or client_orders):
        raise EvidenceMissing("nothing to verify: no order was published and no event was recorded")
    return report_on(evidence, target)


def check_checkpoints(target: Target) -> Finding:
    """Check only what was signed, also while work is under way: every checkpoint is about the past.

    Raises KeyUnreadable and EvidenceMissing.
    """
    reader = TopicReader(target.bootstrap_servers, target.topic_prefix)
    notes = [*published_checkpoints(reader), *_kept_checkpoints(target)]
    with psycopg.connect(target.database_url, application_name="tierline-verify") as connection:
        found = _checkpoints(replace(read_chains(reader, connection), checkpoints=notes), target)
        if found.holds:
            return found
        # What was signed a moment ago may not have been acknowledged yet: damage is still there later.
        return _checkpoints(replace(read_chains(reader, connection), checkpoints=notes), target)


def report_on(evidence: Evidence, target: Target) -> Report:
    """Judge the evidence."""
    settled = settle(evidence.topic)
    return Report(
        findings=[
            *judge(evidence),
            keys_keep_their_order(evidence, settled),
            _checkpoints(evidence, target),
            *judge_money(settled),
            *judge_read_models(evidence),
            *(judge_client_log(evidence, settled) if target.client_logs else ()),
        ],
        records=len(evidence.raw),
        events=sum(map(len, settled.values())),
        tallies=tally_by_channel(settled, evidence),
    )


def _checkpoints(evidence: Evidence, target: Target) -> Finding:
    keys = [VerifierKey.parse(text) for text in target.verifier_keys]
    return checkpoints_agree(evidence.checkpoints, keys, settle(evidence.topic), evidence.store)


def _kept_checkpoints(target: Target) -> list[SignedNote]:
    """Those in the file outside database and broker."""
    file = target.checkpoint_file
    return notes_in_file(file) if file is not None and file.exists() else []


def _wait(target: Target, connection: psycopg.Connection, wait_s: float) -> None:
    progress = ProgressReader(target.bootstrap_servers, target.topic_prefix, connection)
    try:
        remaining = wait_until_finished(progress, wait_s)
    finally:
        progress.close()
    if remaining:
        raise StillRunning(remaining)
