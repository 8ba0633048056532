"""Names what a figure was measured on: without it a figure says nothing."""

from __future__ import annotations

import platform
import sysconfig


def interpreter() -> str:
    """Which Python: one built without optimisation is half as fast."""
    built = "optimised" if "-O0" not in (sysconfig.get_config_var("OPT") or "-O0") else "NOT optimised"
    return f"{platform.python_implementation()} {platform.python_version()}, {built}, {platform.machine()}"
