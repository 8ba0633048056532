"""Stock Faust with ``take_events``: many records are sent, all answers awaited, then Faust may commit."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.stock_faust import Send, run

_WITHIN_S = 0.05


async def body(stream: Any, send: Send) -> None:
    """As many as one fetch brings, or what has come within 50 ms."""
    async for events in stream.take_events(1_000, within=_WITHIN_S):
        answers = [await send(event) for event in events]
        await asyncio.gather(*answers)


if __name__ == "__main__":
    run(Assignment.told(), body)
