"""The version that runs: stamped on commands, events, dead letters and metrics."""

from __future__ import annotations

from importlib.metadata import version

APP_VERSION = version("tierline")
