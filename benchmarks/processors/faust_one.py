"""Stock Faust, one record at a time, as most write it: what was sent is acknowledged when the next one comes.

That is a weaker promise: a message that fails afterwards has its position committed all the same.
"""

from __future__ import annotations

from typing import Any

from benchmarks.processors.assignment import Assignment
from benchmarks.processors.stock_faust import Send, run


async def body(stream: Any, send: Send) -> None:
    """Send each and go on."""
    async for event in stream.events():
        await send(event)


if __name__ == "__main__":
    run(Assignment.told(), body)
