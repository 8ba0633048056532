"""Every command, in the order of the help. Adding one is a file of its name and a line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

Command = TyperCommand | TyperGroup

COMMANDS = (
    "up",
    "down",
    "status",
    "doctor",
    "demo",
    "psql",
    "topics",
    "publish",
    "replies",
    "validate",
    "load",
    "bench",
    "verify",
    "prepare",
    "run",
    "recover",
    "quote",
    "calendar",
    "catalog",
    "checkpoint",
    "holds",
    "import",
    "orders",
    "dlq",
    "breaker",
    "projections",
)
"""Each is a function of its name, or the ``app`` of a group, in the file of its name."""
FILES = {"import": "import_subscriptions"}
"""Where the name is a word of Python."""
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""What a command hands to a program of somebody else, it does not read itself."""


class LoadedWhenAsked(Mapping[str, Command]):
    """The commands by name. An answer waits for its own command only: all of them take twice as long."""

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __getitem__(self, name: str) -> Command:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"tierline.cli.{FILES.get(name, name)}")
        group = getattr(module, "app", None)
        root = typer.Typer(add_completion=False, rich_markup_mode=None)
        if group is None:
            root.command(name, context_settings=PASSED_ON if name == "psql" else None)(getattr(module, name))
        else:
            root.add_typer(group, name=name)
        built = get_command(root)
        return cast("Command", built.commands[name] if isinstance(built, TyperGroup) else built)


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = cast("dict[str, Any]", LoadedWhenAsked())


app = typer.Typer(
    cls=Commands,
    help="Order intake and subscription upgrades, from every channel's orders to tiers in force.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tierline() -> None:
    """A group without commands of its own needs a callback to be a group."""
