"""JSON texts near an order: members doubled, renamed, added, dropped, values replaced, spaces varied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


class Members(list[tuple[str, Any]]):
    """An object as the list of its members, so that a key may stand twice."""


def _members(pairs: list[tuple[str, Any]]) -> Members:
    return Members(pairs)


def parsed(text: str | bytes) -> Any:
    """A JSON text with its objects as ``Members``."""
    return json.loads(text, object_pairs_hook=_members)


def written(node: Any, comma: str = ",", colon: str = ":", *, ascii_only: bool = True) -> str:
    """The JSON text of a tree of ``Members``, lists and scalars."""

    def text(value: Any) -> str:
        if isinstance(value, Members):
            return "{" + comma.join(f"{text(key)}{colon}{text(entry)}" for key, entry in value) + "}"
        if isinstance(value, list):
            return "[" + comma.join(map(text, value)) + "]"
        return json.dumps(value, ensure_ascii=ascii_only)

    return text(node)


TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", " x", "now", "modify", "add", ": ", "a:b", '"', "\\", "é", "\x7f", "\x1f", "x" * 129]
    ),
    st.sampled_from(
        ["2026-11-23T10:02:11Z", "2026-11-23", "2027-01-01T00:00:00+14:00", "PROD-991", "r" * 256]
    ),
    st.text(max_size=4),
)
NUMBERS = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**30, 1.5, 15.0, 1e300, float("nan"), float("inf")]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)


def values(names: Sequence[str]) -> st.SearchStrategy[Any]:
    """Any JSON value, its objects with keys from ``names`` and others, some of them twice."""
    keys = st.one_of(st.sampled_from(names), TEXTS)
    return st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(st.tuples(keys, inner), max_size=4).map(Members),
        ),
        max_leaves=8,
    )


def _containers(node: Any) -> list[list[Any]]:
    """All objects and lists of a tree."""
    if not isinstance(node, list):
        return []
    entries = [value for _, value in node] if isinstance(node, Members) else node
    return [node, *(found for entry in entries for found in _containers(entry))]


@st.composite
def mutants(draw: st.DrawFn, payloads: Sequence[bytes], names: Sequence[str]) -> bytes:
    """The bytes of one of ``payloads`` after up to three changes."""
    tree = parsed(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(0, 3))):
        _change(draw, draw(st.sampled_from(_containers(tree))), names)
    comma = draw(st.sampled_from([",", ", ", " ,\n"]))
    colon = draw(st.sampled_from([":", ": ", " : "]))
    text = written(tree, comma, colon, ascii_only=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass")


def _change(draw: st.DrawFn, container: list[Any], names: Sequence[str]) -> None:
    value = draw(values(names))
    if isinstance(container, Members):
        known = [key for key, _ in container]
        entry: Any = (draw(st.sampled_from([*known, *names])), value)
    else:
        entry = value
    place = draw(st.integers(0, len(container)))
    if place < len(container) and draw(st.booleans()):
        container[place : place + 1] = draw(st.sampled_from([[], [entry], [container[place]] * 2]))
    else:
        container.insert(place, entry)
