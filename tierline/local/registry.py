"""Apicurio Registry, speaking the Confluent schema registry's protocol, with its storage in PostgreSQL."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from tierline.local.artifacts import REGISTRY_VERSION
from tierline.local.java import Java
from tierline.local.ports import LOOPBACK
from tierline.local.postgres import ROLE, Postgres
from tierline.local.probe import registry_answers
from tierline.local.process import Command
from tierline.local.server import StopMode

DATABASE = "registry"
API = "/apis/ccompat/v7"
JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class Registry:
    """The schema registry part. It has no files of its own: everything is in the database ``registry``."""

    name = "registry"
    title = f"Registry {REGISTRY_VERSION}"
    stop_signals: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    def __init__(
        self,
        folder: Path,
        *,
        java: Java,
        home: Path,
        port: int,
        management_port: int,
        database: Postgres,
    ) -> None:
        self._java = java
        self._home = home
        self.port = port
        self._management_port = management_port
        self._database = database
        self.marker = f"-Dtierline.data={folder}"

    @property
    def address(self) -> str:
        """The base URL of the Confluent-compatible API."""
        return f"http://{LOOPBACK}:{self.port}{API}"

    @property
    def client_address(self) -> str:
        """The same: there is no password."""
        return self.address

    def set_up(self) -> None:
        """Nothing to make: the registry creates its tables when it starts."""

    def command(self) -> Command:
        """The Quarkus application; the password goes through the environment, not the command line."""
        environment = {
            "APICURIO_STORAGE_KIND": "sql",
            "APICURIO_STORAGE_SQL_KIND": "postgresql",
            "APICURIO_DATASOURCE_URL": f"jdbc:postgresql://{LOOPBACK}:{self._database.port}/{DATABASE}",
            "APICURIO_DATASOURCE_USERNAME": ROLE,
            "APICURIO_DATASOURCE_PASSWORD": self._database.password,
            "APICURIO_DATASOURCE_JDBC_INITIAL_SIZE": "1",
            "APICURIO_DATASOURCE_JDBC_MIN_SIZE": "1",
            "APICURIO_DATASOURCE_JDBC_MAX_SIZE": "5",
            "QUARKUS_HTTP_HOST": LOOPBACK,
            "QUARKUS_HTTP_PORT": str(self.port),
            "QUARKUS_MANAGEMENT_HOST": LOOPBACK,
            "QUARKUS_MANAGEMENT_PORT": str(self._management_port),
        }
        jar = str(self._home / "quarkus-run.jar")
        return Command((str(self._java.binary), *JVM, self.marker, "-jar", jar), environment)

    def is_ready(self) -> bool:
        """Ask ``GET /subjects``."""
        return registry_answers(self.address)

    def settle(self) -> None:
        """Nothing is left to do: subjects are registered by whoever owns the schemas."""
