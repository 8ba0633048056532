"""Frozen dataclasses that are made and changed by generated code behave as before."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import FrozenInstanceError, dataclass

import pytest

from tierline.domain.values import quickly_made, replace, twin_of


@dataclass(frozen=True, slots=True)
class Plain:
    """One field needed, two with a default."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = (3,)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, made by generated code."""

    first: int
    second: str = "two"
    third: tuple[int, ...] = (3,)


def test_a_quickly_made_object_is_what_its_arguments_say() -> None:
    """By position, by name and by default, and still of its own class."""
    made = Quick(1, third=())

    assert (1, "two", ()) == dataclasses.astuple(made)
    assert type(made) is Quick
    assert Quick(1) == Quick(first=1, second="two", third=(3,))
    assert hash(Quick(1)) == hash(Plain(1))
    assert repr(Plain(1)).replace("Plain", "Quick") == repr(Quick(1))


def test_a_quickly_made_object_is_frozen() -> None:
    """Nothing about it can be changed afterwards."""
    made = Quick(1)

    with pytest.raises(FrozenInstanceError):
        made.first = 2  # type: ignore[misc] # that is the point


def test_a_missing_or_strange_argument_is_refused() -> None:
    """As by the ``__init__`` that dataclass gave."""
    with pytest.raises(TypeError, match="first"):
        Quick()  # type: ignore[call-arg] # that is the point
    with pytest.raises(TypeError, match="fourth"):
        Quick(1, fourth=4)  # type: ignore[call-arg] # that is the point


def test_a_quickly_made_object_can_be_copied_and_pickled() -> None:
    """Both fill the slots without the constructor."""
    made = Quick(1, "b")

    assert made == copy.deepcopy(made) == pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes


@pytest.mark.parametrize("value", [Plain(1), Quick(1)])
def test_replace_gives_what_dataclasses_gives(value: Plain | Quick) -> None:
    """The named fields changed, the others kept; the value itself stays."""
    changed = replace(value, second="b")

    assert dataclasses.replace(value, second="b") == changed
    assert type(value) is type(changed)
    assert (1, "two") == (value.first, value.second)


def test_replace_refuses_a_field_that_is_not_there() -> None:
    """A typing error must not be lost."""
    with pytest.raises(AttributeError):
        replace(Plain(1), fourth=4)  # type: ignore[call-arg] # that is the point


def test_a_class_whose_constructor_does_more_has_no_twin() -> None:
    """A check in ``__post_init__`` would be left out; without slots there is nothing to share."""

    @dataclass(frozen=True, slots=True)
    class Checked:
        """Checks itself."""

        first: int

        def __post_init__(self) -> None:
            """Would check."""

    @dataclass(frozen=True)
    class Open:
        """Without slots."""

        first: int

    for cls in (Checked, Open):
        with pytest.raises(TypeError, match="__post_init__"):
            twin_of(cls)


def test_a_default_from_a_factory_is_refused() -> None:
    """It would be shared by all objects."""

    @dataclass(frozen=True, slots=True)
    class Made:
        """Makes a list for each object."""

        first: list[int] = dataclasses.field(default_factory=list)

    with pytest.raises(TypeError, match="first"):
        quickly_made(Made)
