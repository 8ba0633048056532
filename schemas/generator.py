"""From a schema to the Python source of a function that writes it.

The source is one ``join`` over a tuple: constants, lengths from a table, and the bytes of each value.
Neighbouring constants are one literal. The code is optimistic: whatever its tables do not hold, and
whatever has a wrong type, raises inside it, and the caller's careful path decides.
"""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from schemas.avsc import Schema, named_types, record_at, simple_name
from schemas.errors import UnsupportedSchema
from schemas.reference import encode_part
from schemas.varint import INT, SMALL

Part = bytes | str
"""Constant bytes, or a Python expression whose value is bytes."""

INDENT = "    "
GLOBALS = frozenset(
    (
        "EMPTY",
        "FALSE",
        "INT",
        "LENGTH",
        "REFUSED",
        "TRUE",
        "careful",
        "int32",
        "join",
        "len",
        "long",
        "refuse",
    )
)
"""What generated code calls by name; ``LENGTH_<branch>`` and the classes of a union come on top."""


@dataclass(slots=True)
class _Scope:
    """The local names of one generated function."""

    taken: set[str]

    def fresh(self, hint: str) -> str:
        name = hint
        while name in self.taken or name in GLOBALS or keyword.iskeyword(name):
            name += "_"
        self.taken.add(name)
        return name


@dataclass(slots=True)
class Binding:
    """Where values come from, by dotted path: the name of an argument, a constant, or a chosen branch.

    The path ``""`` is the whole record. A field that nothing binds takes its default.
    """

    arguments: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)

    def paths(self) -> set[str]:
        """Every path that is bound."""
        return {*self.arguments, *self.constants, *self.branches}

    def reaches(self, path: str) -> bool:
        """Whether ``path`` or something below it is bound."""
        return any(known == path or known.startswith(f"{path}.") for known in self.paths())


class Generator:
    """Writes the source for one schema and one binding. Use once: ``Generator(...).source()``."""

    def __init__(self, schema: Schema, binding: Binding) -> None:
        self._schema = schema
        self._named = named_types(schema)
        self._binding = binding
        self._functions: dict[str, str] = {}
        self._tables: dict[str, str] = {}
        self._table_names = _Scope(set())
        self._open: list[str] = []
        self._reached: set[str] = set()
        self._unbound: list[str] = []
        self.tags: set[int] = set()
        """The union branches that need a table of lengths with their index in front."""
        self.classes: set[str] = set()
        """The classes by which a record of a union is chosen."""

    def source(self, prefix: bytes) -> str:
        """The module: nested functions first, then ``write``, whose bytes begin with ``prefix``.

        Raises UnsupportedSchema for a schema it cannot serve, and for a binding that names a field that is
        not there or leaves one without a value.
        """
        arguments = tuple(self._binding.arguments.values())
        scope = _Scope(set(arguments))
        parts = [prefix, *self._spread(self._schema, "", scope)]
        self._check_binding()
        names = ", ".join(arguments)
        entry = _optimistic(f"write({names})", _returned(parts), f"careful({names})")
        return "\n\n".join([*self._functions.values(), *self._tables.values(), entry])

    def source_sharing(self, prefix: bytes, shared: Collection[str]) -> str:
        """The module of ``share(record)`` and ``write(record, encoded)``, whose bytes begin with ``prefix``.

        ``share`` encodes the fields ``shared``, each run of neighbours as one piece; ``write`` puts these
        pieces between the other fields of a record that has the shared ones in common with the first.
        """
        strangers = sorted(set(shared) - {inner["name"] for inner in self._schema["fields"]})
        if strangers:
            raise UnsupportedSchema(f"{simple_name(self._schema)} has no field: {', '.join(strangers)}")
        sharing, writing = _Scope({"record"}), _Scope({"record", "encoded"})
        runs: list[list[Part]] = []
        parts: list[Part] = [prefix]
        for is_shared, inner in groupby(self._schema["fields"], lambda inner: inner["name"] in shared):
            if is_shared:
                parts.append(f"encoded[{len(runs)}]")
                runs.append([part for each in inner for part in self._attribute(each, "record", "", sharing)])
            else:
                parts += [part for each in inner for part in self._attribute(each, "record", "", writing)]
        pieces = [f"{_joined(run)}," for run in runs]
        share = _optimistic("share(record)", ["return (", _indented(pieces, 1), ")"], "()")
        write = _optimistic("write(record, encoded)", _returned(parts), "careful(record)")
        return "\n\n".join([*self._functions.values(), *self._tables.values(), share, write])

    def _check_binding(self) -> None:
        arguments = tuple(self._binding.arguments.values())
        for name in arguments:
            if arguments.count(name) > 1 or name in GLOBALS or keyword.iskeyword(name):
                raise UnsupportedSchema(f"{name} cannot be the name of one argument")
        if self._unbound:
            raise UnsupportedSchema(f"nothing gives a value to: {', '.join(self._unbound)}")
        strangers = sorted(self._binding.paths() - self._reached)
        if strangers:
            raise UnsupportedSchema(f"{simple_name(self._schema)} has no place for: {', '.join(strangers)}")

    def _spread(self, schema: Any, path: str, scope: _Scope) -> list[Part]:
        """The parts of a place that is either bound itself or spread over its fields."""
        binding = self._binding
        if path in binding.paths():
            self._reached.add(path)
        if path in binding.arguments:
            return self._bound(schema, binding.arguments[path], path, scope)
        if path in binding.constants:
            return [encode_part(self._schema, schema, binding.constants[path], path)]
        if path in binding.branches:
            return self._chosen(schema, path, scope)
        record = record_at(schema, self._named)
        return [] if record is None else self._fields(record, path, scope)

    def _fields(self, record: Schema, path: str, scope: _Scope) -> list[Part]:
        parts: list[Part] = []
        for inner in record["fields"]:
            inner_path = f"{path}.{inner['name']}" if path else inner["name"]
            if self._binding.reaches(inner_path):
                parts += self._spread(inner["type"], inner_path, scope)
            elif "default" in inner:
                parts.append(encode_part(self._schema, inner["type"], inner["default"], inner_path))
            else:
                self._unbound.append(inner_path)
        return parts

    def _chosen(self, schema: Any, path: str, scope: _Scope) -> list[Part]:
        name = self._binding.branches[path]
        for index, branch in enumerate(schema if isinstance(schema, list) else ()):
            record = record_at(branch, self._named)
            if record is not None and simple_name(record) == name:
                return [INT[index], *self._fields(record, path, scope)]
        raise UnsupportedSchema(f"{path}: {name} is not a record of a union there")

    def _bound(self, schema: Any, value: str, path: str, scope: _Scope) -> list[Part]:
        match schema:
            case "string" | {"type": "string"}:
                utf8 = scope.fresh(_local(path, "_utf8"))
                return [f"LENGTH[len({utf8} := {value}.encode())]", utf8]
            case "int" | {"type": "int"}:
                return [_integer("int32", *_assigned(value, path, scope))]
            case "long" | {"type": "long"}:
                return [_integer("long", *_assigned(value, path, scope))]
            case "boolean" | {"type": "boolean"}:
                name, assigned = _assigned(value, path, scope)
                return [f"TRUE if {assigned} is True else FALSE if {name} is False else refuse({name})"]
            case {"type": "array", "items": items}:
                name, assigned = _assigned(value, path, scope)
                return [f"EMPTY if {assigned} == () else {self._array_function(items)}({name})"]
            case list(branches):
                return self._union(branches, value, path, scope)
            case _:
                record = record_at(schema, self._named)
                if record is None:
                    raise UnsupportedSchema(f"{path}: no code is generated for {schema!r}")
                return self._record(record, value, path, scope)

    def _record(self, record: Schema, value: str, path: str, scope: _Scope) -> list[Part]:
        if record["name"] in self._open:
            raise UnsupportedSchema(f"{record['name']} contains itself")
        self._open.append(record["name"])
        name, first = _assigned(value, path, scope)
        parts: list[Part] = []
        for inner in record["fields"]:
            parts += self._attribute(inner, first, path, scope)
            first = name
        self._open.pop()
        return parts

    def _attribute(self, inner: Mapping[str, Any], value: str, path: str, scope: _Scope) -> list[Part]:
        inner_path = f"{path}.{inner['name']}" if path else inner["name"]
        return self._bound(inner["type"], f"{value}.{_identifier(inner['name'])}", inner_path, scope)

    def _union(self, branches: list[Any], value: str, path: str, scope: _Scope) -> list[Part]:
        others = [(index, branch) for index, branch in enumerate(branches) if branch != "null"]
        if len(others) == 1 and len(branches) == 2:
            return self._nullable(1 - others[0][0], *others[0], value, path, scope)
        if len(others) == len(branches):
            name, assigned = _assigned(value, path, scope)
            return [f"{self._branch_table(others, path)}[{assigned}.__class__]({name})"]
        raise UnsupportedSchema(f"{path}: a union is either null and one more, or records only")

    def _nullable(self, null: int, tag: int, schema: Any, value: str, path: str, scope: _Scope) -> list[Part]:
        name, assigned = _assigned(value, path, scope)
        if schema in ("string", {"type": "string"}):
            self.tags.add(tag)
            utf8 = scope.fresh(_local(path, "_utf8"))
            length = f"{INT[null]!r} if {assigned} is None else LENGTH_{tag}[len({utf8} := {name}.encode())]"
            return [length, f"b'' if {name} is None else {utf8}"]
        record = record_at(schema, self._named)
        if record is not None:
            written = f"{self._record_function(record, tag)}({name})"
        else:
            (part,) = self._bound(schema, name, path, scope)
            written = f"{INT[tag]!r} + ({part!s})"
        return [f"{INT[null]!r} if {assigned} is None else {written}"]

    def _record_function(self, record: Schema, tag: int) -> str:
        name = f"{simple_name(record)}_as_branch_{tag}"
        if name not in self._functions:
            scope = _Scope({"record"})
            parts = [INT[tag], *self._record(record, "record", "", scope)]
            self._functions[name] = f"def {name}(record):\n{_indented(_returned(parts), 1)}\n"
        return name

    def _array_function(self, items: Any) -> str:
        name = f"array_of_{_spoken(items, self._named)}"
        if name not in self._functions:
            scope = _Scope({"items", "item", "parts"})
            lines = _tuple_lines(self._bound(items, "item", "", scope))
            self._functions[name] = (
                f"def {name}(items):\n"
                "    if items.__class__ is not tuple and items.__class__ is not list:\n"
                "        refuse(items)\n"
                "    if not items:\n"
                "        return EMPTY\n"
                "    parts = [LENGTH[len(items)]]\n"
                "    for item in items:\n"
                f"        parts += (\n{_indented(lines, 3)}\n        )\n"
                "    parts.append(EMPTY)\n"
                "    return join(parts)\n"
            )
        return name

    def _branch_table(self, branches: Iterable[tuple[int, Any]], path: str) -> str:
        table = self._table_names.fresh(f"{_local(path, '')}_branches")
        lines = []
        for index, branch in branches:
            record = record_at(branch, self._named)
            if record is None:
                raise UnsupportedSchema(f"{path}: a union of several types may hold records only")
            self.classes.add(simple_name(record))
            lines.append(f"{simple_name(record)}: {self._record_function(record, index)},")
        self._tables[table] = f"{table} = {{\n{_indented(lines, 1)}\n}}\n"
        return table


def _assigned(value: str, path: str, scope: _Scope) -> tuple[str, str]:
    """A name for ``value`` and the expression that gives it that name where it is first used."""
    if value.isidentifier():
        return value, value
    name = scope.fresh(_local(path, ""))
    return name, f"({name} := {value})"


def _integer(otherwise: str, name: str, assigned: str) -> str:
    small = f"{assigned}.__class__ is int and {-SMALL} <= {name} < {SMALL}"
    return f"INT[{name}] if {small} else {otherwise}({name})"


def _local(path: str, suffix: str) -> str:
    return (path.replace(".", "_") or "value") + suffix


def _identifier(name: str) -> str:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UnsupportedSchema(f"field {name!r} cannot be an attribute in Python")
    return name


def _spoken(schema: Any, named: Mapping[str, Schema]) -> str:
    record = record_at(schema, named)
    if record is not None:
        return simple_name(record)
    match schema:
        case {"type": "array", "items": items}:
            return f"array_of_{_spoken(items, named)}"
        case list(branches):
            return "_or_".join(_spoken(branch, named) for branch in branches)
        case {"type": str(kind)}:
            return kind
        case _:
            return str(schema)


def _merged(parts: Iterable[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and merged and isinstance(merged[-1], bytes):
            merged[-1] += part
        elif part != b"":
            merged.append(part)
    return merged


def _tuple_lines(parts: Iterable[Part]) -> list[str]:
    return [f"{part!r}," if isinstance(part, bytes) else f"{part}," for part in _merged(parts)]


def _joined(parts: list[Part]) -> str:
    lines = _tuple_lines(parts)
    return "\n".join(["join((", _indented(lines, 1), "))"]) if lines else "b''"


def _returned(parts: list[Part]) -> list[str]:
    return f"return {_joined(parts)}".split("\n")


def _optimistic(signature: str, body: list[str], otherwise: str) -> str:
    return (
        f"def {signature}:\n    try:\n{_indented(body, 2)}\n    except REFUSED:\n        return {otherwise}\n"
    )


def _indented(lines: Iterable[str], depth: int) -> str:
    return "\n".join(INDENT * depth + line for entry in lines for line in entry.split("\n"))
