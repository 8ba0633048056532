"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fault_runs import Faults


@pytest.fixture
def faults(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None], tmp_path: Path
) -> Faults:
    """Seed, rounds and load of one test."""
    seed, rounds = request.config.getoption("--seed"), request.config.getoption("--rounds")
    return Faults(request.node.nodeid, record_property, tmp_path, seed, rounds)
