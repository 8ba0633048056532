"""docker-compose.yml runs the same servers with the same settings as the local stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tierline.kit.settings import Settings
from tierline.local.artifacts import KAFKA_VERSION, REGISTRY_VERSION
from tierline.local.kafka import LARGEST_RECORD_BYTES, PROPERTIES
from tierline.local.postgres import OPTIONS, version

OF_THE_PLACE = {
    "listeners",
    "advertised.listeners",
    "controller.quorum.voters",
    "log.dirs",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file."""
    file = Path(__file__).parents[3] / "docker-compose.yml"
    services: dict[str, Any] = yaml.safe_load(file.read_text())["services"]
    return services


def property_of(variable: str) -> str:
    """The image reads KAFKA_LOG_DIRS as log.dirs."""
    return variable.removeprefix("KAFKA_").lower().replace("_", ".")


def test_the_images_have_the_versions_of_the_local_stack(services: dict[str, Any]) -> None:
    """An upgrade of one is an upgrade of both."""
    expected = {
        "kafka": f"apache/kafka:{KAFKA_VERSION}",
        "postgres": f"postgres:{version()}",
        "registry": f"apicurio/apicurio-registry:{REGISTRY_VERSION}",
    }
    assert expected == {name: service["image"] for name, service in services.items()}


def test_the_broker_has_the_settings_of_the_local_one(services: dict[str, Any]) -> None:
    """What compose sets agrees with server.properties, but for addresses and folders."""
    lines = PROPERTIES.replace("{largest}", str(LARGEST_RECORD_BYTES)).splitlines()
    local = dict(line.split("=", 1) for line in lines if line)
    environment = services["kafka"]["environment"]
    composed = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(v) for name, v in environment.items()
    }
    compared = composed.keys() - OF_THE_PLACE
    assert {name: local[name] for name in compared} == {name: composed[name] for name in compared}


def test_the_database_has_the_settings_of_the_local_one(services: dict[str, Any]) -> None:
    """Each ``-c name=value`` is one of ours."""
    composed = dict(word.split("=", 1) for word in services["postgres"]["command"] if word != "-c")
    assert {name: OPTIONS[name] for name in composed} == composed


def test_the_ports_are_those_of_the_default_settings_on_loopback(services: dict[str, Any]) -> None:
    """Every command finds the servers without a setting."""
    settings = Settings()
    urls = {
        "kafka": f"kafka://{settings.kafka.bootstrap_servers}",
        "postgres": settings.database_url.get_secret_value(),
        "registry": settings.registry_url,
    }
    expected = {name: f"127.0.0.1:{urlsplit(url).port}" for name, url in urls.items()}
    assert expected == {name: service["ports"][0].rpartition(":")[0] for name, service in services.items()}
