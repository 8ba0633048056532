"""docs/settings.md and the settings model say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from tierline.kit.data_folder import ROOT
from tierline.kit.settings import Settings

PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(TIERLINE_\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def settings_of(model: type[BaseModel], prefix: str = "TIERLINE_") -> Iterator[tuple[str, Any]]:
    """Every setting by its name in the environment, with its default."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from settings_of(type(field.default), f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), field.default


def written(name: str, default: Any) -> str:
    """A default as the page writes it."""
    if default is None or default == "":
        return "none"
    if isinstance(default, SecretStr) or name.endswith(("_SERVERS", "_URL")):
        return "local"
    if isinstance(default, Path):
        return "shipped" if default.is_absolute() else f"`{default}`"
    if isinstance(default, tuple):
        return f"`{list(default)}`"
    return f"`{str(default).lower()}`" if isinstance(default, bool) else f"`{default}`"


def test_every_setting_has_its_row_with_its_default() -> None:
    """Nothing can be set that is not explained, and nothing is explained that cannot be set."""
    documented = {name: default for name, default, _ in ROW.findall(PAGE)}

    assert {name: written(name, default) for name, default in settings_of(Settings)} == documented


def test_rows_are_in_alphabetical_order() -> None:
    """So that one finds them."""
    names = [name for name, *_ in ROW.findall(PAGE)]

    assert sorted(names) == names
