"""Stock Faust, one record at a time: the answer to each is awaited before Faust may commit its position."""

from __future__ import annotations

from typing import Any

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.stock_faust import Send, run


async def body(stream: Any, send: Send) -> None:
    """Send each and wait for its answer."""
    async for event in stream.events():
        await (await send(event))


if __name__ == "__main__":
    run(Assignment.told(), body)
