"""Building the domain's dataclasses from decoded dicts."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest

from schemas.builder import builder_of
from tierline.domain.commands import Contract, InvoicedCredit, InvoicedRow, OpenSubscription

ROW: dict[str, Any] = {
    "item": "base",
    "start": "2026-11-01",
    "end": "2026-12-01",
    "quantity": 12,
    "amount_minor": 34_800,
    "adjusted_minor": 0,
    "plan": "team-month",
    "mode": None,
    "credits": [{"start": "2026-11-10", "end": "2026-12-01", "quantity": 2, "amount_minor": 400}],
}


def test_nested_records_and_arrays_become_dataclasses_and_tuples() -> None:
    """As if each had been constructed."""
    credit = InvoicedCredit("2026-11-10", "2026-12-01", 2, 400)
    row = InvoicedRow("base", "2026-11-01", "2026-12-01", 12, 34_800, 0, "team-month", None, (credit,))

    assert row == builder_of(InvoicedRow)(ROW)


@pytest.mark.parametrize(("invoiced", "expected"), [(None, None), ([], ())])
def test_null_and_empty_stay_apart(invoiced: Any, expected: Any) -> None:
    """None means unknown, () means none."""
    raw: dict[str, Any] = dict.fromkeys(OpenSubscription.__dataclass_fields__, "x")
    opened = builder_of(OpenSubscription)(
        {**raw, "contract": None, "external_refs": [], "invoiced": invoiced}
    )

    assert expected == opened.invoiced
    assert opened.contract is None


def test_what_is_built_is_frozen_and_hashable() -> None:
    """It is a real instance of its class."""
    contract = builder_of(Contract)(
        {"start": "2026-01-01", "end": "2026-12-31", "minimum_term_months": 12, "minimum_spend_minor": 0}
    )

    assert {Contract("2026-01-01", "2026-12-31", 12, 0)} == {contract}
    with pytest.raises(FrozenInstanceError):
        contract.end = "2027-12-31"


def test_fields_of_a_newer_writer_are_ignored() -> None:
    """A reader acts on what it knows."""
    assert builder_of(InvoicedRow)(ROW) == builder_of(InvoicedRow)({**ROW, "region": "eu"})


def test_a_missing_field_is_a_key_error() -> None:
    """The codec then completes the record from the newest schema."""
    with pytest.raises(KeyError, match="credits"):
        builder_of(InvoicedRow)({name: value for name, value in ROW.items() if name != "credits"})


def test_a_class_that_checks_itself_is_refused() -> None:
    """Filling slots would go around its checks."""

    @dataclass(frozen=True, slots=True)
    class Checked:
        minor: int

        def __post_init__(self) -> None:
            assert self.minor > 0

    with pytest.raises(TypeError, match="Checked must be a dataclass with slots"):
        builder_of(Checked)
