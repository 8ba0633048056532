"""A sender that takes silence for a yes: from some moment on an order of it is never told no."""

from __future__ import annotations

from tierline.domain.events import Reason
from tierline.domain.moments import text_of_ms
from tierline.domain.reasons import ReasonCode

ALREADY_ACCEPTED = ReasonCode.MARKETPLACE_ALREADY_ACCEPTED


def accepted_by_silence(decide_by: int | None, now: int) -> tuple[Reason, ...]:
    """Why it is too late for a no to an order that had to be decided by then (ms); () if it is not."""
    if decide_by is None or now <= decide_by:
        return ()
    return (Reason(ALREADY_ACCEPTED, f"it had to be decided by {text_of_ms(decide_by)}"),)
