"""Intake at a glance: what runs, how far everybody is behind, what is wrong and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import errors

from deadletter.breaker_desk import BreakerView, read_breakers
from deadletter.groups import Group, open_groups
from deadletter.hold_requests import count_holds
from schemas.topics import GROUPS, kafka_groups
from tierline.kit.database import connect
from tierline.kit.health import Reason
from tierline.kit.settings import Settings, load_settings
from tierline.local.folder import DataFolder
from tierline.local.lag import ANSWER_S, Lag, kafka_client, read_lag
from tierline.local.status import StackStatus, read_elsewhere, read_status

CAUSES = {
    "consecutive": "too many dead in a row",
    "ratio": "too large a share dead",
    "holds_full": "no room for another held order",
}
_BY_URGENCY = ("waiting", "open", "half_open")
LONG_S = 60
"""A record that waits for longer than this is worth a line."""


@dataclass(frozen=True, slots=True)
class Member:
    """A process that Kafka knows as a worker: where it is, and how many partitions it has."""

    consumer: str
    host: str
    partitions: int


@dataclass(frozen=True, slots=True)
class OpenLetters:
    """Dead letters of one class that wait for somebody."""

    dead_letter_class: str
    records: int
    causes: int


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """What waits in order in one channel. ``parked``: keys that wait for a person.

    ``next_attempt_s``: in how many seconds a head is tried again, below 0 when it is due; None where none
    will be.
    """

    channel: str
    keys: int
    records: int
    parked: int
    oldest_s: int
    next_attempt_s: int | None


@dataclass(frozen=True, slots=True)
class OpenBreakers:
    """The breakers of one channel that are not closed: in how many partitions they are so, and why."""

    channel: str
    partitions: int
    state: str
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, in a sentence, and the command to type next."""

    text: str
    command: str


@dataclass(frozen=True, slots=True)
class Overview:
    """``unknown``: why nothing can be told but what runs, and ``remedy``: what then helps."""

    stack: StackStatus
    lag: tuple[Lag, ...] = ()
    members: tuple[Member, ...] = ()
    dead_letters: tuple[OpenLetters, ...] = ()
    holds: tuple[HeldKeys, ...] = ()
    breakers: tuple[OpenBreakers, ...] = ()
    unknown: str = ""
    remedy: str = "tierline doctor"

    @property
    def is_well(self) -> bool:
        """Every server answers, every worker runs, and nothing is wrong."""
        return self.stack.is_well and not findings(self)

    def to_json(self) -> dict[str, Any]:
        """The same facts for a program."""
        return {
            **self.stack.to_json(),
            "is_well": self.is_well,
            "lag": [asdict(lag) for lag in self.lag],
            "members": [asdict(member) for member in self.members],
            "dead_letters": [asdict(letters) for letters in self.dead_letters],
            "holds": [asdict(held) for held in self.holds],
            "breakers": [asdict(breaker) for breaker in self.breakers],
            "unknown": self.unknown,
            "findings": [asdict(finding) for finding in findings(self)],
        }


def read_overview(folder: DataFolder) -> Overview:
    """Ask everybody; takes a few seconds when something is away."""
    stack = read_status(folder)
    if not stack.servers:
        stack = read_elsewhere(folder) or stack
    if not stack.servers:
        return Overview(stack)
    settings = load_settings(folder.path)
    try:
        with connect(settings.database_url, "tierline-status") as connection:
            letters = open_letters(open_groups(connection))
            holds = tuple(HeldKeys(**channel) for channel in count_holds(connection))
            breakers = open_breakers(read_breakers(connection))
        return Overview(stack, read_lag(settings), read_members(settings), letters, holds, breakers)
    except (errors.InvalidSchemaName, errors.UndefinedTable):
        return Overview(stack, unknown="Its tables are not there.", remedy="tierline prepare")
    except psycopg.Error as error:
        return Overview(stack, unknown=f"PostgreSQL: {str(error).strip().partition(chr(10))[0]}")
    except KafkaException as error:
        return Overview(stack, unknown=f"Kafka: {error.args[0].str()}")


def open_letters(groups: Iterable[Group]) -> tuple[OpenLetters, ...]:
    """By class, the most frequent first."""
    records: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for group in groups:
        records[group.class_] += group.records
        causes[group.class_] += 1
    return tuple(OpenLetters(name, number, causes[name]) for name, number in records.most_common())


def open_breakers(views: Iterable[BreakerView]) -> tuple[OpenBreakers, ...]:
    """By channel; the state that asks most of people is named."""
    by_channel: dict[str, list[BreakerView]] = {}
    for view in views:
        by_channel.setdefault(view.channel, []).append(view)
    return tuple(
        OpenBreakers(
            channel,
            len(own),
            min((view.state for view in own), key=_BY_URGENCY.index),
            tuple(dict.fromkeys(CAUSES.get(view.cause or "", view.cause or "") for view in own)),
        )
        for channel, own in by_channel.items()
    )


def read_members(settings: Settings) -> tuple[Member, ...]:
    """Every process that takes part in a consumer group of the workers."""
    admin = AdminClient(kafka_client(settings.kafka))
    groups = {settings.kafka.topic_prefix + group: name for group, name in kafka_groups().items()}
    answers = admin.describe_consumer_groups(list(groups), request_timeout=ANSWER_S)
    return tuple(
        Member(groups[group], member.host.lstrip("/"), len(member.assignment.topic_partitions))
        for group, answer in answers.items()
        for member in answer.result().members
    )


def findings(overview: Overview) -> list[Finding]:
    """What is wrong, the most basic first: what follows from it may be over with it."""
    return [
        *_servers(overview),
        *_workers(overview),
        *_missing(overview),
        *_kept_back(overview),
        *_behind(overview),
    ]


def _servers(overview: Overview) -> Iterator[Finding]:
    for server in overview.stack.servers:
        if not server.answers:
            text = f"{server.title} at {server.address} does not answer"
            yield Finding(text, f"tail -n 20 {server.log}" if server.log else "tierline doctor")


def _workers(overview: Overview) -> Iterator[Finding]:
    for worker in overview.stack.workers:
        match worker.state:
            case Reason.SERVING | Reason.DRAINING:
                continue
            case Reason.BREAKER_OPEN if overview.breakers:
                continue
            case Reason.BREAKER_OPEN:
                yield Finding(f"{worker.name} keeps orders back. {worker.detail}", "tierline breaker list")
            case Reason.DEPENDENCY:
                yield Finding(f"{worker.name} waits. {worker.detail}", "tierline doctor")
            case Reason.STALLED:
                yield Finding(f"{worker.name} stands still. {worker.detail}", f"grep partition_ {worker.log}")
            case "ended":
                code = "" if worker.exit_code is None else f" (exit code {worker.exit_code})"
                yield Finding(f"{worker.name} ended{code}", f"tail -n 20 {worker.log}")
            case state:
                yield Finding(f"{worker.name} is {state}. {worker.detail}", f"tail -n 20 {worker.log}")


def _missing(overview: Overview) -> Iterator[Finding]:
    if overview.unknown or overview.stack.workers:
        return
    working = {member.consumer for member in overview.members}
    for group in GROUPS:
        if group not in working:
            name = group.removeprefix("tierline-")
            yield Finding(f"no process takes part as {name}", f"tierline run {name}")


def _kept_back(overview: Overview) -> Iterator[Finding]:
    for breaker in overview.breakers:
        if breaker.state != "half_open":
            partitions = f"{breaker.partitions} partition" + ("" if breaker.partitions == 1 else "s")
            text = f"{breaker.channel}: the breaker of {partitions} is {breaker.state}: "
            yield Finding(text + ", ".join(breaker.causes), "tierline breaker list")


def _behind(overview: Overview) -> Iterator[Finding]:
    if overview.unknown:
        yield Finding(f"how far the workers are behind is not known. {overview.unknown}", overview.remedy)
    for lag in overview.lag:
        if (lag.oldest_s or 0) >= LONG_S:
            name = lag.consumer.removeprefix("tierline-")
            text = f"{lag.records:,} records of {lag.topic} wait for {name}"
            yield Finding(text, "tierline status --watch")
