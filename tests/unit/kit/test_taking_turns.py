"""Leased workers of several topics in one thread."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tierline.kit.leased_worker import LeasedWorker
from tierline.kit.taking_turns import TakingTurns


class _Worker:
    def __init__(self, name: str, told: list[str]) -> None:
        self.name = name
        self.told = told

    def __getattr__(self, what: str) -> Any:
        return lambda: self.told.append(f"{self.name} {what}")


def test_each_worker_gets_its_turn_and_all_leave() -> None:
    """One after the other, round by round, until it is told to stop."""
    told: list[str] = []
    workers = [cast("LeasedWorker", _Worker(name, told)) for name in "ab"]

    def round_over() -> None:
        told.append("round")
        if told.count("round") == 2:
            turns.stop()

    turns = TakingTurns(workers, round_over)
    turns.run()

    one_round = ["a turn", "b turn", "round"]
    assert ["a join", "b join", *one_round, *one_round, "a leave", "b leave"] == told


def test_all_leave_when_one_cannot_go_on() -> None:
    """The error ends the process, as with a single worker."""
    told: list[str] = []

    def fail() -> None:
        raise RuntimeError("position outside the log")

    worker = cast("LeasedWorker", _Worker("a", told))
    with pytest.raises(RuntimeError, match="outside"):
        TakingTurns([worker], fail).run()

    assert "a leave" == told[-1]
