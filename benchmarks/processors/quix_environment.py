"""Quix Streams wants other versions of our libraries: it gets an environment of its own, made once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.processors.runners import NotToBeHad, Runner, in_python

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-quix"
WANTED = "quixstreams==3.28.1"
MAKE_S = 300.0

_VERSIONS = """
import importlib.metadata
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("quixstreams", "confluent-kafka")))
"""


def quix_runner() -> Runner:
    """The runner; raises NotToBeHad."""
    python = FOLDER / "bin" / "python"
    marker = FOLDER / WANTED
    if not marker.exists():
        _make(python)
        marker.touch()
    versions = subprocess.run(  # noqa: S603 - our own command line
        [python, "-c", _VERSIONS], capture_output=True, text=True, check=True
    ).stdout
    return Runner("Quix Streams", versions.strip(), in_python("quix_streams", str(python)))


def _make(python: Path) -> None:
    """The locked environment, and in it Quix with what it changes; as ``make mutants`` makes its own."""
    for words in (
        ("venv", "--clear", "--python", sys.executable, str(FOLDER)),
        ("pip", "sync", "--python", str(python), "--require-hashes", "requirements.lock"),
        ("pip", "install", "--python", str(python), "--no-deps", "--no-build-isolation", "--editable", "."),
        ("pip", "install", "--python", str(python), WANTED),
    ):
        uv = (sys.executable, "-m", "uv", "--quiet", *words)
        made = subprocess.run(  # noqa: S603 - the same
            uv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=MAKE_S
        )
        if made.returncode:
            shutil.rmtree(FOLDER, ignore_errors=True)
            raise NotToBeHad(f"uv {' '.join(words[:2])}: {made.stderr.strip().splitlines()[-1:]}")
