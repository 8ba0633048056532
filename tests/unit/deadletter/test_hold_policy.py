"""How long each channel's records wait: what the file says, and how a broken one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadletter.hold_policy import (
    ChannelHolds,
    OnDead,
    load_hold_policy,
    read_hold_policy,
)
from tierline.kit.yaml_nodes import YamlRefused

SHIPPED = Path(__file__).parents[3] / "policy" / "holds.yaml"
USUAL = "usual: {retry_after: [30 s, 2 min], attempts: 5, longest: 1 d, on_dead: park}\n"
CAPS = "most_keys: 10\nmost_records: 2\n"


def problems_of(text: str) -> list[str]:
    """The problems that a policy text is refused for, as an operator reads them."""
    with pytest.raises(YamlRefused) as refused:
        read_hold_policy(text, "h.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_the_shipped_policy_says_what_the_documentation_says() -> None:
    """Half a minute, two, ten, thirty; a day; a dead head parks its key; the caps."""
    policy = load_hold_policy(SHIPPED)
    assert ChannelHolds((30_000, 120_000, 600_000, 1_800_000), 50, 86_400_000, OnDead.PARK) == policy.usual
    assert (100_000, 1_024) == (policy.most_keys, policy.most_records)


def test_a_channel_has_its_own_where_it_says_so() -> None:
    """The rest is as usual; other channels are as usual."""
    text = f"version: 1\n{USUAL}channels:\n  partner: {{on_dead: release, attempts: 9}}\n{CAPS}"
    policy = read_hold_policy(text, "h.yaml")
    assert ChannelHolds((30_000, 120_000), 9, 86_400_000, OnDead.RELEASE) == policy.of("partner")
    assert policy.usual == policy.of("portal")


def test_the_last_wait_repeats_and_either_cap_ends_it() -> None:
    """So many tries, or so old."""
    patience = ChannelHolds((1, 2), attempts=3, longest_ms=100)
    assert [1, 2, 2, 2] == [patience.wait_ms(attempts) for attempts in range(4)]
    assert [False, True, True] == [
        patience.is_spent(attempts, age) for attempts, age in ((2, 99), (3, 0), (0, 100))
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "h.yaml:1: is empty"),
        (f"version: 1\n{USUAL}", "the policy lacks most_keys, most_records"),
        (f"version: 1\n{USUAL.replace('30 s', '30 weeks')}{CAPS}", "must be a wait such as 30 s or 10 min"),
        (f"version: 1\n{USUAL.replace('[30 s, 2 min]', '[]')}{CAPS}", "retry_after needs at least one wait"),
        (f"version: 1\n{USUAL.replace('1 d', '0 s')}{CAPS}", "longest must be a wait"),
        (f"version: 1\n{USUAL.replace('park', 'drop')}{CAPS}", "on_dead must be one of park, release"),
        (f"version: 1\n{USUAL.replace('attempts: 5, ', '')}{CAPS}", "usual lacks attempts"),
        (f"version: 1\n{USUAL}channels: {{fax: {{}}}}\n{CAPS}", "channels has no field 'fax'"),
        (
            f"version: 1\n{USUAL}channels: {{portal: {{patience: 1}}}}\n{CAPS}",
            "portal has no field 'patience'",
        ),
        (f"version: 1\n{USUAL}most_keys: 0\nmost_records: 2\n", "most_keys must be a whole number from 1 on"),
    ],
)
def test_a_broken_policy_is_refused_with_file_and_line(text: str, expected: str) -> None:
    """Nothing is guessed."""
    [problem] = problems_of(text)
    assert problem.startswith("h.yaml:")
    assert expected in problem


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Missing, or not text."""
    binary = tmp_path / "holds.yaml"
    binary.write_bytes(b"\xff\xfe")
    for file, why in ((tmp_path / "none.yaml", "No such file"), (binary, "is not UTF-8 text")):
        with pytest.raises(YamlRefused, match=why):
            load_hold_policy(file)
