"""The strict reading refuses what two readers could read differently, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from streams.reading.refusal import Code, Refused
from streams.reading.strict_json import MAX_DEPTH, parse


def refusal_of(value: bytes | None, names: frozenset[str] = frozenset()) -> tuple[str, str | None]:
    """Code and path with which ``value`` is refused."""
    with pytest.raises(Refused) as refused:
        parse(value, names)
    return refused.value.code, refused.value.field


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"{}", {}),
        (b' {"a" :\t[ ]\r\n}\n', {"a": []}),
        (
            b'{"a":[1,-1,0,-0,9223372036854775807,-9223372036854775808]}',
            {"a": [1, -1, 0, 0, 2**63 - 1, -(2**63)]},
        ),
        (b'{"a":[1.5,1e2,1E-400,1.7976931348623157e308]}', {"a": [1.5, 100.0, 0.0, 1.7976931348623157e308]}),
        (b'{"a":["\\u00e9\\ud83d\\ude00\\u0000\\/\\""]}', {"a": ['\u00e9\U0001f600\x00/"']}),
        (b'{"a":"\xc3\xa9\xf0\x9f\x98\x80"}', {"a": "\u00e9\U0001f600"}),
        (b'{"a":[true,false,null]}', {"a": [True, False, None]}),
        (b'{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}),
        (b'{"":1,"a":2," ":3}', {"": 1, "a": 2, " ": 3}),
    ],
)
def test_what_is_unambiguous_is_read(value: bytes, expected: Any) -> None:
    """RFC 8259 texts that every reader reads alike pass."""
    assert expected == parse(value)


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"}",
        b"[",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b'{,"a":1}',
        b'{"a" 1}',
        b"{a:1}",
        b"{'a':1}",
        b'{"a":1 "b":2}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":0x10}',
        b'{"a":1e}',
        b'{"a":--1}',
        b'{"a":1_000}',
        b'{"a":\xef\xbc\x95}',
        b'{"a":"\n"}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u12"}',
        b'{"a":"\\uZZZZ"}',
        b'{"a":"abc}',
        b'{"a":tru}',
        b'{"a":True}',
        b'{"a":None}',
        b'{"a":undefined}',
        b"// {}",
        b"{} // x",
        b'{"a":1}}',
        b"{}{}",
        b"{}\x0b",
        b"\x0c{}",
        b"nan",
        b"\xe2\x80\xa8{}",
    ],
)
def test_what_is_no_json_is_refused(value: bytes) -> None:
    """Near misses that lenient readers accept are malformed, or have something behind the object."""
    assert refusal_of(value)[0] in (Code.MALFORMED_JSON, Code.TRAILING_DATA)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, Code.TOMBSTONE),
        (b"", Code.EMPTY_VALUE),
        (b" \n", Code.EMPTY_VALUE),
        (b"\xef\xbb\xbf{}", Code.BYTE_ORDER_MARK),
        (b"{}\x00", Code.NUL_BYTE),
        (b"{\x00}", Code.NUL_BYTE),
        (b'{"a":"\xff"}', Code.INVALID_UTF8),
        (b"\xfe\xff", Code.INVALID_UTF8),
        (b"{} {}", Code.TRAILING_DATA),
        (b"[]", Code.NOT_AN_OBJECT),
        (b"null", Code.NOT_AN_OBJECT),
        (b"NaN", Code.NOT_A_NUMBER),
        (b"-Infinity", Code.NOT_A_NUMBER),
        (b"9223372036854775808", Code.INTEGER_TOO_LARGE),
    ],
)
def test_what_is_no_object_is_refused_by_its_own_code(value: bytes | None, code: Code) -> None:
    """Each kind of unreadable value has a code that says what to change."""
    assert (code, None) == refusal_of(value)


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        (b'{"known":{"list":[0,{"known":NaN}]}}', Code.NOT_A_NUMBER, "known.list[1].known"),
        (b'{"list":[1,2,-9223372036854775809]}', Code.INTEGER_TOO_LARGE, "list[2]"),
        (b'{"known":1e309}', Code.NUMBER_TOO_LARGE, "known"),
        (b'{"known":-1e309}', Code.NUMBER_TOO_LARGE, "known"),
        (b'{"known":{"list":1,"list":1}}', Code.DUPLICATE_KEY, "known.list"),
        (b'{"known":{"list":1,"li\\u0073t":2}}', Code.DUPLICATE_KEY, "known.list"),
        (b'{"known":1,"known":NaN}', Code.DUPLICATE_KEY, "known"),
        (b'{"known":["\\ud800"]}', Code.LONE_SURROGATE, "known[0]"),
        (b'{"known":["\\udc00\\ud800x"]}', Code.LONE_SURROGATE, "known[0]"),
        (b'{"\\udfff":1}', Code.LONE_SURROGATE, "*"),
        (b'{"jane@example.com":{"known":NaN}}', Code.NOT_A_NUMBER, "*.known"),
    ],
)
def test_a_refusal_names_the_place_without_words_of_the_payload(value: bytes, code: Code, field: str) -> None:
    """Known names and list places show; every other key is a star."""
    assert (code, field) == refusal_of(value, frozenset({"known", "list"}))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_nesting_bomb_is_refused_without_a_crash(opening: bytes, *, is_closed: bool) -> None:
    """100,000 levels end as a refusal, never as an exhausted stack."""
    closing = opening.translate(bytes.maketrans(b"[{", b"]}"), b'":a')[::-1]
    bomb = b'{"a":' + opening * 100_000 + (b"1" + closing * 100_000 + b"}" if is_closed else b"")

    assert (Code.NESTING_TOO_DEEP, None) == refusal_of(bomb)


def test_brackets_inside_texts_do_not_count_as_nesting() -> None:
    """Only structure nests: a text full of brackets, quotes and escapes is a text."""
    text = "[{" * 1000 + '\\"]'
    value = b'{"a":"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"}'

    assert {"a": text} == parse(value)


@pytest.mark.parametrize(("levels", "is_read"), [(MAX_DEPTH - 1, True), (MAX_DEPTH, False)])
def test_nesting_ends_at_the_limit(levels: int, *, is_read: bool) -> None:
    """64 levels, the object itself included."""
    value = b'{"a":' + b"[" * levels + b"]" * levels + b"}"

    if is_read:
        assert ["a"] == list(parse(value))
    else:
        assert (Code.NESTING_TOO_DEEP, None) == refusal_of(value)


def test_endless_digits_are_refused_at_once() -> None:
    """A number of a million digits is refused by its length, not computed."""
    assert (Code.INTEGER_TOO_LARGE, "*") == refusal_of(b'{"a":' + b"9" * 1_000_000 + b"}")
