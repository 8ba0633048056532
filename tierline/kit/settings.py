"""Every setting of Tierline, read once at the edge and passed in.

Environment: ``TIERLINE_<NAME>``, nested ones with two underscores
(``TIERLINE_KAFKA__BOOTSTRAP_SERVERS``). A local stack that ``tierline up`` started writes its own
addresses into ``<data>/settings.json``; the environment wins over that file, so any single part can be
pointed at an existing server.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from tierline.kit.data_folder import DEFAULT_DATA, ROOT, SHIPPED_CATALOG, chosen_folder, written_settings

PREFIX = "TIERLINE_"
_SERVICE_HOST = "_SERVICE_HOST"
"""Kubernetes adds such a name, and others that begin alike, for every service: for ``tierline-…`` too."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KafkaSettings(_Group):
    """Where Kafka is and how its clients behave. Times in milliseconds."""

    bootstrap_servers: str = "127.0.0.1:19092"
    partitions: int = 12
    topic_prefix: str = ""
    replication_factor: int = 1
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 1_000
    fetch_wait_ms: int = 500
    fetch_min_bytes: int = 1
    linger_ms: int = 2
    delivery_timeout_ms: int = 30_000


class PaymentSettings(_Group):
    """The sandbox twin of the payment gateway: answer time in ms, share of declined authorizations."""

    delay_ms: int = 20
    decline_rate: float = 0.0


class MarketplaceSettings(_Group):
    """``decide_within_ms``: how long an operation may take; 10 s of silence are a yes there."""

    decide_within_ms: int = 8_000


class CheckpointSettings(_Group):
    """Signed checkpoints of the events: nothing is signed without a ``key_file``.

    ``file`` lies outside the database's disk if it can. ``every``: events of a partition between two.
    ``verifier_keys``: further keys to check with, such as earlier ones; the signing key's own is known.
    """

    key_file: Path | None = None
    key_name: str = "tierline"
    file: Path | None = None
    every: int = Field(default=1_000, ge=1)
    verifier_keys: tuple[str, ...] = ()


class _Environment(EnvSettingsSource):
    """The environment, with the names that no setting has: pydantic would pass over them."""

    def __call__(self) -> dict[str, Any]:
        services = [n.removesuffix(_SERVICE_HOST) + "_" for n in os.environ if n.endswith(_SERVICE_HOST)]
        own = {n for n in os.environ if n.startswith(PREFIX) and not n.startswith(tuple(services))}
        names = {name.removeprefix(PREFIX).lower() for name in own}
        unknown = {name for name in names if name.partition("__")[0] not in self.settings_cls.model_fields}
        return super().__call__() | dict.fromkeys(unknown)


class Settings(BaseSettings):
    """The whole configuration. Unknown keys are refused so that a typing error cannot pass silently."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", validate_default=True
    )

    data: Path = DEFAULT_DATA
    tenant_id: str = "main"
    livemode: bool = False
    kafka: KafkaSettings = KafkaSettings()
    database_url: SecretStr = SecretStr("postgresql://tierline@127.0.0.1:15432/tierline")
    registry_url: str = "http://127.0.0.1:18081/apis/ccompat/v7"
    payment: PaymentSettings = PaymentSettings()
    marketplace: MarketplaceSettings = MarketplaceSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    catalog: Path = SHIPPED_CATALOG
    policy: Path = ROOT / "policy" / "eligibility.yaml"
    breaker_policy: Path = ROOT / "policy" / "breaker.yaml"
    hold_policy: Path = ROOT / "policy" / "holds.yaml"
    unknown_account_wait_ms: int = 2_000
    context_cache_size: int = 50_000
    batch_records: int = 500
    turn_every_ms: int = Field(default=30, ge=0)
    health_address: str = "127.0.0.1"
    health_port: int = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    crash_point: str = ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a file beside the code surprises
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_Environment(settings_cls), init_settings)


def load_settings(data: Path | None = None) -> Settings:
    """Read the settings of the stack under ``data``.

    Without ``data``: ``TIERLINE_DATA``, else the stack that ``tierline up`` started last
    (``.tierline/current``), else the defaults. The environment wins over what the stack wrote.
    """
    folder = chosen_folder(data)
    return Settings(**written_settings(folder)).model_copy(update={"data": folder})
