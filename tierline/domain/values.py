"""Frozen dataclasses, made and changed quickly.

A frozen dataclass stores each field through ``object.__setattr__``, and ``dataclasses.replace`` looks at all
fields before it does so again: a quarter of what a decision cost. Here a twin class with the same slots,
which is not frozen, takes plain assignments; then the object gets its class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["quickly_made", "replace", "twin_of"]

T = TypeVar("T")


def twin_of(cls: type[T]) -> type:
    """A class with the slots of the frozen dataclass ``cls``; its objects may be given the class ``cls``."""
    if not hasattr(cls, "__slots__") or hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__name__} must be a dataclass with slots and without __post_init__")
    return type(f"{cls.__name__}Twin", (), {"__slots__": _names(cls)})


def quickly_made(cls: type[T]) -> type[T]:
    """Decorate a frozen dataclass that is made very often: ``__init__`` takes the same and costs a third."""
    scope: dict[str, Any] = {"become": object.__setattr__, "twin": twin_of(cls), "cls": cls}
    arguments = [_argument(field, scope) for field in dataclasses.fields(cls)]  # type: ignore[arg-type] # T is one
    lines = ["become(self, '__class__', twin)", *(f"self.{name} = {name}" for name in _names(cls))]
    made = _compiled("__init__", ["self", *arguments], [*lines, "self.__class__ = cls"], scope)
    cls.__init__ = made  # type: ignore[method-assign] # it takes what the one before took
    return cls


if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(value: T, /, **changes: Any) -> T:
        """What ``dataclasses.replace`` gives, at a tenth of the cost."""
        return _copier(value.__class__)(value, changes)


@cache
def _copier(cls: type[T]) -> Callable[[T, Mapping[str, Any]], T]:
    scope: dict[str, Any] = {"new": object.__new__, "twin": twin_of(cls), "cls": cls}
    lines = ["made = new(twin)", *(f"made.{name} = value.{name}" for name in _names(cls))]
    lines += ["for name in changes:", "    setattr(made, name, changes[name])"]
    return _compiled("copy", ["value", "changes"], [*lines, "made.__class__ = cls", "return made"], scope)


def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


def _argument(field: dataclasses.Field[Any], scope: dict[str, Any]) -> str:
    """The parameter for ``field``; its default goes into ``scope``."""
    if not field.init or field.kw_only or field.default_factory is not dataclasses.MISSING:
        raise TypeError(f"{field.name} must be an argument by position, and without a factory")
    if field.default is dataclasses.MISSING:
        return field.name
    scope[f"default_{field.name}"] = field.default
    return f"{field.name}=default_{field.name}"


def _compiled(name: str, arguments: list[str], lines: list[str], scope: dict[str, Any]) -> Callable[..., Any]:
    source = "\n    ".join([f"def {name}({', '.join(arguments)}):", *lines])
    exec(compile(source, f"<{name} of {scope['cls'].__name__}>", "exec"), scope)  # noqa: S102 - made from our own class
    made: Callable[..., Any] = scope[name]
    return made
