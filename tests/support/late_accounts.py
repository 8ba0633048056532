"""Orders that come before their accounts do, and a count of what waits for them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import psycopg

from schemas.topics import replies_topic
from tests.support.pipeline import opened_samples
from tests.support.waiting import wait_for
from tierline import bootstrap
from tierline.kit.broker import send_all
from tierline.kit.records import Message
from tierline.kit.settings import Settings
from tierline.verify.check import Report, check
from tierline.verify.reading import TopicReader
from tierline.workload.running import target_of

PORTAL = "orders.portal.v1"


def subscription(name: str, number: int) -> str:
    """The subscription that ``opened_samples`` calls so."""
    return f"sub_{name}_{number:05d}"


@dataclass
class LateAccounts:
    """Orders that come before their accounts do."""

    settings: Settings
    published: int = 0

    def publish(self, name: str, accounts: int, each: int = 1, first: int = 0) -> None:
        """``each`` orders, numbered from ``first``, of accounts that nobody knows, keyed by subscription."""
        orders = [
            Message(PORTAL, subscription(name, number).encode(), _order(name, number, turn))
            for turn in range(first, first + each)
            for number in range(accounts)
        ]
        send_all(bootstrap.producer(self.settings, "faults"), orders, 60)
        self.published += len(orders)

    def publish_bad(self, name: str, records: int) -> None:
        """So many records, each of a key of its own, that nobody can read."""
        bad = [Message(PORTAL, f"{name}-bad-{n}".encode(), b'{"broken') for n in range(records)]
        send_all(bootstrap.producer(self.settings, "faults"), bad, 60)
        self.published += records

    def open(self, name: str, accounts: int) -> None:
        """The accounts come."""
        opened_samples(self.settings, accounts, 1, name)

    def count(self, statement: str) -> int:
        """The number that a statement on the database gives."""
        with psycopg.connect(self.settings.database_url.get_secret_value()) as connection:
            [number] = connection.execute(statement).fetchone() or (0,)
        return int(number)

    @property
    def held(self) -> int:
        """Records that wait in the store."""
        return self.count("SELECT count(*) FROM deadletter.held_record")

    @property
    def told_to_wait(self) -> int:
        """Orders whose channel was told that they wait."""
        kafka = self.settings.kafka
        replies = TopicReader(kafka.bootstrap_servers, kafka.topic_prefix).read(replies_topic("portal"))
        told = [json.loads(reply.value or b"{}") for reply in replies]
        return len({str(reply["origin"]) for reply in told if reply["outcome"] == "held"})

    def settled(self, held: int = 0, dead: int = 0) -> Report:
        """The check, when ``held`` records wait and everything else is done: every intent has its outcome.

        ``dead`` of them are dead letters.
        """
        wait_for(lambda: self.held == held, f"{held} held records, not {self.held}", 120)
        report = check(target_of(self.settings), 120)
        assert [] == [f"{f.invariant}: {f.first}" for f in report.findings if not f.holds]
        tally = report.tallies["portal"]
        assert (self.published, dead) == (tally.outcomes, tally.dead_lettered)
        return report

    def in_order(self, name: str) -> None:
        """The orders of each subscription were decided in the order in which they were sent."""
        with psycopg.connect(self.settings.database_url.get_secret_value()) as connection:
            rows = connection.execute(
                "SELECT subscription_id, source_ref, min(position) FROM read.audit_entry"
                " WHERE source_ref LIKE %s GROUP BY 1, 2 ORDER BY 3",
                (f"{name}-%",),
            ).fetchall()
        assert rows
        turns: dict[str, list[int]] = {}
        for subscription_id, reference, _ in rows:
            turns.setdefault(subscription_id, []).append(int(reference.rsplit("-", 1)[1]))
        assert all(sorted(order) == order for order in turns.values())


def _order(name: str, number: int, turn: int) -> bytes:
    return json.dumps(
        {
            "reference": f"{name}-{number}-{turn}",
            "subscription_id": subscription(name, number),
            "target": {"plan": "business-year", "seats": 30 + turn},
        }
    ).encode()
