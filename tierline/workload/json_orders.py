"""What the sample orders of all JSON channels have in common: how they repeat, and how they break."""

from __future__ import annotations

import random
from collections.abc import Callable

from tierline.workload.records import Ask, Kind, SampleRecord


class JsonOrders:
    """Orders of one JSON channel; ``order`` writes one. ``misspelt``: a required key and what it becomes."""

    def __init__(self, order: Callable[[Ask], SampleRecord], misspelt: tuple[str, str]) -> None:
        self.order = order
        self._misspelt = misspelt

    def again(self, first: SampleRecord) -> SampleRecord:
        """The same bytes once more."""
        return SampleRecord(first.channel, first.key, first.value, first.intents, Kind.DUPLICATE)

    def broken(self, ask: Ask, rng: random.Random) -> SampleRecord:
        """One of the ways in which JSON goes wrong."""
        good = self.order(ask)
        text = good.value.decode()
        broken = rng.choice(
            (
                text[: len(text) // 2],
                text.replace(*self._misspelt),
                text.replace(f": {ask.seats}", ": NaN"),
                text.replace(f": {ask.seats}", ": 123456789012345678901234567890"),
                text.replace("{", "{" + text[1 : text.index(",") + 1], 1),
                "\ufeff" + text,
                "not json at all",
            )
        )
        return SampleRecord(good.channel, good.key, broken.encode(), 1, Kind.BROKEN)

    def to_correct(self) -> Ask | None:
        """Programs do not correct what they sent."""
        return None
