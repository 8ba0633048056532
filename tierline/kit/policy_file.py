"""The severities of the eligibility rules as YAML: read, checked as a whole, refused with file and line."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from yaml.nodes import Node

from tierline.domain.policy import ALLOWED, Override, Policy, Rule, Severity
from tierline.kit.yaml_nodes import NodeReader, read_file

DIGEST_DIGITS = 8


def load_policy(path: Path) -> Policy:
    """Read and check a policy file. Raises YamlRefused, also when the file cannot be read."""
    return read_policy(read_file(path), str(path))


def read_policy(text: str, file: str) -> Policy:
    """The policy that the YAML text describes; ``file`` is only named in problems.

    Its version is the written number and the beginning of the text's SHA-256, so that no edit hides.
    """
    reader = NodeReader(file)
    root = reader.root(text)
    top = reader.fields(root, "the policy", ("version", "rules"), ("overrides",))
    number = reader.whole(top.get("version"), "version", minimum=1, otherwise=1)
    severities = _severities(reader, top.get("rules"))
    overrides = tuple(_override(reader, node) for node in reader.sequence(top.get("overrides"), "overrides"))
    reader.finish()
    digest = sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
    return Policy(f"{number}-{digest}", severities, overrides)


def _severities(reader: NodeReader, node: Node | None) -> dict[Rule, Severity]:
    if node is None:
        return {}
    found = reader.fields(node, "rules", tuple(rule.value for rule in Rule))
    return {rule: _severity(reader, found.get(rule.value), rule) for rule in Rule}


def _override(reader: NodeReader, node: Node) -> Override:
    found = reader.fields(node, "an override", ("rule", "severity"), ("channel", "segment", "because"))
    rule = reader.choice(found.get("rule"), "rule", Rule, Rule.ARREARS)
    reader.text(found.get("because"), "because")
    return Override(
        rule,
        _severity(reader, found.get("severity"), rule),
        channel=_optional(reader, found.get("channel"), "channel"),
        segment=_optional(reader, found.get("segment"), "segment"),
    )


def _severity(reader: NodeReader, node: Node | None, rule: Rule) -> Severity:
    severity = reader.choice(node, f"the severity of {rule.value}", Severity, Severity.REJECT)
    if node is not None and severity not in ALLOWED[rule]:
        allowed = ", ".join(choice for choice in Severity if choice in ALLOWED[rule])
        reader.refuse(node, f"{rule.value} can only be {allowed}, not {severity}")
    return severity


def _optional(reader: NodeReader, node: Node | None, what: str) -> str | None:
    return None if node is None else reader.text(node, what)
