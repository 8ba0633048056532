"""The repository as an application: its room names are its own, and its data travels with it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("tierline", "streams", "schemas", "projections", "deadletter")


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_distribution_owns_a_room(room: str) -> None:
    """``schemas`` and its like are generic names; a dependency that brings one would overwrite ours."""
    assert {"tierline"} == set(packages_distributions().get(room, ["tierline"]))


def test_a_built_wheel_holds_schemas_and_migrations(tmp_path: Path) -> None:
    """Every .avsc, golden file, migration and lock file of the tree is in the wheel."""
    source = tmp_path / "source"
    for name in (*ROOMS, "pyproject.toml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    command = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(tmp_path))
    subprocess.run([sys.executable, "-m", *command, str(source)], check=True, capture_output=True)
    packed = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())

    wanted = {
        str(path.relative_to(ROOT))
        for pattern in ("schemas/*/*.avsc", "projections/sql/*.sql", "tierline/local/*.json")
        for path in ROOT.glob(pattern)
    }
    assert wanted
    assert set() == wanted - packed
