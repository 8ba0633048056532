"""How long a channel's records are held, as YAML: read, checked as a whole, refused with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from yaml.nodes import Node

from schemas.topics import CHANNELS
from tierline.kit.yaml_nodes import NodeReader, read_file

_UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_WAIT = re.compile(rf"([0-9]{{1,6}}) ?({'|'.join(_UNITS_MS)})", re.ASCII)
_FIELDS = ("retry_after", "attempts", "longest", "on_dead")


class OnDead(StrEnum):
    """What becomes of a key whose head was called dead: ``park`` waits for a person, ``release`` goes on."""

    PARK = "park"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class ChannelHolds:
    """The patience with one channel. Waits in ms; the last of ``retry_after`` repeats."""

    retry_after_ms: tuple[int, ...] = (30_000, 120_000, 600_000, 1_800_000)
    attempts: int = 50
    longest_ms: int = 86_400_000
    on_dead: OnDead = OnDead.PARK

    def wait_ms(self, attempts: int) -> int:
        """How long after ``attempts`` tries the next one comes."""
        return self.retry_after_ms[min(attempts, len(self.retry_after_ms) - 1)]

    def is_spent(self, attempts: int, age_ms: int) -> bool:
        """Whether a record that was tried so often and came so long ago is given up."""
        return attempts >= self.attempts or age_ms >= self.longest_ms


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """The patience with every channel, and how much may wait in one process."""

    usual: ChannelHolds = ChannelHolds()
    channels: Mapping[str, ChannelHolds] | None = None
    most_keys: int = 100_000
    most_records: int = 1_024

    def of(self, channel: str) -> ChannelHolds:
        """What holds for ``channel``."""
        return (self.channels or {}).get(channel, self.usual)


def load_hold_policy(path: Path) -> HoldPolicy:
    """Read and check a policy file. Raises YamlRefused, also when the file cannot be read."""
    return read_hold_policy(read_file(path), str(path))


def read_hold_policy(text: str, file: str) -> HoldPolicy:
    """The policy that the YAML text describes; ``file`` is only named in problems."""
    reader = NodeReader(file)
    root = reader.root(text)
    top = reader.fields(root, "the policy", ("version", "usual", "most_keys", "most_records"), ("channels",))
    reader.whole(top.get("version"), "version", minimum=1, otherwise=1)
    usual = _patience(reader, top.get("usual"), "usual", ChannelHolds(), required=_FIELDS)
    policy = HoldPolicy(
        usual,
        _channels(reader, top.get("channels"), usual),
        reader.whole(top.get("most_keys"), "most_keys", minimum=1, otherwise=1),
        reader.whole(top.get("most_records"), "most_records", minimum=1, otherwise=1),
    )
    reader.finish()
    return policy


def _channels(reader: NodeReader, node: Node | None, usual: ChannelHolds) -> dict[str, ChannelHolds]:
    if node is None:
        return {}
    found = reader.fields(node, "channels", (), CHANNELS)
    return {name: _patience(reader, own, name, usual) for name, own in found.items() if name in CHANNELS}


def _patience(
    reader: NodeReader, node: Node | None, what: str, usual: ChannelHolds, required: tuple[str, ...] = ()
) -> ChannelHolds:
    if node is None:
        return usual
    found = reader.fields(node, what, required, () if required else _FIELDS)
    patience = usual
    if "retry_after" in found:
        waits = reader.sequence(found["retry_after"], "retry_after")
        if not waits:
            reader.refuse(found["retry_after"], "retry_after needs at least one wait")
        patience = replace(
            patience, retry_after_ms=tuple(_wait_ms(reader, one, "an entry of retry_after") for one in waits)
        )
    if "attempts" in found:
        patience = replace(
            patience, attempts=reader.whole(found["attempts"], "attempts", minimum=1, otherwise=1)
        )
    if "longest" in found:
        patience = replace(patience, longest_ms=_wait_ms(reader, found["longest"], "longest"))
    on_dead = reader.choice(found.get("on_dead"), "on_dead", OnDead, usual.on_dead)
    return replace(patience, on_dead=on_dead)


def _wait_ms(reader: NodeReader, node: Node, what: str) -> int:
    text = reader.text(node, what, "1 s")
    wait = _WAIT.fullmatch(text)
    if wait is None or int(wait[1]) == 0:
        reader.refuse(node, f"{what} must be a wait such as 30 s or 10 min, not {text}")
        return 1
    return int(wait[1]) * _UNITS_MS[wait[2]]
