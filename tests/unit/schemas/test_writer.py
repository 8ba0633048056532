"""The generated writer: what it refuses, what it takes the careful way, how it is specialised."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import pytest

from schemas import reference
from schemas.avsc import COMMANDS_SUBJECT, EVENTS_SUBJECT, Schema, load_schema, parse
from schemas.codec import body_classes
from schemas.errors import EncodeError, UnsupportedSchema
from schemas.varint import INT_MAX, LONG_MAX, SMALL
from schemas.writer import compile_record, compile_sharing, specialise
from tests.support.avro_records import COMMAND, ORDER
from tierline.domain.commands import Command, ExternalRef, OpenSubscription, RecordPaymentResult
from tierline.domain.events import OrderRejected, Reason

SCHEMA = load_schema(COMMANDS_SUBJECT)
WRITER = compile_record(SCHEMA, body_classes(Command))
PAYMENT = RecordPaymentResult("p", "o", "authorized", "g", None, 100, "EUR")
OPENING = OpenSubscription(
    time_zone="Europe/Berlin",
    currency="EUR",
    country="DE",
    segment="mid",
    standing="good",
    payment="gateway",
    plan="team-month",
    seats=12,
    modules=(),
    opened_at=0,
    billing_day=1,
    period_start="2026-11-01",
    period_end="2026-12-01",
    contract=None,
    invoiced=None,
    external_refs=(ExternalRef("partner", "main", "PROD-991"),),
)


def changed(record: Any, **fields: Any) -> Any:
    """``record`` with fields that its types may forbid."""
    return replace(record, **fields)


def with_body(body: Any) -> Command:
    return replace(COMMAND, type=type(body).__name__, body=body)


REFUSED: list[tuple[str, Command, str]] = [
    ("account_id", changed(COMMAND, account_id=None), "expected a string, got null"),
    ("account_id", changed(COMMAND, account_id=b"acc"), "a value of type bytes"),
    ("source_ref", changed(COMMAND, source_ref="a\ud800"), "lone surrogate at character 1"),
    ("actor", changed(COMMAND, actor="\udfff"), "lone surrogate at character 0"),
    ("actor", changed(COMMAND, actor=7), "expected a string"),
    ("livemode", changed(COMMAND, livemode=1), "expected true or false"),
    ("intent_index", changed(COMMAND, intent_index=True), "a value of type bool"),
    ("intent_count", changed(COMMAND, intent_count=INT_MAX + 1), "range of Avro's int"),
    ("received_at", changed(COMMAND, received_at=LONG_MAX + 1), "range of Avro's long"),
    ("received_at", changed(COMMAND, received_at=1.5), "a value of type float"),
    ("decide_by", changed(COMMAND, decide_by="soon"), "expected an integer"),
    ("origin.topic", changed(COMMAND, origin=None), "null has no such field"),
    ("origin.offset", changed(COMMAND, origin=changed(COMMAND.origin, offset="9")), "expected an integer"),
    ("body", changed(COMMAND, body=None), "none of the"),
    ("body", changed(COMMAND, body=OrderRejected((), retry=False)), "OrderRejected"),
    ("body.seats", with_body(changed(ORDER, seats=15.0)), "a value of type float"),
    ("body.seats", with_body(changed(ORDER, seats=False)), "a value of type bool"),
    ("body.modules", with_body(changed(ORDER, modules="sso")), "expected an array"),
    ("body.modules", with_body(changed(ORDER, modules=None)), "got null"),
    ("body.modules.1", with_body(changed(ORDER, modules=("a", 1))), "expected a string"),
    ("body.validate_only", with_body(changed(ORDER, validate_only=None)), "got null"),
    ("body.amount_minor", with_body(changed(PAYMENT, amount_minor=9.99)), "float"),
    ("body.contract.start", with_body(changed(OPENING, contract=PAYMENT)), "missing"),
    ("body.external_refs.0.channel", with_body(changed(OPENING, external_refs=(Reason("", ""),))), "missing"),
]


@pytest.mark.parametrize(("path", "command", "reason"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_by_its_path(path: str, command: Command, reason: str) -> None:
    """Wrong types, ranges and text: nothing is written, and the error says where."""
    with pytest.raises(EncodeError) as refused:
        WRITER.write(command)

    assert path == refused.value.path
    assert reason in str(refused.value)


def test_an_error_never_shows_the_value() -> None:
    """A value may be a customer's."""
    with pytest.raises(EncodeError) as refused:
        WRITER.write(replace(COMMAND, source_ref="secret\ud800"))

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("length", [SMALL - 1, SMALL, 100_000])
def test_a_text_longer_than_the_tables_is_written(length: int) -> None:
    """The careful path gives the bytes of fastavro."""
    command = replace(COMMAND, source_ref="é" * (length // 2), actor="x" * length)

    assert reference.encode(SCHEMA, command) == WRITER.write(command)


def test_an_array_longer_than_the_tables_is_written() -> None:
    """One block, as fastavro makes it."""
    command = with_body(replace(ORDER, modules=("m",) * (SMALL + 1)))

    assert reference.encode(SCHEMA, command) == WRITER.write(command)


def test_an_array_may_be_a_list() -> None:
    """Lists and tuples are the same array, empty or not."""
    listed = with_body(changed(ORDER, modules=["sso-pack"], unavailable=[]))

    assert WRITER.write(COMMAND) == WRITER.write(listed)


def test_the_prefix_begins_every_result() -> None:
    """Also on the careful path."""
    framed = compile_record(SCHEMA, body_classes(Command), prefix=b"\x00frame")
    long_command = replace(COMMAND, source_ref="x" * SMALL)

    assert b"\x00frame" + WRITER.write(COMMAND) == framed.write(COMMAND)
    assert b"\x00frame" + WRITER.write(long_command) == framed.write(long_command)


def test_the_generated_source_stands_in_the_traceback() -> None:
    """Who debugs a refusal sees the line that refused."""
    with pytest.raises(EncodeError) as refused:
        WRITER.write(changed(COMMAND, account_id=None))

    assert "record.account_id.encode()" in "".join(traceback.format_exception(refused.value))


def test_neighbouring_constants_are_one_literal() -> None:
    """What is fixed costs one entry in the join."""
    writer = specialise(ORIGIN, constants={"topic": "t", "partition": 3}, parameters=("offset",))

    assert r"b'\x02t\x06'," in writer.source
    assert b"\x02t\x06\x12" == writer.write(9)


ORIGIN: Schema = SCHEMA["fields"][9]["type"]


def test_a_field_without_a_value_is_named_when_the_writer_is_made() -> None:
    """Neither constant, parameter nor default."""
    with pytest.raises(UnsupportedSchema, match="nothing gives a value to: partition, offset"):
        specialise(ORIGIN, constants={"topic": "t"}, parameters=())


def test_a_path_that_is_not_in_the_schema_is_named_when_the_writer_is_made() -> None:
    """A typing error must not pass silently."""
    with pytest.raises(UnsupportedSchema, match="has no place for: offzet"):
        specialise(ORIGIN, constants={"topic": "t", "partition": 1, "offset": 1}, parameters=("offzet",))


def test_a_branch_that_the_union_does_not_have_is_named() -> None:
    """The branch is chosen by the name of its record."""
    with pytest.raises(UnsupportedSchema, match="body: PlaceOrdr is not a record"):
        specialise(SCHEMA, constants={}, parameters=(), branches={"body": "PlaceOrdr"})


def test_a_constant_that_does_not_fit_is_refused_when_the_writer_is_made() -> None:
    """By its path, like any other value."""
    with pytest.raises(EncodeError, match="partition: expected an integer"):
        specialise(ORIGIN, constants={"topic": "t", "partition": "3"}, parameters=("offset",))


def test_a_specialised_writer_refuses_by_the_path_in_the_record() -> None:
    """Not by the name of the argument."""
    writer = specialise(
        SCHEMA,
        constants=dict.fromkeys(
            ("tenant_id", "command_id", "type", "account_id", "subscription_id", "channel", "source"), ""
        )
        | dict.fromkeys(("source_ref", "correlation_id", "digest", "app_version", "body.effective"), "")
        | dict.fromkeys(("intent_index", "intent_count", "received_at", "origin.partition"), 0)
        | {"origin.topic": "t", "livemode": True, "body.validate_only": True}
        | {"body.modules": (), "body.unavailable": ()},
        parameters=("origin.offset", "body.seats"),
        branches={"body": "PlaceOrder"},
    )

    assert ("origin_offset", "body_seats") == writer.parameters
    with pytest.raises(EncodeError, match=r"body\.seats: expected an integer"):
        writer.write(1, "15")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([{"name": "price", "type": "double"}], "no code is generated for 'double'"),
        ([{"name": "either", "type": ["string", "long"]}], "records only"),
        ([{"name": "three", "type": ["null", "string", "long"]}], "null and one more"),
        ([{"name": "class", "type": "string"}], "cannot be an attribute"),
        ([{"name": "self", "type": ["null", "t.R"]}], "contains itself"),
    ],
)
def test_a_schema_beyond_the_generator_is_refused_when_the_writer_is_made(
    fields: list[dict[str, Any]], complaint: str
) -> None:
    """Never at the first record."""
    schema = {"type": "record", "name": "t.R", "fields": fields}

    with pytest.raises(UnsupportedSchema, match=complaint):
        compile_record(schema, {})


def test_a_union_without_its_classes_is_refused_when_the_writer_is_made() -> None:
    """Each record of a union is chosen by its class."""
    with pytest.raises(UnsupportedSchema, match="no class is given for: AccountOpened"):
        compile_record(load_schema(EVENTS_SUBJECT), {})


def test_names_of_fields_never_hide_names_of_the_generated_code() -> None:
    """A field may be called like a table or a function that the code uses."""
    names = ("join", "long", "INT", "LENGTH", "record", "len", "items", "careful")
    fields = ", ".join(f'{{"name": "{name}", "type": "long"}}' for name in names)
    schema = parse(f'{{"type": "record", "name": "R", "fields": [{fields}]}}')
    record = type("R", (), dict.fromkeys(names, 1))()

    assert b"\x02" * len(names) == compile_record(schema, {}).write(record)


SHARED = ("tenant_id", "source_ref", "origin", "decide_by")
SHARING = compile_sharing(SCHEMA, body_classes(Command), SHARED, prefix=b"\x00frame")


def test_records_with_fields_in_common_encode_them_once() -> None:
    """The first and every other come out as the whole writer makes them."""
    shared = SHARING.share(COMMAND)

    for command in (COMMAND, changed(COMMAND, account_id="acc_9", received_at=1), with_body(PAYMENT)):
        assert b"\x00frame" + WRITER.write(command) == SHARING.write(command, shared)


@pytest.mark.parametrize(
    "uncommon",
    [changed(COMMAND, source_ref="a" * SMALL), changed(COMMAND, actor="a" * SMALL)],
    ids=["in common", "for itself"],
)
def test_a_value_beyond_the_tables_is_written_all_the_same(uncommon: Command) -> None:
    """The careful way serves whatever is sound, be it in common or not."""
    assert b"\x00frame" + reference.encode(SCHEMA, uncommon) == SHARING.write(
        uncommon, SHARING.share(uncommon)
    )


@pytest.mark.parametrize(("path", "command", "reason"), REFUSED)
def test_a_sharing_writer_refuses_what_the_other_does(path: str, command: Command, reason: str) -> None:
    """With the path of the field."""
    with pytest.raises(EncodeError, match=reason) as refused:
        SHARING.write(command, SHARING.share(command))
    assert path == refused.value.path


def test_a_field_that_is_not_there_cannot_be_shared() -> None:
    """A name that was changed in the schema must be changed here too."""
    with pytest.raises(UnsupportedSchema, match="has no field: nobody"):
        compile_sharing(SCHEMA, body_classes(Command), ("nobody", "actor"))
