"""Hold policies for tests on real servers, as files."""

from __future__ import annotations

from pathlib import Path


def hold_policy(
    folder: Path,
    *,
    retry_after: str = "30 s",
    attempts: int = 1_000,
    on_dead: str = "park",
    most_keys: int = 100_000,
    most_records: int = 1_024,
) -> Path:
    """A policy file for every channel."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "holds.yaml"
    file.write_text(
        f"""version: 1
usual:
  retry_after: [{retry_after}]
  attempts: {attempts}
  longest: 1 d
  on_dead: {on_dead}
most_keys: {most_keys}
most_records: {most_records}
"""
    )
    return file


def no_patience(folder: Path) -> Path:
    """Everything that is held is dead at its first try, a moment later, and keeps nothing back."""
    return hold_policy(folder, retry_after="20 ms", attempts=1, on_dead="release")
