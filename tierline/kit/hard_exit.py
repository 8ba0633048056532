"""Ending a process at once, when going on would pretend that something was written."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import structlog

EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h: the supervisor starts the worker again, which continues from its lease."""


def exit_hard(reason: str) -> NoReturn:
    """Log ``reason`` and end without cleaning up: nothing may be committed or acknowledged any more."""
    structlog.get_logger(__name__).critical(
        "exit_hard", reason=reason, action="nothing is lost: the next start continues from the lease"
    )
    sys.stderr.flush()
    os._exit(EXIT_CODE)
