"""A release whose commands have one more field: it registers their next schema and opens an account by it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace

import msgspec
import psycopg

from schemas import reference
from schemas.avsc import COMMANDS_SUBJECT, parse, text_of, versions
from schemas.codec import frame_header
from schemas.registry import Registry
from streams.subscription_import import opening_command, read_line
from tierline import bootstrap
from tierline.domain.commands import Command
from tierline.kit.clock import SystemClock
from tierline.kit.partitioner import partition_of
from tierline.kit.settings import Settings
from tierline.workload.accounts import SampleSubscription

_OPENED = "SELECT EXISTS (SELECT FROM oms.command_claim WHERE command_id = %s AND outcome = 'opened')"


def next_commands_schema() -> str:
    """The newest schema of commands and one field more, as the next release would have it."""
    grown = json.loads(text_of(COMMANDS_SUBJECT, versions(COMMANDS_SUBJECT)[-1]))
    grown["fields"].append({"name": "region", "type": ["null", "string"], "default": None})
    return json.dumps(grown)


@dataclass
class NewerRelease:
    """Registers its schema when it is made: no worker has met the id before ``open_account``."""

    settings: Settings
    sample: SampleSubscription
    command: Command = field(init=False)
    _schema_id: int = field(init=False)

    def __post_init__(self) -> None:
        with Registry(self.settings.registry_url) as registry:
            self._schema_id = registry.register(COMMANDS_SUBJECT, next_commands_schema())
        line, now_ms = read_line(1, msgspec.json.encode(self.sample.line)), SystemClock().now_ms()
        self.command = opening_command(
            line, 1, f"newer@{now_ms}", now_ms, "the next release", self.settings.tenant_id
        )

    @property
    def partition(self) -> int:
        """Where its account belongs."""
        return partition_of(self.sample.account_id, self.settings.kafka.partitions)

    def open_account(self) -> None:
        """Publish the command, and wait for no answer."""
        with bootstrap.importer(self.settings) as importer:
            replace(importer, encode=self._encode).run([self.command], wait_s=0)

    def account_is_open(self) -> bool:
        """Whether the command was decided."""
        with psycopg.connect(self.settings.database_url.get_secret_value()) as connection:
            [opened] = connection.execute(_OPENED, (self.command.command_id,)).fetchone() or (False,)
        return bool(opened)

    def _encode(self, command: Command) -> bytes:
        values = {of.name: getattr(command, of.name) for of in fields(command)} | {"region": "eu-1"}
        return frame_header(self._schema_id) + reference.encode(parse(next_commands_schema()), values)
