"""Three brokers on this machine, each of them a controller too; every topic has three replicas."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from schemas.topics import Topic
from tests.support.waiting import wait_for
from tierline.kit.settings import Settings
from tierline.local.artifacts import ArtifactCache, Lock, cache_folder
from tierline.local.java import find_java
from tierline.local.kafka import Kafka
from tierline.local.ports import LOOPBACK, PortBook
from tierline.local.server import Server
from tierline.local.startup import start_servers

NODES = 3
PARTITIONS = 3
ASK_S = 30
CLUSTER_ID = "dGllcmxpbmUtdGhyZWUtMQ"

# Three brokers on few cores hear late of each other; only a dead one shall be taken for dead.
PROPERTIES = """
node.id={number}
controller.quorum.voters={voters}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
broker.session.timeout.ms=6000
controller.quorum.election.timeout.ms=3000
controller.quorum.fetch.timeout.ms=6000
"""


class Node(Kafka):
    """One of the brokers. ``controllers``: the ports of all controllers by node."""

    jvm = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")

    def __init__(self, folder: Path, number: int, port: int, controllers: Mapping[int, int]) -> None:
        jars = ArtifactCache(cache_folder(), Lock.read()).kafka_jars(lambda _: None)
        self.name = f"kafka-{number}"
        super().__init__(
            folder / self.name,
            java=find_java(),
            jars=jars,
            port=port,
            controller_port=controllers[number],
        )
        self._number = number
        self._voters = ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in controllers.items())

    def properties(self, logs: Path) -> str:
        """Those of a single broker, and what three have otherwise; of two values the later one counts."""
        return super().properties(logs) + PROPERTIES.format(number=self._number, voters=self._voters)

    def cluster_id(self) -> str:
        """The same for all."""
        return CLUSTER_ID

    def quorum(self) -> Sequence[str]:
        """The command that asks the cluster which controller leads."""
        tool = "org.apache.kafka.tools.MetadataQuorumCommand"
        return self._java_command(tool, "--bootstrap-server", self.address, "describe", "--status").words


@dataclass(frozen=True, slots=True)
class Cluster:
    """The running brokers by node id."""

    servers: Mapping[int, Server]

    @property
    def bootstrap_servers(self) -> str:
        """Where clients ask."""
        return ",".join(server.part.client_address for server in self.servers.values())

    def settings(self, before: Settings) -> Settings:
        """``before`` with this cluster as its Kafka."""
        own = {
            "bootstrap_servers": self.bootstrap_servers,
            "partitions": PARTITIONS,
            "replication_factor": NODES,
        }
        return before.model_copy(update={"kafka": before.kafka.model_copy(update=own)})

    def leader_of(self, settings: Settings, topic: Topic, partition: int = 0) -> Server:
        """The broker that leads a partition."""
        name = settings.kafka.topic_prefix + topic.name
        return self.servers[self._admin().list_topics(name, ASK_S).topics[name].partitions[partition].leader]

    def controller(self) -> Server:
        """The broker whose controller leads."""
        node = self.servers[1].part
        assert isinstance(node, Node)
        asked = subprocess.run(node.quorum(), capture_output=True, text=True, check=True, timeout=ASK_S)
        [leader] = [line.split()[1] for line in asked.stdout.splitlines() if line.startswith("LeaderId:")]
        return self.servers[int(leader)]

    def wait_in_sync(self) -> None:
        """Wait until every replica of every partition has what its leader has."""
        wait_for(self._in_sync, "every replica to be in sync", 120)

    def _in_sync(self) -> bool:
        topics = self._admin().list_topics(timeout=ASK_S).topics.values()
        return all(len(p.isrs) == NODES for topic in topics for p in topic.partitions.values())

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})


@contextmanager
def three_brokers(folder: Path) -> Iterator[Cluster]:
    """A cluster with its data under ``folder``."""
    logs = folder / "logs"
    logs.mkdir(parents=True)
    with PortBook(cache_folder() / "ports") as book:
        controllers = {number: book.take() for number in range(1, NODES + 1)}
        nodes = {number: Node(folder, number, book.take(), controllers) for number in controllers}
        servers = {number: Server(node, logs) for number, node in nodes.items()}
        try:
            start_servers({server.name: server for server in servers.values()}, lambda _: None)
            yield Cluster(servers)
        finally:
            for server in servers.values():
                server.signal_stop("immediate")
            for server in servers.values():
                server.wait_stopped()
