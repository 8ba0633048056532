"""Runs the printed and documented commands as a person would, in a folder of their own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
LIMIT_S = 240


def a_workplace(folder: Path) -> Path:
    """An empty folder in which paths of the checkout work, and ``.tierline`` belongs to the test."""
    for name in ("schemas", "docs", "Makefile", ".venv"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)
    return folder


def run(command: str, folder: Path, *, expected: int = 0, **variables: str) -> str:
    """Run one command line; returns what it printed. Fails with all of it on another exit code.

    ``variables`` are added to an environment without any of Tierline's.
    """
    words = shlex.split(command)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TIERLINE_")}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    environment |= variables
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert expected == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
