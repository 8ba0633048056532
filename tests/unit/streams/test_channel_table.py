"""The table of channels, the files of the channels and what belongs to them stay together."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import topics
from streams import channels
from streams.pipeline import CHANNELS

ROOT = Path(__file__).parents[3]


def test_every_topic_channel_has_its_row() -> None:
    """The topics that are created and the channels that are read are the same."""
    assert topics.CHANNELS == tuple(CHANNELS)


def test_every_row_has_its_file() -> None:
    """One file per channel, no file without a row."""
    files = {file.stem for file in Path(channels.__path__[0]).glob("*.py")} - {"__init__"}

    assert set(CHANNELS) == files


def test_every_row_has_its_folder_of_examples() -> None:
    """One folder of examples per channel, no folder without a row."""
    folders = {folder.name for folder in (ROOT / "schemas" / "examples").iterdir() if folder.is_dir()}

    assert set(CHANNELS) == folders


def test_every_row_has_its_published_schema() -> None:
    """One JSON Schema per channel, no schema without a row."""
    schemas = {file.name.removesuffix(".schema.json") for file in (ROOT / "docs" / "schemas").glob("*.json")}

    assert set(CHANNELS) == schemas


@pytest.mark.parametrize("name", CHANNELS)
def test_a_row_stands_under_its_own_name(name: str) -> None:
    """The key of a row, its name and its topic agree."""
    assert (name, f"orders.{name}.v1") == (CHANNELS[name].name, CHANNELS[name].topic.name)
