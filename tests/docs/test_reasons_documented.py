"""docs/reasons.md and the code say the same about every reason and every rule."""

from __future__ import annotations

import re
from pathlib import Path

from tierline.domain.policy import ALLOWED, STOPPING, Rule, Severity
from tierline.domain.reasons import REASONS, ReasonCode

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")


def rows_of(table: str) -> list[list[str]]:
    """The cells of the body rows of the table whose header begins with ``table``."""
    lines = PAGE.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {table} |"))
    body = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.strip("|").split("|")])
    return body


def test_every_reason_code_has_its_row_and_no_row_is_left_over() -> None:
    """The page lists the codes of the enum, in its order."""
    assert [f"`{code}`" for code in ReasonCode] == [row[0] for row in rows_of("code")]


def test_the_page_repeats_the_texts_of_the_code() -> None:
    """Text, operator action, owner and "again" of each row are those of REASONS."""
    told = {
        code: (r.customer, r.operator, r.owner, "yes" if r.retry else "no") for code, r in REASONS.items()
    }
    assert told == {row[0].strip("`"): tuple(row[2:]) for row in rows_of("code")}


def test_every_code_has_a_text() -> None:
    """REASONS is complete."""
    assert set(ReasonCode) == set(REASONS)


def test_every_rule_is_named_where_its_reason_is_explained() -> None:
    """The row of a rule's reason names the rule."""
    rows = {row[0].strip("`"): row[1] for row in rows_of("code")}
    assert list(Rule) == [rule for rule in Rule if f"`{rule}`" in rows[rule.reason]]


def test_the_page_lists_the_severities_and_the_rules_that_only_stop() -> None:
    """Severities in order; the sentence about rules that can only reject or hold names them."""
    assert [f"`{severity}`" for severity in Severity] == [row[0] for row in rows_of("severity")]
    sentence = re.search(r"\n((?:`\w+`(?:, | and )?)+) guard", PAGE)
    assert sentence is not None
    assert [rule for rule in Rule if ALLOWED[rule] == STOPPING] == re.findall(r"`(\w+)`", sentence[1])
