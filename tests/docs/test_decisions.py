"""docs/decisions: each decision has a number of its own, in name and title, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
LINK = re.compile(r"\]\(([^)#:]*\d{4}-[^)#]+\.md)\)")


def test_numbers_are_those_from_one_on() -> None:
    """Nobody can mean two decisions by one number."""
    assert list(range(1, len(DECISIONS) + 1)) == [int(page.name[:4]) for page in DECISIONS]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_title_has_the_number_of_the_file(page: Path) -> None:
    """A page says which decision it is."""
    assert page.read_text(encoding="utf-8").startswith(f"# {int(page.name[:4])}. ")


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_links_to_decisions_lead_to_one(page: Path) -> None:
    """Renumbering leaves no link behind."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not (page.parent / link).is_file()]
