"""Reading YAML with the place of every value, so that a mistake can be named by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Choice = TypeVar("Choice", bound=StrEnum)

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: ``catalog/catalog.yaml:14: …``."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


class YamlRefused(ValueError):
    """A file is broken; ``problems`` name file, line and reason. Correct each of them, then load it again."""

    action = "Correct the file, then start again."

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_file(path: Path) -> str:
    """The text of a file, its line ends as they are. Raises YamlRefused where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise YamlRefused([Problem(str(path), 1, error.strerror or "cannot be read")]) from error
    except UnicodeDecodeError as error:
        raise YamlRefused([Problem(str(path), 1, "is not UTF-8 text")]) from error


class NodeReader:
    """Reads typed values out of YAML nodes and collects problems instead of stopping at the first.

    A value that cannot be read is replaced by a harmless one; ``finish`` refuses the whole file then. Text is
    taken as written, so the country NO stays a country.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = str(file)
        self.problems: list[Problem] = []

    def root(self, text: str) -> Node:
        """The document's top node. Raises YamlRefused when it is not one YAML document."""
        try:
            node: Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            reason = (
                getattr(error, "problem", None) or getattr(error, "reason", None) or "is nested too deeply"
            )
            problem = Problem(self.file, mark.line + 1 if mark else 1, f"is not YAML: {reason}")
            raise YamlRefused([problem]) from error
        if node is None:
            raise YamlRefused([Problem(self.file, 1, "is empty")])
        return node

    def finish(self) -> None:
        """Raise YamlRefused where anything was wrong."""
        if self.problems:
            raise YamlRefused(self.problems)

    def refuse(self, node: Node, reason: str) -> None:
        """Note a problem at the node."""
        self.problems.append(Problem(self.file, node.start_mark.line + 1, reason))

    def entries(self, node: Node, what: str) -> dict[str, Node]:
        """A mapping's values by key; a repeated key is a problem."""
        if not isinstance(node, MappingNode):
            self.refuse(node, f"{what} must be a mapping")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if not name or name in found:
                self.refuse(
                    key, f"{name!r} stands twice in {what}" if name else f"{what} has a key that is no text"
                )
            found[name] = value
        return found

    def fields(
        self, node: Node, what: str, required: Sequence[str], optional: Sequence[str] = ()
    ) -> Mapping[str, Node]:
        """A mapping with exactly these keys allowed; unknown and missing ones are problems."""
        found = self.entries(node, what)
        for name, value in found.items():
            if name not in required and name not in optional:
                self.refuse(
                    value, f"{what} has no field {name!r}; known: {', '.join((*required, *optional))}"
                )
        missing = [name for name in required if name not in found]
        if missing and isinstance(node, MappingNode):
            self.refuse(node, f"{what} lacks {', '.join(missing)}")
        return found

    def sequence(self, node: Node | None, what: str) -> list[Node]:
        """A list's nodes; nothing for an absent one."""
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self.refuse(node, f"{what} must be a list")
            return []
        return list(node.value)

    def text(self, node: Node | None, what: str, otherwise: str = "") -> str:
        """A scalar as it is written."""
        if node is None:
            return otherwise
        if not isinstance(node, ScalarNode) or not node.value.strip():
            self.refuse(node, f"{what} must be text")
            return otherwise
        return str(node.value)

    def texts(self, node: Node | None, what: str) -> tuple[str, ...]:
        """A list of texts, each once."""
        nodes = self.sequence(node, what)
        found: list[str] = []
        for entry in nodes:
            value = self.text(entry, f"an entry of {what}")
            if value in found:
                self.refuse(entry, f"{value!r} stands twice in {what}")
            found.append(value)
        return tuple(found)

    def whole(self, node: Node | None, what: str, minimum: int = 0, otherwise: int = 0) -> int:
        """A whole number from ``minimum`` on."""
        if node is None:
            return otherwise
        text = node.value if isinstance(node, ScalarNode) else ""
        if not isinstance(text, str) or _WHOLE.fullmatch(text) is None or int(text) < minimum:
            self.refuse(
                node, f"{what} must be a whole number from {minimum} on, not {text or 'a collection'}"
            )
            return otherwise
        return int(text)

    def decimal(self, node: Node | None, what: str) -> Fraction:
        """A decimal number, exactly as written."""
        text = self.text(node, what, "0")
        if _DECIMAL.fullmatch(text) is None:
            if node is not None:
                self.refuse(node, f"{what} must be a decimal number, not {text}")
            return Fraction(0)
        return Fraction(text)

    def day(self, node: Node | None, what: str) -> date | None:
        """A calendar day, or None where there is none."""
        if node is None or (isinstance(node, ScalarNode) and node.tag.endswith(":null")):
            return None
        text = self.text(node, what)
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.refuse(node, f"{what} must be a date such as 2026-01-31, not {text}")
            return None

    def choice(self, node: Node | None, what: str, choices: type[Choice], otherwise: Choice) -> Choice:
        """One of the values of an enum."""
        text = self.text(node, what, otherwise.value)
        if text not in set(choices) and node is not None:
            self.refuse(node, f"{what} must be one of {', '.join(choices)}, not {text}")
            return otherwise
        return choices(text)
