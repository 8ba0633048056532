"""Looking references up for many records at once, with a short patience for what fails for one of them alone.

That PostgreSQL is away is waited out elsewhere and is nobody's fault. What is tried again here is a look-up
that the server gave up by itself (serialisation, deadlock, cancelled statement): within one budget per
batch, and then record by record, so that one that cannot be looked up takes no neighbour with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from streams.normalizing.context import AccountContext, Asked
from streams.normalizing.resolve import RefRow, Rows
from tierline.kit.errors import LookUpFailed
from tierline.kit.retry import LOOK_UP

Item = TypeVar("Item")


async def look_up(
    context: AccountContext,
    everything: Collection[Asked],
    by_item: Callable[[], Mapping[Item, Collection[Asked]]],
    retried: Callable[[], None],
    *,
    doubt_unknown: bool = False,
) -> tuple[Rows, frozenset[Item]]:
    """The rows for ``everything``, and the items whose own look-up failed.

    ``by_item`` tells what each item asks, if that has to be known; ``retried`` counts.
    """
    if not doubt_unknown and (known := context.known(everything)) is not None:
        return known, frozenset()
    try:
        async for attempt in LOOK_UP.copy(before_sleep=lambda _: retried()):
            with attempt:
                return await context.rows(everything, doubt_unknown=doubt_unknown), frozenset()
    except LookUpFailed:
        pass
    rows: dict[str, tuple[RefRow, ...]] = {}
    failed: set[Item] = set()
    for item, some in by_item().items():
        try:
            found = await context.rows(some, doubt_unknown=doubt_unknown)
        except LookUpFailed:
            failed.add(item)
        else:
            rows.update({ref: (*rows.get(ref, ()), *known) for ref, known in found.items()})
    return rows, frozenset(failed)
