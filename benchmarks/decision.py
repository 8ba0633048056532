"""Question: what does one order cost the decider's own code, and which step of it?

Run: ``.venv/bin/python -m benchmarks.decision [--rounds N] [--orders N] [--accounts N] [--json FILE]``. No
servers: streams stay in memory, rows and messages go nowhere. Prints microseconds of CPU per order; what
Kafka, PostgreSQL and their clients cost comes on top (``decider.py``).

A round is one turn with that many orders. The steps inside it are pure, so each is timed by doing it once
more with what it was given; what they leave of the turn is its bookkeeping.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

from benchmarks.avro_writer import RULES
from benchmarks.by_hand import rare_collection
from benchmarks.figures import Titles, print_spread, spread, write_json
from benchmarks.machine import interpreter
from benchmarks.sample_commands import OrderIntents, invoice_samples, openings
from schemas.avsc import COMMANDS_SUBJECT, load_schema
from schemas.codec import Codec
from schemas.topics import COMMANDS
from streams.deciding.claim_book import ClaimBook
from streams.deciding.claims_store import write_claims, write_origins
from streams.deciding.command_reading import Asked, CommandReader
from streams.deciding.event_store import Published, append
from streams.deciding.recording import Head, Recorder, StoredEvent
from streams.deciding.snapshots import Stream
from streams.deciding.stream_cache import nothing_yet
from streams.deciding.stream_loading import folded
from streams.deciding.turn import Loaded, Turn
from streams.normalizing.normalize import command_of
from streams.publisher import event_message
from tierline.domain.commands import Command
from tierline.domain.decide import decide
from tierline.domain.state import State, account_stream, subscription_stream
from tierline.kit.partitioner import partition_of
from tierline.kit.records import Record
from tierline.kit.version import APP_VERSION

PARTITIONS = 4
SCHEMA_ID = 7
CODEC = Codec(SCHEMA_ID, SCHEMA_ID, lambda _: load_schema(COMMANDS_SUBJECT))
TITLES: Titles = {
    "all": ("µs CPU per order", ".0f"),
    "read": ("command from its bytes", ".0f"),
    "decide": ("decision", ".0f"),
    "record": ("envelope, bytes and hash", ".0f"),
    "fold": ("events folded", ".0f"),
    "turn": ("claims and bookkeeping", ".0f"),
    "rows": ("rows for COPY", ".0f"),
    "messages": ("messages for Kafka", ".0f"),
}


class NotingRecorder(Recorder):
    """Remembers what its last decision was given."""

    given: tuple[Any, ...] = ()

    def record(self, *given: Any) -> list[StoredEvent]:
        """As the recorder does."""
        self.given = given
        return super().record(*given)


class Nowhere:
    """A connection, its cursor and its COPY, which keeps nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def cursor(self) -> Nowhere:
        """Itself."""
        return self

    def copy(self, _: str) -> Nowhere:
        """Itself."""
        return self

    def write(self, _: bytes) -> None:
        """Nothing."""


@dataclass(slots=True)
class Clock:
    """Seconds of CPU by step."""

    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TITLES, 0.0))

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """Add what the block costs to ``step``."""
        begun = time.process_time()
        yield
        self.spent[step] += time.process_time() - begun


class Bench:
    """Accounts that were opened, and orders for them, turn after turn."""

    def __init__(self, accounts: int) -> None:
        self._now = int(time.time() * 1000)
        samples = invoice_samples(accounts, RULES.catalog)
        self._intents = OrderIntents(samples, RULES.catalog, self._now)
        self._recorder = NotingRecorder(CODEC, APP_VERSION)
        self._reader = CommandReader(CODEC, PARTITIONS)
        self._heads = {partition: Head(partition, 0, bytes(32)) for partition in range(PARTITIONS)}
        self._streams: dict[str, Stream] = {}
        self._offset = 0
        self.turn(list(openings(samples, self._now)))

    def orders(self, count: int) -> list[Command]:
        """The next orders, as the normalizer makes them."""
        deployment: dict[str, Any] = {"tenant_id": "main", "livemode": False, "app_version": APP_VERSION}
        intents = islice(self._intents.take(count), count)
        return [command_of(*found, **deployment, decide_within_ms=8_000) for found in intents]

    def turn(self, commands: Sequence[Command]) -> dict[str, float]:
        """Take ``commands`` in one turn; microseconds of CPU per command by step."""
        clock = Clock()
        records = [self._record(command) for command in commands]
        with clock.timing("read"):
            read = [self._reader.read(record) for record in records]
        turn = self._turn(commands)
        for asked in read:
            assert isinstance(asked, Asked), asked
            self._take(turn, asked, clock)
        nowhere: Any = Nowhere()
        with clock.timing("rows"):
            append(nowhere, turn.events)
            write_claims(nowhere, list(turn.loaded.claims.new.values()))
            write_origins(nowhere, turn.loaded.claims.origins)
        with clock.timing("messages"):
            for stored in turn.events:
                event_message(_published(stored))
        self._streams |= turn.streams()
        spent = clock.spent
        spent["all"] = sum(spent[step] for step in ("read", "turn", "rows", "messages"))
        spent["turn"] -= sum(spent[step] for step in ("decide", "record", "fold"))
        return {step: seconds / len(commands) * 1e6 for step, seconds in spent.items()}

    def _take(self, turn: Turn, asked: Asked, clock: Clock) -> None:
        command = asked.command
        names = account_stream(command.account_id), subscription_stream(command.subscription_id)
        before = {name: turn.touched.get(name) or turn.loaded.streams[name] for name in names}
        head = self._heads[asked.record.partition]
        head_before = Head(head.partition, head.next_position, head.chain_hash)
        self._recorder.given = ()
        with clock.timing("turn"):
            turn.take(asked)
        if not self._recorder.given:
            return
        events, places, _, context, _ = self._recorder.given
        state = State(*(stream.state for stream in before.values()))
        with clock.timing("decide"):
            decided = decide(state, command, context)
        with clock.timing("record"):
            recorded = Recorder.record(self._recorder, events, places, command, context, head_before)
        with clock.timing("fold"):
            for stored in recorded:
                name = stored.event.stream_id
                before[name] = folded(before[name], stored.event)
        assert (decided, head) == (events, head_before), "a step done again came out otherwise"

    def _turn(self, commands: Sequence[Command]) -> Turn:
        names = {account_stream(command.account_id) for command in commands}
        names |= {subscription_stream(command.subscription_id) for command in commands}
        streams = {name: self._streams.get(name) or nothing_yet(name) for name in names}
        loaded = Loaded(streams, ClaimBook({}, {}), {}, {})
        return Turn(RULES, self._recorder, loaded, self._heads, self._now)

    def _record(self, command: Command) -> Record:
        self._offset += 1
        key = command.account_id
        value = CODEC.encode_command(command)
        partition = partition_of(key, PARTITIONS)
        return Record(COMMANDS.name, partition, self._offset, self._now, key.encode(), value)


def _published(stored: StoredEvent) -> Published:
    event = stored.event
    return Published(event.partition, event.position, event.account_id, event.type, stored.hash, stored.value)


def measure(rounds: int, orders: int, accounts: int) -> list[dict[str, float]]:
    """What the steps cost, round by round."""
    with rare_collection():
        bench = Bench(accounts)
        return [bench.turn(bench.orders(orders)) for _ in range(rounds)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Cost of one order in the decider's own code.")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--orders", type=int, default=250, help="orders of one turn")
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    rounds = measure(options.rounds, options.orders, options.accounts)
    print_spread("one decision", rounds, TITLES)
    print(f"\n{options.rounds} turns of {options.orders} orders. {interpreter()}.")
    if options.json:
        write_json(options.json, {"interpreter": interpreter(), "figures": spread(rounds), "rounds": rounds})


if __name__ == "__main__":
    main()
