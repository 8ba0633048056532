"""What a person reads when a command fails: one line that says what, then what to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tierline.local.errors import StackError

if TYPE_CHECKING:
    from tierline.kit.settings import Settings

IS_THE_STACK_UP = "Is the local stack up?  tierline up --detach"
ELSEWHERE = "      Another one?  set {variable}"
EVERY_SETTING = "All settings with their defaults: docs/settings.md"
REFUSED = (
    ("schemas.errors", "StartRefused"),
    ("tierline.kit.health_server", "AddressTaken"),
    ("tierline.kit.yaml_nodes", "YamlRefused"),
)
KAFKA_AWAY = ("_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE", "_MSG_TIMED_OUT")


class CommandError(Exception):
    """A command cannot do what was asked. ``message``: one line; ``hint``: what to do, may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n{hint}".rstrip())
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Explanation:
    """An error in the words of whoever typed the command."""

    message: str
    hint: str = ""


def explain(error: BaseException) -> Explanation | None:
    """Say what an error means for the person, or None when it is a bug and the traceback is wanted."""
    match error:
        case CommandError() | StackError():
            return Explanation(error.message, error.hint)
        case _ if _is(error, "psycopg", "OperationalError") and getattr(error, "sqlstate", None) is None:
            return _away("PostgreSQL", _database(_settings()), "TIERLINE_DATABASE_URL", _first_line(error))
        case _ if _is(error, "confluent_kafka", "KafkaException") and _is_kafka_away(error):
            return _away("Kafka", _settings().kafka.bootstrap_servers, "TIERLINE_KAFKA__BOOTSTRAP_SERVERS")
        case _ if _is(error, "schemas.errors", "RegistryUnavailable"):
            return _away("The schema registry", _settings().registry_url, "TIERLINE_REGISTRY_URL")
        case _ if any(_is(error, module, name) for module, name in REFUSED):
            return Explanation(str(getattr(error, "message", error)), str(getattr(error, "action", "")))
        case _ if _is(error, "tierline.kit.errors", "Unavailable"):
            return Explanation(_first_line(error), IS_THE_STACK_UP)
        case _ if _is(error, "pydantic", "ValidationError") and "Settings" in str(error):
            return Explanation(f"Settings are wrong: {_wrong_settings(error)}", EVERY_SETTING)
    return None


def show(told: Explanation) -> None:
    """Write an explanation to stderr; the word ``error`` is what carries the meaning, not its colour."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("error: ", "bold red"), told.message))
    for line in told.hint.splitlines():
        console.print(Text(f"  {line}"))


def _away(what: str, where: str, variable: str, why: str = "") -> Explanation:
    because = f": {why}" if why else "."
    return Explanation(
        f"{what} at {where} does not answer{because}", IS_THE_STACK_UP + ELSEWHERE.format(variable=variable)
    )


def _settings() -> Settings:
    """Read only now: an offline command that succeeds must not wait for what settings are made of."""
    from tierline.kit.settings import load_settings

    return load_settings()


def _wrong_settings(error: Any) -> str:
    """Each by its name in the environment, without its value: it may be a secret."""
    return "; ".join(
        f"TIERLINE_{'__'.join(map(str, one['loc'])).upper()}: "
        + ("there is no such setting" if one["type"] == "extra_forbidden" else one["msg"])
        for one in error.errors()
    )


def _is(error: BaseException, module: str, name: str) -> bool:
    """Tell whether the error is of a class that only rooms which use it import: asking must not import it."""
    loaded = sys.modules.get(module)
    kind = getattr(loaded, name, None)
    return isinstance(kind, type) and isinstance(error, kind)


def _is_kafka_away(error: BaseException) -> bool:
    cause = error.args[0] if error.args else None
    name = getattr(cause, "name", None)
    return callable(name) and name() in KAFKA_AWAY


def _database(settings: Settings) -> str:
    from urllib.parse import urlsplit

    url = urlsplit(settings.database_url.get_secret_value())
    return f"{url.hostname}:{url.port or 5432}{url.path}"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
