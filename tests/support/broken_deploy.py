"""A deploy of the normalizer that breaks one channel, as an environment for its process."""

from __future__ import annotations

from pathlib import Path

_SITE = """
from dataclasses import replace

from tierline.kit import version

version.APP_VERSION = "0.0.0-broken"

from streams.pipeline import CHANNELS


def broken(document, arrival):
    raise KeyError("a field that was renamed")


CHANNELS["{channel}"] = replace(CHANNELS["{channel}"], intents=broken)
"""


def broken_deploy(folder: Path, channel: str) -> dict[str, str]:
    """What makes a worker another version, in which every record of ``channel`` meets a bug."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(_SITE.format(channel=channel))
    return {"PYTHONPATH": str(folder)}


def quick_breakers(folder: Path, **numbers: int) -> Path:
    """A breaker policy whose probes come quickly, with ``numbers`` replaced."""
    file = folder / "breaker.yaml"
    told = {"probe_first_ms": 100, "probe_limit_ms": 400, **numbers}
    file.write_text(f"version: 1\ndefaults: {{{', '.join(f'{k}: {v}' for k, v in told.items())}}}\n")
    return file
