"""The policy file: what it says, and how a broken one is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tierline.domain.policy import Override, Rule, Severity
from tierline.kit.policy_file import load_policy, read_policy
from tierline.kit.yaml_nodes import YamlRefused

SHIPPED = Path(__file__).parents[3] / "policy" / "eligibility.yaml"
RULES = "rules:\n" + "".join(f"  {rule}: reject\n" for rule in Rule)


def problems_of(text: str) -> list[str]:
    """The problems that a policy text is refused for, as an operator reads them."""
    with pytest.raises(YamlRefused) as refused:
        read_policy(text, "p.yaml")
    return [str(problem) for problem in refused.value.problems]


def test_shipped_policy_warns_where_it_says_so() -> None:
    """Everything rejects, partners are warned of arrears."""
    policy = load_policy(SHIPPED)
    usual = dict.fromkeys(Rule, Severity.REJECT)
    assert usual == policy.severities
    assert (Override(Rule.ARREARS, Severity.WARN, channel="partner"),) == policy.overrides


def test_version_is_the_written_number_and_the_contents_digest() -> None:
    """An edit without a new number is another version all the same."""
    text = f"version: 7\n{RULES}"
    assert f"7-{hashlib.sha256(text.encode()).hexdigest()[:8]}" == read_policy(text, "p.yaml").version
    assert read_policy(text, "p.yaml").version != read_policy(text + "# edited\n", "p.yaml").version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["p.yaml:1: is empty"]),
        ("rules: [", ["p.yaml:1: is not YAML: "]),
        (f"version: 0\n{RULES}", ["p.yaml:1: version must be a whole number from 1 on, not 0"]),
        (RULES, ["p.yaml:1: the policy lacks version"]),
        ("version: 1\nrules: strict\n", ["p.yaml:2: rules must be a mapping"]),
        (
            f"version: 1\n{RULES}".replace("  arrears: reject\n", ""),
            ["p.yaml:3: rules lacks arrears"],
        ),
        (
            f"version: 1\n{RULES}".replace("arrears: reject", "arrears: refuse"),
            ["p.yaml:5: the severity of arrears must be one of reject, hold, warn, shadow, not refuse"],
        ),
        (
            f"version: 1\n{RULES}".replace("stale_order: reject", "stale_order: shadow"),
            ["p.yaml:3: stale_order can only be reject, hold, not shadow"],
        ),
        (f"version: 1\n{RULES}  made_up: warn\n", ["p.yaml:11: rules has no field 'made_up'; known: "]),
        (
            f"version: 1\n{RULES}overrides:\n  - {{rule: guess, severity: warn}}\n",
            ["p.yaml:12: rule must be one of "],
        ),
        (
            f"version: 1\n{RULES}overrides:\n  - {{rule: arrears, channel: partner}}\n",
            ["p.yaml:12: an override lacks severity"],
        ),
        (
            f"version: 1\n{RULES}overrides:\n  - {{rule: not_an_upgrade, severity: warn}}\n",
            ["p.yaml:12: not_an_upgrade can only be reject, hold, not warn"],
        ),
        (
            f"version: 1\n{RULES}overrides:\n  - {{rule: arrears, severity: warn, chanel: x}}\n",
            ["p.yaml:12: an override has no field 'chanel'; known: "],
        ),
    ],
)
def test_broken_policy_is_refused_with_line_and_reason(text: str, expected: list[str]) -> None:
    """All problems at once, each where it stands."""
    found = problems_of(text)
    assert len(expected) == len(found), found
    assert expected == [problem[: len(start)] for problem, start in zip(found, expected, strict=True)]


def test_policy_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    """A missing file and bytes that are no text."""
    garbled = tmp_path / "garbled.yaml"
    garbled.write_bytes(b"\xff\xfe")
    with pytest.raises(YamlRefused, match=r"garbled.yaml:1: is not UTF-8 text"):
        load_policy(garbled)
    with pytest.raises(YamlRefused, match=r"away.yaml:1: No such file"):
        load_policy(tmp_path / "away.yaml")
