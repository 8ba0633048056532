"""Which data folder is meant, and what the stack wrote there; apart from the settings, which load slowly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_DATA = Path(".tierline/default")
CURRENT_POINTER = Path(".tierline/current")
SHIPPED_CATALOG = ROOT / "catalog" / "catalog.yaml"


def chosen_folder(data: Path | None = None) -> Path:
    """``data``, else ``TIERLINE_DATA``, else the stack that ``tierline up`` started last, or the default."""
    if data is not None:
        return data
    chosen = Path(os.environ.get("TIERLINE_DATA", DEFAULT_DATA))
    if chosen == DEFAULT_DATA and CURRENT_POINTER.exists():
        return Path(CURRENT_POINTER.read_text().strip())
    return chosen


def written_settings(folder: Path) -> dict[str, Any]:
    """The settings that a stack wrote into its folder; none where no stack ever started."""
    file = folder / "settings.json"
    written: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return written


def catalog_file(data: Path | None = None) -> Path:
    """``load_settings(data).catalog``, for an offline command that needs nothing else of the settings."""
    given = os.environ.get("TIERLINE_CATALOG") or written_settings(chosen_folder(data)).get("catalog")
    return Path(given or SHIPPED_CATALOG)
