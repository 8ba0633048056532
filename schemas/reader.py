"""Readers generated from a writer's schema, for the hot path. What they give is what fastavro gives, by test.

The generated code is optimistic: bytes that are not the common case raise inside it, or do not end where
the record ends, and fastavro then decides what they hold or what is wrong with them. ``Reader.source`` is the
Python that runs; it also stands in tracebacks.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

from schemas.avsc import Schema, named_types, record_at, simple_name
from schemas.errors import UnsupportedSchema
from schemas.varint import INT_OF_BYTE, SIZE_OF_BYTE, long_at, size_at

REFUSED = (LookupError, ValueError)
"""What the generated code raises for bytes that are not common: the careful path then decides."""

NEVER_READ: tuple[bytes, tuple[Any, ...]] = (b"\xff" * 11, ())
"""The bytes of a run before the first: no value of Avro begins like that."""

MOST_KNOWN = 1_000
"""How many records of a kind are remembered before all of them are forgotten."""

Read = Callable[[bytes], dict[str, Any]]

_INDENT = "    "
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Reader:
    """A generated function. ``read`` takes the whole value, of which the record begins after the frame."""

    read: Read
    source: str


def compile_reader(
    schema: Schema,
    start: int,
    careful: Read,
    repeated: Collection[str] = frozenset(),
    recurring: Collection[str] = frozenset(),
) -> Reader:
    """A reader of one record of ``schema`` that begins at byte ``start`` and ends with the value.

    Where a union has several records, what is read is (full name, dict). ``careful`` gets every value that
    the generated code does not understand. Fields that stand side by side and are ``repeated`` are read once
    for records that follow each other with the same bytes there; a record of a union that is ``recurring``
    is read once for all that are the same to the end of the value; an array is read once for all that have
    its bytes until one of its kind has others. What was read once is shared, so nobody may change a record
    in these places. Raises UnsupportedSchema for a schema that it cannot serve.
    """
    generator = _Generator(schema, repeated, recurring)
    source = generator.source(start)
    names: dict[str, Any] = {
        "INT": INT_OF_BYTE,
        "MOST_KNOWN": MOST_KNOWN,
        "NEVER_READ": NEVER_READ,
        "REFUSED": REFUSED,
        "RUNS": [NEVER_READ] * generator.runs,
        "SIZE": SIZE_OF_BYTE,
        "careful": careful,
        "long_at": long_at,
        "size_at": size_at,
    }
    file_name = f"<reader {next(_numbers)} of {simple_name(schema)}>"
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    exec(compile(source, file_name, "exec"), names)  # noqa: S102 - every name in it is checked
    return Reader(names["read"], source)


class _Generator:
    """Writes the source for one schema. Generated functions take value and place: ``v`` and ``p``."""

    def __init__(self, schema: Schema, repeated: Collection[str], recurring: Collection[str]) -> None:
        self._schema = schema
        self._repeated = repeated
        self._recurring = recurring
        self.runs = 0
        """How many runs of repeated fields there are."""
        self._named = named_types(schema)
        self._functions: dict[str, str] = {}
        self._arrays: dict[str, str] = {}
        """The functions of arrays by what they hold."""
        self._open: list[str] = []

    def source(self, start: int) -> str:
        """The module: one function per record, union and array, then ``read``."""
        entry = self._record(self._schema)
        read = (
            "def read(v):\n"
            "    try:\n"
            f"        found, p = {entry}(v, {start})\n"
            "        if p == len(v):\n"
            "            return found\n"
            "    except REFUSED:\n"
            "        pass\n"
            "    return careful(v)\n"
        )
        return "\n\n".join([*self._functions.values(), read])

    def _record(self, record: Schema) -> str:
        """The name of the function that reads ``record``."""
        name = f"record_{_identifier(record['name'])}"
        if name in self._open:
            raise UnsupportedSchema(f"{record['name']} contains itself")
        if name not in self._functions:
            self._open.append(name)
            lines: list[str] = []
            numbered = enumerate(record["fields"])
            for together, run in groupby(numbered, lambda one: one[1]["name"] in self._repeated):
                fields_of_run = {f"f{number}": inner["type"] for number, inner in run}
                read = [line for target, kind in fields_of_run.items() for line in self._value(kind, target)]
                if together and record is self._schema and len(fields_of_run) > 1:
                    read = self._run(list(fields_of_run), read)
                lines += read
            self._open.pop()
            fields = ", ".join(f"{inner['name']!r}: f{n}" for n, inner in enumerate(record["fields"]))
            self._functions[name] = _function(name, [*lines, f"return {{{fields}}}, p"])
        return name

    def _run(self, targets: list[str], read: list[str]) -> list[str]:
        """The lines that read ``targets`` together, or take what the same bytes gave the last time."""
        number, values = self.runs, ", ".join(targets)
        self.runs += 1
        return [
            f"known, found = RUNS[{number}]",
            "if v.startswith(known, p):",
            f"{_INDENT}{values} = found",
            f"{_INDENT}p += len(known)",
            "else:",
            f"{_INDENT}start = p",
            *_indented(read),
            f"{_INDENT}if p <= len(v):",
            f"{_INDENT * 2}RUNS[{number}] = v[start:p], ({values})",
        ]

    def _value(self, schema: Any, target: str) -> list[str]:
        """The lines that read one value into ``target`` and move ``p`` behind it."""
        match schema:
            case "string" | {"type": "string"}:
                return [*_small("n", "SIZE", "size_at"), f"{target} = v[p:(p := p + n)].decode()"]
            case "int" | "long" | {"type": "int" | "long"}:
                return _small(target, "INT", "long_at")
            case "boolean" | {"type": "boolean"}:
                return [f"{target} = v[p] == 1", "if v[p] > 1:", f"{_INDENT}raise ValueError", "p += 1"]
            case {"type": "array", "items": items}:
                return [f"{target}, p = {self._array(items)}(v, p)"]
            case list(branches):
                return self._union(branches, target)
            case _:
                record = record_at(schema, self._named)
                if record is None:
                    raise UnsupportedSchema(f"no code is generated for {schema!r}")
                return [f"{target}, p = {self._record(record)}(v, p)"]

    def _union(self, branches: list[Any], target: str) -> list[str]:
        others = [branch for branch in branches if branch != "null"]
        if len(others) == 1 and len(branches) == 2:
            null, taken = branches.index("null"), self._value(others[0], target)
            return [
                "b = v[p]",
                "p += 1",
                f"if b == {2 * null}:",
                f"{_INDENT}{target} = None",
                f"elif b == {2 * (1 - null)}:",
                *_indented(taken),
                "else:",
                f"{_INDENT}raise ValueError",
            ]
        if len(others) < len(branches) or len(branches) < 2:
            raise UnsupportedSchema("a union is either null and one more, or several records")
        return [
            f"name, read_branch = {self._branches(branches)}[v[p]]",
            f"{target}, p = read_branch(v, p + 1)",
            f"{target} = name, {target}",
        ]

    def _branches(self, branches: list[Any]) -> str:
        """The name of the table from the byte that chooses a record to its full name and its function."""
        lines = []
        for index, branch in enumerate(branches):
            record = record_at(branch, self._named)
            if record is None:
                raise UnsupportedSchema("a union of several types may hold records only")
            recurs = simple_name(record) in self._recurring
            function = self._recurring_record(record) if recurs else self._record(record)
            lines.append(f"{_INDENT}{2 * index}: ({record['name']!r}, {function}),")
        name = f"BRANCHES_{len(self._functions)}"
        self._functions[name] = "\n".join([f"{name} = {{", *lines, "}"]) + "\n"
        return name

    def _recurring_record(self, record: Schema) -> str:
        """The name of the function that reads ``record``, or takes what the same bytes gave before."""
        name = f"recurring_{len(self._functions)}"
        lines = [
            "rest = v[p:]",
            f"known = {name.upper()}.get(rest)",
            "if known is None:",
            f"{_INDENT}found, end = {self._record(record)}(v, p)",
            f"{_INDENT}if len({name.upper()}) >= MOST_KNOWN:",
            f"{_INDENT * 2}{name.upper()}.clear()",
            f"{_INDENT}known = {name.upper()}[rest] = found, end - p",
            "found, size = known",
            "return found, p + size",
        ]
        self._functions[name] = f"{name.upper()} = {{}}\n\n\n{_function(name, lines)}"
        return name

    def _array(self, items: Any) -> str:
        """The name of the function that reads an array of ``items``; each of them takes a byte at least."""
        record = record_at(items, self._named)
        if record is not None and not record["fields"]:
            raise UnsupportedSchema(f"{record['name']} takes no bytes: an array of it may be of any length")
        kind = repr(items) if record is None else record["name"]
        if kind not in self._arrays:
            self._arrays[kind] = self._array_function(self._value(items, "item"))
        return self._arrays[kind]

    def _array_function(self, item: list[str]) -> str:
        """The name of the function that reads an array, or takes the last one where its bytes come again.

        ``item``: the lines that read one of its items.
        """
        name = f"array_{len(self._functions)}"
        lines = [
            f"known, items = {name.upper()}",
            "if v.startswith(known, p):",
            f"{_INDENT}return items, p + len(known)",
            "items, start = [], p",
            "while True:",
            *_indented(_small("left", "SIZE", "size_at")),
            f"{_INDENT}if left == 0:",
            f"{_INDENT * 2}{name.upper()}[:] = v[start:p], items",
            f"{_INDENT * 2}return items, p",
            f"{_INDENT}while left:",
            *_indented(_indented([*item, "items.append(item)", "left -= 1"])),
        ]
        self._functions[name] = f"{name.upper()} = [NEVER_READ[0], []]\n\n\n{_function(name, lines)}"
        return name


def _small(target: str, table: str, otherwise: str) -> list[str]:
    """Read an integer that mostly fits one byte."""
    return [
        f"{target} = {table}[v[p]]",
        "p += 1",
        f"if {target} is None:",
        f"{_INDENT}{target}, p = {otherwise}(v, p - 1)",
    ]


def _function(name: str, lines: Iterable[str]) -> str:
    return "\n".join([f"def {name}(v, p):", *_indented(lines)]) + "\n"


def _indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line for line in lines]


def _identifier(name: str) -> str:
    spoken = name.replace(".", "_")
    if not spoken.isidentifier():
        raise UnsupportedSchema(f"{name!r} cannot be part of a name in Python")
    return spoken
