"""The breaker file: what it says, and how a broken one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadletter.breaker_file import load_breaker_policy, read_breaker_policy
from deadletter.breaker_window import BreakerRules
from tierline.kit.yaml_nodes import YamlRefused

SHIPPED = Path(__file__).parents[3] / "policy" / "breaker.yaml"


def problems_of(text: str) -> list[str]:
    """The problems that a text is refused for, as an operator reads them."""
    with pytest.raises(YamlRefused) as refused:
        read_breaker_policy(text, "b.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_the_shipped_file_says_what_the_code_says() -> None:
    """A number that is left out means the same as the shipped one."""
    assert BreakerRules() == load_breaker_policy(SHIPPED).rules("portal")


def test_a_channel_replaces_single_numbers() -> None:
    """The others come from the defaults."""
    policy = read_breaker_policy(
        "version: 1\ndefaults: {alone: 1}\nchannels:\n  partner: {consecutive: 40}\n", "b.yaml"
    )
    assert BreakerRules(alone=1, consecutive=40) == policy.rules("partner")
    assert BreakerRules(alone=1) == policy.rules("portal")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\n", ["b.yaml:1: the file lacks defaults"]),
        (
            "version: 1\ndefaults: {windows: 5}\n",
            [
                (
                    "b.yaml:2: defaults has no field 'windows'; known: window, ratio_percent, at_least, "
                    "consecutive, keys, sources, probes, alone, half_open, probe_first_ms, probe_limit_ms"
                )
            ],
        ),
        (
            "version: 1\ndefaults: {probes: 0}\n",
            ["b.yaml:2: probes of defaults must be a whole number from 1 on, not 0"],
        ),
        (
            "version: 1\ndefaults: {}\nchannels:\n  fax: {}\n",
            ["b.yaml:4: there is no channel 'fax'; known: "],
        ),
        (
            "version: 1\ndefaults: {window: 10, at_least: 5}\n",
            ["b.yaml:2: defaults: consecutive must be at most the window (10)"],
        ),
        (
            "version: 1\ndefaults: {window: 10001, ratio_percent: 101, probe_limit_ms: 1}\n",
            [
                "b.yaml:2: defaults: window must be at most 10000, not 10001",
                "b.yaml:2: defaults: ratio_percent must be at most 100, not 101",
                "b.yaml:2: defaults: probe_limit_ms must be at least probe_first_ms",
            ],
        ),
    ],
)
def test_a_broken_file_is_refused_by_line(text: str, expected: list[str]) -> None:
    """Every problem at once, with file, line and reason."""
    found = problems_of(text)
    assert len(expected) == len(found)
    assert all(said.startswith(wanted) for wanted, said in zip(expected, found, strict=True)), found


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Missing, or not text."""
    broken = tmp_path / "b.yaml"
    broken.write_bytes(b"\xff\xfe")
    for path, reason in ((tmp_path / "none.yaml", "No such file"), (broken, "is not UTF-8 text")):
        with pytest.raises(YamlRefused, match=reason):
            load_breaker_policy(path)
