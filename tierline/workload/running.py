"""The steps that demo and load share: open sample subscriptions, publish, wait until all is settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

import msgspec
import psycopg

from streams.subscription_import import opening_command, read_line
from tierline import bootstrap
from tierline.domain.commands import Command
from tierline.kit.clock import SystemClock
from tierline.kit.settings import Settings
from tierline.kit.version import APP_VERSION
from tierline.verify.check import Target
from tierline.verify.waiting import ProgressReader, Remaining, wait_until_finished
from tierline.workload.accounts import SampleSubscription
from tierline.workload.client_log import ClientLog
from tierline.workload.publishing import OpenLoop, Publication
from tierline.workload.records import SampleRecord

IMPORT_WAIT_S = 60.0
Progress = Callable[[str, int, int], None]


class RunFailed(RuntimeError):
    """A run could not be carried through; the message says where, and which log to read."""


def target_of(settings: Settings) -> Target:
    """The stack that the checker looks at."""
    return Target(
        settings.kafka.bootstrap_servers,
        settings.kafka.topic_prefix,
        settings.database_url.get_secret_value(),
        bootstrap.verifier_keys(settings),
        settings.checkpoint.file,
    )


def open_samples(
    settings: Settings,
    samples: Sequence[SampleSubscription],
    progress: Progress,
    title: str = "subscriptions imported",
) -> None:
    """Open every sample subscription; raises RunFailed when one is not opened within a minute."""
    now_ms = SystemClock().now_ms()
    commands = [_command(sample, number, now_ms, settings) for number, sample in enumerate(samples, 1)]
    with bootstrap.importer(settings) as importer:
        result = importer.run(
            commands,
            IMPORT_WAIT_S,
            seen=lambda done: progress(title, done, len(commands)),
        )
    if result.unanswered or result.rejected:
        raise RunFailed(
            f"{len(result.unanswered)} sample subscriptions got no answer, {len(result.rejected)} were"
            f" rejected ({result.rejected[:1]}): see {settings.data}/logs/orders.log"
        )


def _command(sample: SampleSubscription, number: int, now_ms: int, settings: Settings) -> Command:
    line = read_line(number, msgspec.json.encode(sample.line))
    return opening_command(line, number, f"samples@{now_ms}", now_ms, APP_VERSION, settings.tenant_id)


def publish(
    settings: Settings,
    records: Iterable[SampleRecord],
    total: int,
    rate: float,
    progress: Progress,
    log: ClientLog | None = None,
) -> list[Publication]:
    """Publish ``records``, ``rate`` intents a second, ``total`` in all; ``log`` keeps what became of each."""
    loop = OpenLoop(bootstrap.producer(settings, "tierline-workload"), SystemClock(), rate, log)
    intents = 0
    for publication in loop.run(records):
        intents += publication.record.intents
        progress("orders published", intents, total)
    return loop.publications


def settle(settings: Settings, limit_s: float, waiting: Callable[[int], None]) -> None:
    """Wait until nothing is under way any more; raises RunFailed after ``limit_s`` seconds.

    ``waiting`` hears how many records some worker still has before it.
    """

    def tell(remaining: Sequence[Remaining]) -> None:
        waiting(sum(part.records for part in remaining))

    target = target_of(settings)
    with psycopg.connect(target.database_url, application_name="tierline-workload") as connection:
        reader = ProgressReader(target.bootstrap_servers, target.topic_prefix, connection)
        with closing(reader):
            remaining = wait_until_finished(reader, limit_s, tell)
    if remaining:
        raise RunFailed(
            f"not settled {limit_s:.0f} s after the last order: {remaining[0]};"
            f" see the logs in {settings.data}/logs"
        )
