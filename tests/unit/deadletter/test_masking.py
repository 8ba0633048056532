"""A masked payload shows how it is built and none of its words, whether or not it can be read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadletter.masking import HARMLESS, MOST_CHARS, Mask, masked_payload, masked_text, readable

KNOWN = Mask({"reference", "plan", "seats", "modules", "target", "note", "id"})
SECRET = "Zoë Canary <zoe@example.org>"


def masked(text: str) -> str:
    return masked_payload(text.encode(), KNOWN)


def test_structure_and_harmless_values_stay() -> None:
    """What an operator needs to find the order and to see what it asks for."""
    order = {"reference": "web-1", "target": {"plan": "team-month", "seats": 12, "modules": ["sso-pack"]}}

    assert json.dumps(order, indent=2) == masked(json.dumps(order))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"note":"Jane Doe"}', '{\n  "note": "<8 characters>"\n}'),
        ('{"Jane Doe":"x"}', '{\n  "*": "<1 character>"\n}'),
        ('{"plan":"jane@example.org"}', '{\n  "plan": "<16 characters>"\n}'),
        ('{"seats":4917012345678}', '{\n  "seats": <number>\n}'),
        ('{"note":{"plan":"x","a":[true,null,1]}}', None),
        ('{"modules":["a","Jane Doe"]}', '{\n  "modules": [\n    "a",\n    "<8 characters>"\n  ]\n}'),
        ("[]", "[]"),
        ('{"target":{}}', '{\n  "target": {}\n}'),
    ],
)
def test_what_may_be_personal_is_replaced_by_kind_and_length(text: str, expected: str | None) -> None:
    """Values of other fields, names that no contract knows, and harmless fields that hold something else."""
    if expected is not None:
        assert expected == masked(text)
    assert "Jane" not in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"plan":"team" "Jane"}',
        '{"plan":"team","Jane"}',
        '{"plan":Jane}',
        '{"plan":"team"} Jane',
        '{"note":"Jane',
        '{"note":"Jane\\',
        '{"note" "Jane"}',
        "{Jane:1}",
        '{"plan":["a"],"Jane"]}',
        '"Jane"',
        "Jane",
        "}{Jane",
        '{"pl\\u0061n":"Jane"}',
        '[{"note":"Jane"}',
        '{"modules":["a" "Jane"]}',
        '{"modules":[["Jane"]]}',
        '{"plan":{"Jane":"Jane"},"x":"Jane"}',
        '{"plan":{} "Jane"}',
    ],
)
def test_text_that_is_no_json_shows_none_of_its_words(text: str) -> None:
    """The masker takes what stands there; a broken payload must not slip through the mask."""
    assert "Jane" not in masked(text)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_shows_its_columns_and_harmless_cells(delimiter: str) -> None:
    """Quotes, blanks and line ends in cells, columns that nobody knows, rows that are too long."""
    rows = [
        ["plan", "note", "contact", "id"],
        ["team", '"Jane ""J"" Doe\r\nBerlin"', "Jane", "sub_1"],
        ["team", "", "Jane", "sub_2", "Jane"],
    ]
    lines = masked("\r\n".join(delimiter.join(row) for row in rows)).splitlines()

    assert delimiter.join(["plan", "note", "*", "id"]) == lines[0]
    assert delimiter.join(["team", "<24 characters>", "<4 characters>", "sub_1"]) == lines[1]
    assert delimiter.join(["team", "", "<4 characters>", "sub_2", "<4 characters>"]) == lines[2]


def test_a_quote_that_is_never_closed_hides_the_rest() -> None:
    """As spreadsheets write it after a bad paste."""
    assert "Jane" not in masked('plan,note\nteam,"Jane,sub_1\nJane,x')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "(no value)"),
        (b"", "(empty value)"),
        (b"\xff{", "(2 bytes that are not UTF-8 text)"),
        (b"{\0}", "(3 bytes with NUL among them)"),
        (b'\xef\xbb\xbf{"plan":"x"}', '{\n  "plan": "x"\n}'),
    ],
)
def test_bytes_that_are_no_text_are_measured(value: bytes | None, expected: str) -> None:
    """There is nothing to see in them without their meaning."""
    assert expected == masked_payload(value, KNOWN)


def test_a_bomb_is_cut() -> None:
    """Neither depth nor length floods a terminal."""
    assert len(masked("[" * 100_000)) < MOST_CHARS + 100
    assert len(masked("[" + "1," * 100_000 + "1]")) < MOST_CHARS + 100


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.just(SECRET),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from([*sorted(HARMLESS), SECRET, "note"]), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    st.integers(0, 200),
    st.sampled_from(['"', "{", "}", "]", ",", ":", "\\", "\n", ""]),
)
def test_no_damage_brings_the_secret_out(content: object, place: int, damage: str) -> None:
    """Whatever is cut out of a payload or put into it, wherever."""
    text = json.dumps(content, ensure_ascii=False)
    for damaged in (text, text[:place] + damage + text[place:], text[:place] + damage):
        seen = masked_payload(damaged.encode(), Mask(HARMLESS | {"note"}))

        assert "zoe@" not in seen
        assert "Zoë" not in seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [("sub_88", "sub_88"), ("jane@example.org", "<16 characters>"), ("Jane Doe", "<8 characters>")],
)
def test_a_reference_is_shown_where_it_looks_like_one(text: str, expected: str) -> None:
    """Some senders use an address for an account number."""
    assert expected == masked_text(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "(no value)"),
        (b"a\tb\n", "a\tb\n"),
        (b"\x1b[2Jx", "\\x1b[2Jx"),
        ("a\u202eb".encode(), "a\\u202eb"),
        (b"\xff\x00abc", "ff 00616263"),
    ],
)
def test_a_full_payload_cannot_steer_the_terminal(value: bytes | None, expected: str) -> None:
    """Escape sequences and marks of direction are written out; other bytes are hex."""
    assert expected == readable(value)
