"""Identities are the UUIDs of the standard, and never meet by accident."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from tierline.domain.identity import NAMESPACE, SEPARATOR, correlation_id_of, uuid_of

PARTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=5)


@given(parts=PARTS)
def test_an_identity_is_a_uuid5_of_its_parts(parts: list[str]) -> None:
    """Written out for speed, equal to the standard library's."""
    assert str(uuid.uuid5(NAMESPACE, SEPARATOR.join(parts))) == uuid_of(*parts)


def test_parts_do_not_run_into_each_other() -> None:
    """The same characters cut elsewhere are another identity."""
    assert uuid_of("ab", "c") != uuid_of("a", "bc")


def test_a_correlation_is_that_of_its_record() -> None:
    """Topic, partition and offset decide, nothing else."""
    assert correlation_id_of("t", 1, 2) == correlation_id_of("t", 1, 2)
    assert 4 == len({correlation_id_of(*o) for o in (("t", 1, 2), ("u", 1, 2), ("t", 2, 2), ("t", 1, 3))})
