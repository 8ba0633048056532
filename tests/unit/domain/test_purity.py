"""The core computes with whole numbers and fractions only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

DOMAIN = Path(__file__).parents[3] / "tierline" / "domain"
FILES = sorted(DOMAIN.glob("**/*.py"))


def inexact_places(source: str) -> Iterator[int]:
    """The lines that name float, write a binary fraction or divide with ``/`` (Fraction(a, b) is exact)."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id="float" | "complex"):
                yield node.lineno
            case ast.Constant(value=float() | complex()):
                yield node.lineno
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield node.lineno


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_domain_has_no_float(file: Path) -> None:
    """No file of the domain can make a binary fraction."""
    assert [] == list(inexact_places(file.read_text()))


@pytest.mark.parametrize("line", ["x: float", "x = 1.5", "x = 1 / 2", "x /= 2", "x = float('1')"])
def test_float_rule_sees_each_way_in(line: str) -> None:
    """The rule itself finds every way to make a binary fraction."""
    assert [1] == sorted(set(inexact_places(line)))
