"""Apache Kafka in one process (broker and controller), sized for one machine."""

from __future__ import annotations

import base64
import signal
import uuid
from collections.abc import Mapping
from pathlib import Path

from tierline.local.artifacts import KAFKA_VERSION
from tierline.local.errors import StackError
from tierline.local.java import Java
from tierline.local.ports import LOOPBACK
from tierline.local.probe import kafka_answers
from tierline.local.process import Command, tail
from tierline.local.server import StopMode

FORMAT_TIMEOUT_S = 120
# A 4 MiB record plus its batch overhead, headers and some room.
LARGEST_RECORD_BYTES = 6 * 1024 * 1024
JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}

auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
message.max.bytes={largest}
replica.fetch.max.bytes={largest}

offsets.topic.num.partitions=8
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000

broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
controlled.shutdown.enable=true
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
log.cleaner.dedupe.buffer.size=16777216
"""

LOGGING = """\
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=INFO
"""


class Kafka:
    """The broker part. Data lies in ``<data>/kafka``."""

    name = "kafka"
    jvm = JVM
    title = f"Kafka {KAFKA_VERSION}"
    stop_signals: Mapping[StopMode, signal.Signals] = {"fast": signal.SIGTERM, "immediate": signal.SIGKILL}

    def __init__(self, folder: Path, *, java: Java, jars: Path, port: int, controller_port: int) -> None:
        self._folder = folder
        self._java = java
        self._jars = jars
        self.port = port
        self._controller_port = controller_port
        self._properties = folder / "server.properties"
        self._logging = folder / "log4j2.properties"
        self.marker = str(self._properties)

    @property
    def address(self) -> str:
        """``host:port`` for ``bootstrap.servers``."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def client_address(self) -> str:
        """The same: there is no password."""
        return self.address

    def set_up(self) -> None:
        """Write the configuration and, once per data folder, format the log folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._logging.write_text(LOGGING)
        logs = self._folder / "log"
        self._properties.write_text(self.properties(logs))
        if (logs / "meta.properties").exists():
            return
        # With "=": an id may begin with a dash.
        chosen = (f"--cluster-id={self.cluster_id()}", f"--config={self._properties}")
        log = self._folder.parent / "logs" / "kafka-format.log"
        if self._java_command("kafka.tools.StorageTool", "format", *chosen).run(log, FORMAT_TIMEOUT_S) != 0:
            raise StackError("Kafka's log folder could not be formatted.", f"From {log}:\n{tail(log)}")

    def properties(self, logs: Path) -> str:
        """The text of server.properties, for a log folder at ``logs``."""
        return PROPERTIES.format(
            host=LOOPBACK,
            port=self.port,
            controller_port=self._controller_port,
            log_dir=logs,
            largest=LARGEST_RECORD_BYTES,
        )

    def cluster_id(self) -> str:
        """The id that the log folder is formatted with: a new one."""
        return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")

    def command(self) -> Command:
        """The broker with its server.properties."""
        return self._java_command("kafka.Kafka", str(self._properties))

    def is_ready(self) -> bool:
        """Ask for the cluster metadata; a broker that has registered itself is in it."""
        return kafka_answers(self.address)

    def settle(self) -> None:
        """Nothing is left to do: topics are created by whoever declares them."""

    def _java_command(self, *words: str) -> Command:
        logging = f"-Dlog4j2.configurationFile={self._logging}"
        class_path = f"{self._jars}/*"
        return Command((str(self._java.binary), *self.jvm, logging, "-cp", class_path, *words))
