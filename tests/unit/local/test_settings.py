"""Where settings come from, and which source wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tierline.kit.data_folder import DEFAULT_DATA, catalog_file
from tierline.kit.settings import Settings, load_settings


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with settings that a stack wrote, and a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    written = {"kafka": {"bootstrap_servers": "127.0.0.1:1111"}, "registry_url": "http://127.0.0.1:2222"}
    (folder / "settings.json").write_text(json.dumps(written))
    return folder


def test_what_the_stack_wrote_is_used(data: Path) -> None:
    """Addresses come from the folder, everything else keeps its default."""
    settings = load_settings(data)
    assert settings.kafka.bootstrap_servers == "127.0.0.1:1111"
    assert settings.registry_url == "http://127.0.0.1:2222"
    assert Settings().kafka.partitions == settings.kafka.partitions
    assert data == settings.data


def test_the_environment_wins_over_the_file_one_key_at_a_time(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pointing one part elsewhere leaves the others where they are."""
    monkeypatch.setenv("TIERLINE_REGISTRY_URL", "https://registry.example")
    monkeypatch.setenv("TIERLINE_KAFKA__PARTITIONS", "3")
    settings = load_settings(data)
    assert settings.registry_url == "https://registry.example"
    assert settings.kafka.partitions == 3
    assert settings.kafka.bootstrap_servers == "127.0.0.1:1111"


@pytest.mark.parametrize("name", ["TURN_EVRY_MS", "KAFKA__LINGR_MS", "KAFCA__LINGER_MS", "HELTH_PORT"])
def test_a_name_that_no_setting_has_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A typing error must not run with the default instead."""
    monkeypatch.setenv(f"TIERLINE_{name}", "5")
    with pytest.raises(ValidationError, match=name.rpartition("__")[2].lower()[:5]):
        load_settings(data)


@pytest.mark.parametrize("name", ["SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP_ADDR"])
def test_what_kubernetes_adds_for_a_service_of_that_name_is_passed_over(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is nobody's setting."""
    monkeypatch.setenv("TIERLINE_ORDERS_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv(f"TIERLINE_ORDERS_{name}", "10.0.0.1")
    assert data == load_settings(data).data


def test_a_named_folder_wins_over_the_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--data`` is the most deliberate choice."""
    monkeypatch.setenv("TIERLINE_DATA", "/somewhere/else")
    assert data == load_settings(data).data


def test_without_a_named_folder_the_environment_wins_over_the_current_stack(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then comes the stack that ``tierline up`` started here, then the default."""
    assert load_settings().data == DEFAULT_DATA
    Path(".tierline").mkdir()
    Path(".tierline/current").write_text("/the/current/one\n")
    assert Path("/the/current/one") == load_settings().data
    monkeypatch.setenv("TIERLINE_DATA", str(data))
    assert data == load_settings().data


def test_a_misspelt_setting_is_refused(data: Path) -> None:
    """A key that nobody reads is a mistake, not a comment."""
    (data / "settings.json").write_text('{"databaze_url": "postgresql://x"}')
    with pytest.raises(ValueError, match="databaze_url"):
        load_settings(data)


@pytest.mark.parametrize("environment", ["", "elsewhere.yaml"])
@pytest.mark.parametrize("written", ["{}", '{"catalog": "written.yaml"}'])
def test_the_catalog_alone_is_that_of_the_settings(
    data: Path, monkeypatch: pytest.MonkeyPatch, written: str, environment: str
) -> None:
    """Offline commands look only for this one, and find the same."""
    (data / "settings.json").write_text(written)
    if environment:
        monkeypatch.setenv("TIERLINE_CATALOG", environment)
    monkeypatch.setenv("TIERLINE_DATA", str(data))

    assert load_settings().catalog == catalog_file() == catalog_file(data)
