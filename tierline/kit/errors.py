"""What can go wrong around a worker, as three verbs.

    Unavailable        something that is needed is away: wait with backoff and try the same records again
    NotForAll          only some records need it: an Unavailable for their partitions alone
    PositionOutsideLog the place to continue is not in the topic any more: stop, an operator decides
    DeliveryFailed     the broker did not take a record in time: an Unavailable

Anything else that leaves a handler is a bug of the partition whose records it had.
"""

from __future__ import annotations


class Unavailable(Exception):
    """A server that the work needs is away. Never an effect on records: pause, wait, try again."""


class NotForAll(Unavailable):
    """What is away is needed by some records only: their partitions wait, all others go on."""


class DeliveryFailed(Unavailable):
    """The broker did not acknowledge a record in time. It is tried again; check the broker."""


class PositionOutsideLog(Exception):
    """The stored position of a consumer is not inside its topic.

    Retention removed records that were never processed, or the topic was made anew. Restore the topic, or
    set ``oms.lease.next_offset`` of that consumer to where it shall continue; nothing is skipped silently.
    """


class LookUpFailed(Exception):
    """A look-up failed for what was asked, while the store is there; ``reason`` is a code (SQLSTATE).

    Try again shortly; then it is held against the record that asked, as class ``dependency``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
