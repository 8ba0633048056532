"""docker-compose.yml runs the same servers and workers with the same settings as the local stack."""

from __future__ import annotations

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from tierline.kit.settings import Settings
from tierline.local.artifacts import KAFKA_VERSION, REGISTRY_VERSION
from tierline.local.kafka import LARGEST_RECORD_BYTES, PROPERTIES
from tierline.local.postgres import OPTIONS, version
from tierline.local.workers import WORKERS

ROOT = Path(__file__).parents[3]

OF_THE_PLACE = {
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "inter.broker.listener.name",
    "controller.quorum.voters",
    "log.dirs",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the compose file."""
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
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
    assert expected == {name: services[name]["image"] for name in expected}


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
    assert expected == {name: services[name]["ports"][0].rpartition(":")[0] for name in expected}


def test_nothing_listens_beyond_this_machine(services: dict[str, Any]) -> None:
    """Every published port is one of loopback."""
    published = [port for service in services.values() for port in service.get("ports", ())]

    assert published
    assert [] == [port for port in published if not port.startswith("127.0.0.1:")]


def test_every_worker_runs_without_rights_and_tells_its_health(services: dict[str, Any]) -> None:
    """All workers there are, from the project's own image, after everything was prepared."""
    workers = {name: s for name, s in services.items() if "healthcheck" in s and s.get("build") == "."}

    assert set(WORKERS) == set(workers)
    for name, worker in workers.items():
        assert ["run", name] == worker["command"]
        assert {"prepare": {"condition": "service_completed_successfully"}} == worker["depends_on"]
        assert (True, ["ALL"]) == (worker["read_only"], worker["cap_drop"])
        assert "/livez" in worker["healthcheck"]["test"][-1]
    assert "USER 10001" in (ROOT / "Dockerfile").read_text().splitlines()


def test_the_settings_of_the_workers_are_settings(services: dict[str, Any], monkeypatch: Any) -> None:
    """Each variable is known to the settings, and the addresses are those of the services beside them."""
    environment = {name: str(value) for name, value in services["orders"]["environment"].items()}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()

    assert environment.keys() == {name for name in environment if name.startswith("TIERLINE_")}
    hosts = {
        settings.kafka.bootstrap_servers.rpartition(":")[0],
        urlsplit(settings.database_url.get_secret_value()).hostname,
        urlsplit(settings.registry_url).hostname,
    }
    assert {"kafka", "postgres", "registry"} == hosts
    assert (settings.health_address, settings.health_port) == ("0.0.0.0", 9400)  # noqa: S104 - in a container


def test_the_file_is_sound_by_the_compose_specification() -> None:
    """By its published JSON Schema; the extension fields are folded in as Compose does."""
    vendored = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    text = distribution("check-jsonschema").locate_file(vendored).read_text()
    validator = jsonschema.validators.validator_for(schema := json.loads(text))

    problems = [
        error.message
        for error in validator(schema).iter_errors(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
    ]

    assert [] == problems


def test_prometheus_scrapes_every_worker(services: dict[str, Any]) -> None:
    """At the port that the workers serve their metrics on."""
    config = yaml.safe_load((ROOT / "dev" / "prometheus" / "prometheus.yml").read_text())
    port = services["orders"]["environment"]["TIERLINE_HEALTH_PORT"]

    (job,) = config["scrape_configs"]
    assert {f"{name}:{port}" for name in WORKERS} == set(job["static_configs"][0]["targets"])
