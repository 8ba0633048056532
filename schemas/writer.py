"""Writers generated from the .avsc at start, for the hot path. Byte-identical with fastavro, by test.

``compile_record`` gives a function that writes one dataclass, ``compile_sharing`` one that encodes only once
what several of them have in common. ``specialise`` gives a function that writes one record from positional
arguments, with everything that is fixed encoded once. ``source`` is the Python that runs; it also stands in
tracebacks.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NoReturn

from schemas import reference
from schemas.avsc import Schema, simple_name
from schemas.errors import UnsupportedSchema
from schemas.generator import Binding, Generator
from schemas.varint import INT, LENGTH, int32, long, tagged_lengths

REFUSED = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What the generated code raises for a value that is not common: the careful path then decides."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Writer:
    """A generated function. ``write`` takes ``parameters`` by position and returns bytes.

    A value that does not fit raises EncodeError, which names its path; nothing is written then.
    """

    write: Callable[..., bytes]
    source: str
    parameters: tuple[str, ...]


def compile_record(schema: Schema, classes: Mapping[str, type], prefix: bytes = b"") -> Writer:
    """A writer for objects that carry the fields of ``schema`` as attributes.

    ``classes`` gives the class of each record that stands in a union of records, by its name in the schema.
    ``prefix`` begins every result: the framing.
    """

    def careful(record: Any) -> bytes:
        return prefix + reference.encode(schema, record)

    return _writer(schema, Binding({"": "record"}), careful, classes, prefix)


@dataclass(frozen=True, slots=True)
class SharingWriter:
    """Two generated functions, for records that have most fields in common.

    ``share(first)`` encodes these; ``write(record, shared)`` gives the bytes of ``first``, or of another
    record with the same ones, as ``Writer.write`` would.
    """

    share: Callable[[Any], tuple[bytes, ...]]
    write: Callable[[Any, tuple[bytes, ...]], bytes]
    source: str


def compile_sharing(
    schema: Schema, classes: Mapping[str, type], shared: Collection[str], prefix: bytes = b""
) -> SharingWriter:
    """A writer for objects as in ``compile_record`` that have the fields ``shared`` in common."""

    def careful(record: Any) -> bytes:
        return prefix + reference.encode(schema, record)

    generator = Generator(schema, Binding({"": "record"}))
    source = generator.source_sharing(prefix, shared)
    names = _compiled(schema, generator, source, careful, classes)
    return SharingWriter(names["share"], names["write"], source)


def specialise(
    schema: Schema,
    *,
    constants: Mapping[str, Any],
    parameters: Sequence[str],
    branches: Mapping[str, str] | None = None,
    prefix: bytes = b"",
) -> Writer:
    """A writer for one shape of record: what never changes is encoded now, the rest comes as arguments.

    Paths are dotted (``origin.offset``); the argument of a path has its dots as underscores. ``branches``
    fixes the record of a union (``{"body": "PlaceOrder"}``). A field that is neither constant nor parameter
    takes its default. UnsupportedSchema names what has no value, and a path that is not in the schema.
    """
    arguments = {path: path.replace(".", "_") for path in parameters}
    binding = Binding(arguments, constants, branches or {})

    def careful(*values: Any) -> bytes:
        given = {**constants, **dict(zip(parameters, values, strict=True))}
        return prefix + reference.encode(schema, reference.assembled(given, binding.branches))

    return _writer(schema, binding, careful, {}, prefix)


def _writer(
    schema: Schema,
    binding: Binding,
    careful: Callable[..., bytes],
    classes: Mapping[str, type],
    prefix: bytes,
) -> Writer:
    generator = Generator(schema, binding)
    source = generator.source(prefix)
    names = _compiled(schema, generator, source, careful, classes)
    return Writer(names["write"], source, tuple(binding.arguments.values()))


def _compiled(
    schema: Schema,
    generator: Generator,
    source: str,
    careful: Callable[..., bytes],
    classes: Mapping[str, type],
) -> dict[str, Any]:
    """What the module ``source`` defines, by name."""
    unknown = sorted(generator.classes - classes.keys())
    if unknown:
        raise UnsupportedSchema(f"no class is given for: {', '.join(unknown)}")
    names: dict[str, Any] = {
        "EMPTY": INT[0],
        "FALSE": b"\x00",
        "INT": INT,
        "LENGTH": LENGTH,
        "REFUSED": REFUSED,
        "TRUE": b"\x01",
        "careful": careful,
        "int32": int32,
        "join": b"".join,
        "long": long,
        "refuse": _refuse,
        **{f"LENGTH_{tag}": tagged_lengths(tag) for tag in generator.tags},
        **{name: classes[name] for name in generator.classes},
    }
    file_name = f"<writer {next(_numbers)} of {simple_name(schema)}>"
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    exec(compile(source, file_name, "exec"), names)  # noqa: S102 - the source is made from our own .avsc
    return names


def _refuse(value: object) -> NoReturn:
    raise TypeError(type(value).__name__)
