"""The numbers of the breakers as YAML: read, checked as a whole, refused with file and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from yaml.nodes import Node

from deadletter.breaker_window import BreakerRules
from schemas.topics import CHANNELS
from tierline.kit.yaml_nodes import NodeReader, read_file

NUMBERS = tuple(field.name for field in fields(BreakerRules))
_LARGEST_WINDOW = 10_000


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """The rules of every channel."""

    defaults: BreakerRules
    channels: Mapping[str, BreakerRules]

    def rules(self, channel: str) -> BreakerRules:
        """The rules of ``channel``."""
        return self.channels.get(channel, self.defaults)


def load_breaker_policy(path: Path) -> BreakerPolicy:
    """Read and check the file. Raises YamlRefused, also when it cannot be read."""
    return read_breaker_policy(read_file(path), str(path))


def read_breaker_policy(text: str, file: str) -> BreakerPolicy:
    """The rules that the YAML text describes; ``file`` is only named in problems."""
    reader = NodeReader(file)
    root = reader.root(text)
    top = reader.fields(root, "the file", ("version", "defaults"), ("channels",))
    reader.whole(top.get("version"), "version", minimum=1, otherwise=1)
    standard = _rules(reader, top.get("defaults"), "defaults", BreakerRules())
    named = reader.entries(top["channels"], "channels") if "channels" in top else {}
    for name, node in named.items():
        if name not in CHANNELS:
            reader.refuse(node, f"there is no channel {name!r}; known: {', '.join(CHANNELS)}")
    channels = {name: _rules(reader, node, f"channel {name}", standard) for name, node in named.items()}
    reader.finish()
    return BreakerPolicy(standard, channels)


def _rules(reader: NodeReader, node: Node | None, what: str, standard: BreakerRules) -> BreakerRules:
    if node is None:
        return standard
    found = reader.fields(node, what, (), NUMBERS)
    given = {
        name: reader.whole(value, f"{name} of {what}", 0 if name == "alone" else 1, asdict(standard)[name])
        for name, value in found.items()
        if name in NUMBERS
    }
    rules = replace(standard, **given)
    for reason in _contradictions(rules):
        reader.refuse(node, f"{what}: {reason}")
    return rules


def _contradictions(rules: BreakerRules) -> list[str]:
    window = rules.window
    wrong = {
        f"window must be at most {_LARGEST_WINDOW}, not {window}": window > _LARGEST_WINDOW,
        f"consecutive must be at most the window ({window})": rules.consecutive > window,
        f"at_least must be at most the window ({window})": rules.at_least > window,
        f"ratio_percent must be at most 100, not {rules.ratio_percent}": rules.ratio_percent > 100,
        "probe_limit_ms must be at least probe_first_ms": rules.probe_limit_ms < rules.probe_first_ms,
    }
    return [reason for reason, holds in wrong.items() if holds]
