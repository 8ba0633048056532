"""Which servers are started, and what clients are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tierline.kit.settings import KafkaSettings, Settings
from tierline.local.artifacts import ArtifactCache, Lock
from tierline.local.folder import DataFolder
from tierline.local.parts import (
    PARTITIONS,
    USUAL_PORTS,
    ExistingServers,
    ServerSet,
    client_settings,
    take_ports,
)
from tierline.local.stack import LocalStack

KAFKA = "kafka.example:9092"
DATABASE = "postgresql://tierline:secret@db.example/orders"
REGISTRY = "https://registry.example/apis/ccompat/v7"


@pytest.fixture
def installed(tmp_path: Path) -> ArtifactCache:
    """A cache in which both programs are, so that nothing is fetched."""
    cache = ArtifactCache(tmp_path / "cache", Lock.read())
    for name, files in (("kafka-4.3.1", cache.lock.kafka), ("registry-3.3.3", cache.lock.registry)):
        cache._place(name, files).mkdir(parents=True)
    return cache


def names(folder: Path, cache: ArtifactCache, existing: ExistingServers) -> list[str]:
    """The servers that a stack would start."""
    return list(ServerSet(DataFolder(folder), USUAL_PORTS, existing, cache).create(lambda _: None))


def test_without_existing_servers_everything_is_started(tmp_path: Path, installed: ArtifactCache) -> None:
    """The database comes first, since the registry waits for it."""
    assert ["postgres", "kafka", "registry"] == names(tmp_path, installed, ExistingServers())


@pytest.mark.parametrize(
    ("existing", "started"),
    [
        (ExistingServers(kafka=KAFKA), ["postgres", "registry"]),
        (ExistingServers(registry=REGISTRY), ["postgres", "kafka"]),
        (ExistingServers(postgres=DATABASE, registry=REGISTRY), ["kafka"]),
        (ExistingServers(KAFKA, DATABASE, REGISTRY), []),
    ],
)
def test_a_part_that_is_somewhere_else_is_not_started(
    tmp_path: Path, installed: ArtifactCache, existing: ExistingServers, started: list[str]
) -> None:
    """Each part can be pointed at an existing server by itself."""
    assert started == names(tmp_path, installed, existing)


def test_a_local_registry_keeps_its_schemas_in_a_local_database(
    tmp_path: Path, installed: ArtifactCache
) -> None:
    """It never writes into the database that somebody pointed Tierline at."""
    started = names(tmp_path, installed, ExistingServers(postgres=DATABASE))
    assert ["postgres", "kafka", "registry"] == started


def test_existing_servers_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default in the settings is not a choice."""
    assert ExistingServers() == ExistingServers.of(Settings())
    monkeypatch.setenv("TIERLINE_KAFKA__PARTITIONS", "3")
    assert ExistingServers() == ExistingServers.of(Settings())
    monkeypatch.setenv("TIERLINE_KAFKA__BOOTSTRAP_SERVERS", KAFKA)
    monkeypatch.setenv("TIERLINE_DATABASE_URL", DATABASE)
    monkeypatch.setenv("TIERLINE_REGISTRY_URL", REGISTRY)
    assert ExistingServers(KAFKA, DATABASE, REGISTRY) == ExistingServers.of(Settings())


def test_an_address_that_is_shown_holds_no_password() -> None:
    """``tierline status`` may be pasted into a ticket."""
    shown = ExistingServers(KAFKA, DATABASE, REGISTRY).addresses()
    assert {"kafka": KAFKA, "postgres": "db.example:5432/orders", "registry": REGISTRY} == shown


def test_clients_are_told_the_existing_server_and_the_local_ones(
    tmp_path: Path, installed: ArtifactCache
) -> None:
    """The written settings have the shape of Settings, password included."""
    existing = ExistingServers(kafka=KAFKA)
    servers = ServerSet(DataFolder(tmp_path), USUAL_PORTS, existing, installed).create(lambda _: None)
    settings = Settings(**client_settings(servers, existing))
    assert KAFKA == settings.kafka.bootstrap_servers
    assert settings.registry_url == "http://127.0.0.1:18081/apis/ccompat/v7"
    url = settings.database_url.get_secret_value()
    assert url.startswith("postgresql://tierline:")
    assert url.endswith("@127.0.0.1:15432/tierline")


@pytest.mark.parametrize(("kafka", "partitions"), [("", PARTITIONS), (KAFKA, KafkaSettings().partitions)])
def test_a_local_kafka_has_few_partitions(
    tmp_path: Path, installed: ArtifactCache, kafka: str, partitions: int
) -> None:
    """One that somebody gives keeps the usual count."""
    existing = ExistingServers(kafka=kafka or None)
    servers = ServerSet(DataFolder(tmp_path), USUAL_PORTS, existing, installed).create(lambda _: None)

    assert partitions == Settings(**client_settings(servers, existing)).kafka.partitions


def test_each_listener_gets_its_preferred_port_or_any() -> None:
    """What is not preferred is left to whoever hands out the ports."""
    asked: list[list[int]] = []

    def take(preferred: object) -> int:
        asked.append(list(preferred))  # type: ignore[call-overload]
        return 1

    assert set(USUAL_PORTS) == set(take_ports(take, USUAL_PORTS, {"kafka": 7}))
    assert [[7], [], [], [], []] == asked


def test_asking_a_stack_for_a_server_that_is_elsewhere_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault test cannot kill a broker that is not its own."""
    monkeypatch.setenv("TIERLINE_KAFKA__BOOTSTRAP_SERVERS", KAFKA)
    with pytest.raises(Exception, match=f"the environment points at {KAFKA}"):
        _ = LocalStack(tmp_path).kafka
