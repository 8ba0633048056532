"""Why a record is refused before it becomes an order: a closed set of codes, each with its class and text.

A text never holds a word of the payload: what it says must be fit for a header, a log line and a reply.
It tells the channel what to change. The path of the field is kept apart.
"""

from __future__ import annotations

from enum import StrEnum

from tierline.domain.outcome import Dead, DeadLetterClass


class Code(StrEnum):
    """The stable name of a refusal; never renamed, never reused."""

    TOMBSTONE = "TOMBSTONE"
    EMPTY_VALUE = "EMPTY_VALUE"
    INVALID_UTF8 = "INVALID_UTF8"
    BYTE_ORDER_MARK = "BYTE_ORDER_MARK"
    NUL_BYTE = "NUL_BYTE"
    MALFORMED_JSON = "MALFORMED_JSON"
    TRAILING_DATA = "TRAILING_DATA"
    NESTING_TOO_DEEP = "NESTING_TOO_DEEP"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    INTEGER_TOO_LARGE = "INTEGER_TOO_LARGE"
    NUMBER_TOO_LARGE = "NUMBER_TOO_LARGE"
    DUPLICATE_KEY = "DUPLICATE_KEY"
    LONE_SURROGATE = "LONE_SURROGATE"
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    MALFORMED_CSV = "MALFORMED_CSV"
    NOT_ONE_ROW = "NOT_ONE_ROW"
    RAGGED_ROW = "RAGGED_ROW"
    WRONG_DELIMITER = "WRONG_DELIMITER"
    DUPLICATE_COLUMN = "DUPLICATE_COLUMN"

    MISSING_COLUMN = "MISSING_COLUMN"
    INVALID_NUMBER = "INVALID_NUMBER"
    MISSING_FIELD = "MISSING_FIELD"
    WRONG_TYPE = "WRONG_TYPE"
    EMPTY_FIELD = "EMPTY_FIELD"
    TOO_LONG = "TOO_LONG"
    TOO_MANY = "TOO_MANY"
    CONTROL_CHARACTER = "CONTROL_CHARACTER"
    INVALID_VALUE = "INVALID_VALUE"
    INVALID_TIMESTAMP = "INVALID_TIMESTAMP"
    INVALID_SOURCE = "INVALID_SOURCE"
    NOTHING_ORDERED = "NOTHING_ORDERED"
    MISSING_REFERENCE = "MISSING_REFERENCE"
    CONTRADICTING_ITEMS = "CONTRADICTING_ITEMS"
    REFERENCE_MISMATCH = "REFERENCE_MISMATCH"
    AMBIGUOUS_ACCOUNT = "AMBIGUOUS_ACCOUNT"
    SUBSCRIPTION_TWICE = "SUBSCRIPTION_TWICE"

    RECORD_TOO_LARGE = "RECORD_TOO_LARGE"
    UNKNOWN_REFERENCE = "UNKNOWN_REFERENCE"
    EARLIER_ORDER_WAITS = "EARLIER_ORDER_WAITS"
    LOOK_UP_FAILED = "LOOK_UP_FAILED"


_DECODE = DeadLetterClass.DECODE
_CONTRACT = DeadLetterClass.CONTRACT

MEANINGS: dict[Code, tuple[DeadLetterClass, str]] = {
    Code.TOMBSTONE: (_DECODE, "The record has a null value, which is no order."),
    Code.EMPTY_VALUE: (_DECODE, "The value is empty, which is no order."),
    Code.INVALID_UTF8: (_DECODE, "The bytes are not UTF-8; send text encoded as UTF-8."),
    Code.BYTE_ORDER_MARK: (_DECODE, "The text starts with a byte order mark; send it without one."),
    Code.NUL_BYTE: (_DECODE, "The bytes hold a NUL, as UTF-16 text does; send UTF-8 text without NUL."),
    Code.MALFORMED_JSON: (_DECODE, "The text is not JSON (RFC 8259); it may be cut short."),
    Code.TRAILING_DATA: (_DECODE, "Something follows the JSON object; send one object per record."),
    Code.NESTING_TOO_DEEP: (_DECODE, "Objects and arrays are nested more than 64 deep."),
    Code.NOT_A_NUMBER: (_DECODE, "NaN and Infinity are not JSON numbers; leave the field out or send null."),
    Code.INTEGER_TOO_LARGE: (
        _DECODE,
        "A whole number does not fit in 64 bits, so readers would disagree on it.",
    ),
    Code.NUMBER_TOO_LARGE: (_DECODE, "A number is larger than a double can hold."),
    Code.DUPLICATE_KEY: (_DECODE, "A key stands twice in one object, so it is unclear which value counts."),
    Code.LONE_SURROGATE: (_DECODE, "A text holds half of a \\u surrogate pair, which is no character."),
    Code.NOT_AN_OBJECT: (_DECODE, "The JSON value is not an object."),
    Code.MALFORMED_CSV: (
        _DECODE,
        "The row is not CSV (RFC 4180): a quote is not closed, or stands where it must be doubled.",
    ),
    Code.NOT_ONE_ROW: (_DECODE, "A record is the header line and one row; this one holds something else."),
    Code.RAGGED_ROW: (_DECODE, "The row has more or fewer cells than the header line."),
    Code.WRONG_DELIMITER: (_DECODE, "The columns are not separated by commas; save the file with commas."),
    Code.DUPLICATE_COLUMN: (_DECODE, "A column stands twice in the header line; remove one of them."),
    Code.MISSING_COLUMN: (
        _CONTRACT,
        "The header line lacks this column, or spells it in another way; its cells may be empty.",
    ),
    Code.INVALID_NUMBER: (
        _CONTRACT,
        "This is no whole number; send digits only, as 15: no separator, fraction, sign or unit.",
    ),
    Code.MISSING_FIELD: (_CONTRACT, "A required field is missing or null."),
    Code.WRONG_TYPE: (_CONTRACT, "The field has another JSON type than the contract says."),
    Code.EMPTY_FIELD: (_CONTRACT, "The field is empty; leave it out or send null where it is optional."),
    Code.TOO_LONG: (_CONTRACT, "The text is longer than the contract allows."),
    Code.TOO_MANY: (_CONTRACT, "The list has more entries than the contract allows."),
    Code.CONTROL_CHARACTER: (_CONTRACT, "The text holds a control character."),
    Code.INVALID_VALUE: (_CONTRACT, "The value is none of those that the contract lists."),
    Code.INVALID_TIMESTAMP: (
        _CONTRACT,
        "This is no day or time that exists; send a day as 2026-11-23, a time as 2026-11-23T10:02:11Z.",
    ),
    Code.INVALID_SOURCE: (
        _CONTRACT,
        "The header 'source' must stand once, with 1 to 64 of A-Z a-z 0-9 . _ : - and nothing else.",
    ),
    Code.NOTHING_ORDERED: (_CONTRACT, "The order asks for nothing: name a plan, seats or a module."),
    Code.MISSING_REFERENCE: (_CONTRACT, "The order names neither a subscription nor an account."),
    Code.CONTRADICTING_ITEMS: (_CONTRACT, "Two items ask for different things of one subscription."),
    Code.REFERENCE_MISMATCH: (
        _CONTRACT,
        "The subscription does not belong to the account that is named with it.",
    ),
    Code.AMBIGUOUS_ACCOUNT: (_CONTRACT, "The account has several subscriptions; name the one that is meant."),
    Code.SUBSCRIPTION_TWICE: (
        _CONTRACT,
        "Two references of this record mean the same subscription; ask for it under one of them.",
    ),
    Code.RECORD_TOO_LARGE: (DeadLetterClass.OVERSIZE, "The value is larger than 1 MiB."),
    Code.UNKNOWN_REFERENCE: (
        DeadLetterClass.UNKNOWN_ACCOUNT,
        "No subscription is known under the references of this order; import it or its reference.",
    ),
    Code.EARLIER_ORDER_WAITS: (
        DeadLetterClass.UNKNOWN_ACCOUNT,
        "An earlier order with the same key waits; this one waits behind it.",
    ),
    Code.LOOK_UP_FAILED: (
        DeadLetterClass.DEPENDENCY,
        "The references of this order could not be looked up.",
    ),
}


class Refused(Exception):
    """The record breaks its contract. Raised while one record is read, and caught by ``read_intents``."""

    def __init__(self, code: Code, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.field = field


def dead(code: Code, field: str | None = None) -> Dead:
    """The outcome of a refusal. ``field``: path like ``productOrderItem[0].productOffering.id``."""
    dead_letter_class, text = MEANINGS[code]
    return Dead(dead_letter_class, code.value, field, text)
