"""From what Avro gave (plain dicts) to the frozen dataclasses of the domain, by generated code.

The generated function fills an object of the twin class and then gives it its class, because this runs for
every record.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from tierline.domain.values import twin_of

T = TypeVar("T")

Builder = Callable[[Mapping[str, Any]], T]

SCALARS = (str, int, bool, type(None))


@cache
def builder_of(cls: type[T]) -> Builder[T]:
    """A function from the fields of ``cls`` to an instance; the types are Avro's, so they are not checked.

    Fields that ``cls`` does not have are ignored, a missing one raises KeyError. A field that may hold
    several dataclasses is built as the one whose name stands in the field ``type``.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]  # T is a dataclass, which mypy cannot say
    names: dict[str, Any] = {"new": object.__new__, "twin": twin_of(cls), "cls": cls}
    hints = get_type_hints(cls)
    lines = [f"made.{field.name} = {_value(field.name, hints[field.name], names)}" for field in fields]
    source = "\n    ".join(
        ["def build(raw):", "made = new(twin)", *lines, "made.__class__ = cls", "return made"]
    )
    exec(compile(source, f"<builder of {cls.__name__}>", "exec"), names)  # noqa: S102 - made from our own class
    build: Builder[T] = names["build"]
    return build


def classes_in(hint: Any) -> tuple[type, ...]:
    """The dataclasses of a union, in its order."""
    return tuple(m for m in _members(hint) if isinstance(m, type) and dataclasses.is_dataclass(m))


def _value(name: str, hint: Any, names: dict[str, Any]) -> str:
    """The expression that makes the field ``name``; ``names`` gets what the expression calls."""
    raw = f"raw[{name!r}]"
    if len(classes_in(hint)) > 1:
        names[f"{name}_builders"] = {cls.__name__: builder_of(cls) for cls in classes_in(hint)}
        chosen = f"{name}_builders[raw['type']]"
        if type(None) in _members(hint):
            return f"None if (value := {raw}) is None else {chosen}(value)"
        return f"{chosen}({raw})"
    inner = [member for member in _members(hint) if member is not type(None)]
    if all(member in SCALARS for member in inner):
        return raw
    (member,) = inner
    if len(inner) == len(_members(hint)):
        return _made(name, member, raw, names)
    return f"None if (value := {raw}) is None else {_made(name, member, 'value', names)}"


def _made(name: str, member: Any, value: str, names: dict[str, Any]) -> str:
    if dataclasses.is_dataclass(member):
        names[f"build_{name}"] = builder_of(member)  # type: ignore[arg-type]  # is_dataclass narrows too far
        return f"build_{name}({value})"
    if get_origin(member) is tuple:
        item, _ = get_args(member)
        if item in SCALARS:
            return f"tuple({value})"
        return f"tuple([{_made(name, item, 'item', names)} for item in {value}])"
    if isinstance(member, type) and issubclass(member, Enum):
        names[f"build_{name}"] = member
        return f"build_{name}({value})"
    raise TypeError(f"{name}: no values of type {member} are built here")


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
