"""Which servers a stack needs, made from the settings: what the environment points elsewhere is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tierline.kit.settings import Settings
from tierline.kit.signed_note import NoteSigner
from tierline.local.artifacts import ArtifactCache, Notice
from tierline.local.folder import DataFolder
from tierline.local.java import find_java
from tierline.local.kafka import Kafka
from tierline.local.postgres import Postgres
from tierline.local.registry import Registry
from tierline.local.server import Part, Server

LOCAL_KEY_NAME = "tierline.local"
PARTITIONS = 4
"""Of a topic on a Kafka that serves one machine: docs/decisions/0015-waiting-for-records.md."""
USUAL_PORTS = {"kafka": 19092, "controller": 19093, "postgres": 15432, "registry": 18081, "management": 18082}


@dataclass(frozen=True, slots=True)
class ExistingServers:
    """Servers that somebody else runs, from the environment; None means that the stack starts its own."""

    kafka: str | None = None
    postgres: str | None = None
    registry: str | None = None

    @classmethod
    def of(cls, environment: Settings) -> Self:
        """Read them from settings that were built from the environment alone."""
        given = environment.model_fields_set
        kafka_given = "kafka" in given and "bootstrap_servers" in environment.kafka.model_fields_set
        return cls(
            kafka=environment.kafka.bootstrap_servers if kafka_given else None,
            postgres=environment.database_url.get_secret_value() if "database_url" in given else None,
            registry=environment.registry_url if "registry_url" in given else None,
        )

    def addresses(self) -> dict[str, str]:
        """By part, what may be shown to people: no user, no password."""
        database = urlsplit(self.postgres) if self.postgres else None
        shown = {
            "kafka": self.kafka,
            "postgres": f"{database.hostname}:{database.port or 5432}{database.path}" if database else None,
            "registry": self.registry,
        }
        return {part: address for part, address in shown.items() if address}


@dataclass(frozen=True, slots=True)
class ServerSet:
    """Makes the servers of one data folder that are not there already."""

    folder: DataFolder
    ports: Mapping[str, int]
    existing: ExistingServers
    artifacts: ArtifactCache

    def create(self, notice: Notice) -> dict[str, Server]:
        """Return the servers by name, in starting order; fetches their programs when they are not here yet.

        The registry keeps its schemas in the stack's own PostgreSQL, which therefore starts for it even
        when Tierline's database is somewhere else.
        """
        database = Postgres(self.folder.path / "postgres", self.ports["postgres"])
        parts: list[Part] = []
        if not (self.existing.postgres and self.existing.registry):
            parts.append(database)
        if not self.existing.kafka:
            parts.append(self._kafka(notice))
        if not self.existing.registry:
            parts.append(self._registry(database, notice))
        return {part.name: Server(part, self.folder.logs) for part in parts}

    def _kafka(self, notice: Notice) -> Kafka:
        return Kafka(
            self.folder.path / "kafka",
            java=find_java(),
            jars=self.artifacts.kafka_jars(notice),
            port=self.ports["kafka"],
            controller_port=self.ports["controller"],
        )

    def _registry(self, database: Postgres, notice: Notice) -> Registry:
        return Registry(
            self.folder.path,
            java=find_java(),
            home=self.artifacts.registry_home(notice),
            port=self.ports["registry"],
            management_port=self.ports["management"],
            database=database,
        )


def client_settings(servers: Mapping[str, Server], existing: ExistingServers) -> dict[str, Any]:
    """What ``settings.json`` holds: the keys of Settings under which clients find each part.

    A Kafka of somebody else keeps the partition count that Settings has.
    """
    kafka: dict[str, Any] = {"bootstrap_servers": existing.kafka or servers["kafka"].part.client_address}
    if not existing.kafka:
        kafka["partitions"] = PARTITIONS
    return {
        "kafka": kafka,
        "database_url": existing.postgres or servers["postgres"].part.client_address,
        "registry_url": existing.registry or servers["registry"].part.client_address,
    }


def checkpoint_settings(folder: DataFolder) -> dict[str, Any]:
    """Where this stack signs its checkpoints; the key is made on first use, readable by its owner alone."""
    key_file = folder.path / "checkpoint.key"
    if not key_file.exists():
        NoteSigner.create(LOCAL_KEY_NAME, key_file)
    return {
        "key_file": str(key_file),
        "key_name": LOCAL_KEY_NAME,
        "file": str(folder.path / "checkpoints.ndjson"),
    }


def take_ports(
    take: Callable[[Iterable[int]], int], names: Iterable[str], preferred: Mapping[str, int]
) -> dict[str, int]:
    """A port for each listener: the preferred one where free, else any that is."""
    return {name: take([preferred[name]] if name in preferred else []) for name in names}
